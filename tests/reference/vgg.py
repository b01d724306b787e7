"""VGG in the columns that no library ships, as plain PyTorch modules (Simonyan and Zisserman 2014, Table 1)."""

from __future__ import annotations

from torch import nn

from reference import Sequence, classifier

# a width is a 3x3 convolution, "1" before it a 1x1; M a max pooling, L local response normalization
COLUMNS = {
    "A-LRN": "64 L M 128 M 256 256 M 512 512 M 512 512 M",
    "C": "64 64 M 128 128 M 256 256 1:256 M 512 512 1:512 M 512 512 1:512 M",
    "D": "64 64 M 128 128 M 256 256 256 M 512 512 512 M 512 512 512 M",
}


def features(column: str) -> list[nn.Module]:
    """The layers of a column up to the last pooling."""
    layers: list[nn.Module] = []
    channels = 3
    for word in COLUMNS[column].split():
        if word == "M":
            layers.append(nn.MaxPool2d(2))
        elif word == "L":
            layers.append(nn.LocalResponseNorm(5, alpha=5e-4, beta=0.75, k=2.0))
        else:
            kernel = 1 if ":" in word else 3
            out = int(word.rpartition(":")[2])
            layers += [nn.Conv2d(channels, out, kernel, padding=kernel // 2), nn.ReLU()]
            channels = out
    return layers


def dense() -> Sequence:
    """Section 3.2: the fully connected layers as 7x7 and 1x1 convolutions on a larger image."""
    return Sequence(
        *features("D"),
        nn.Conv2d(512, 4096, 7),
        nn.ReLU(),
        nn.Conv2d(4096, 4096, 1),
        nn.ReLU(),
        nn.Conv2d(4096, 1000, 1),
    )


NETS = {
    "vgg_a_lrn": lambda: Sequence(*features("A-LRN"), *classifier(512 * 49, 4096, 4096, 1000)),
    "vgg_c": lambda: Sequence(*features("C"), *classifier(512 * 49, 4096, 4096, 1000)),
    "vgg_d_dense": dense,
}
