"""All-CNN as a plain PyTorch module (Springenberg et al. 2014, Tables 1 and 2)."""

from __future__ import annotations

from functools import partial

from torch import nn

from reference import Sequence

# out, kernel, stride of the layers before the last three
BASES = {
    "a": ((96, 5, 1), (96, 3, 2), (192, 5, 1), (192, 3, 2)),
    "b": ((96, 5, 1), (96, 1, 1), (96, 3, 2), (192, 5, 1), (192, 1, 1), (192, 3, 2)),
    "c": ((96, 3, 1), (96, 3, 1), (96, 3, 2), (192, 3, 1), (192, 3, 1), (192, 3, 2)),
}


def all_cnn(base: str) -> Sequence:
    """32x32 -> 16x16 -> 8x8 -> 6x6 -> 10 means."""
    layers: list[nn.Module] = []
    channels = 3
    for out, kernel, stride in BASES[base]:
        layers += [nn.Conv2d(channels, out, kernel, stride, kernel // 2), nn.ReLU()]
        channels = out
    return Sequence(
        *layers,
        nn.Conv2d(192, 192, 3),
        nn.ReLU(),
        nn.Conv2d(192, 192, 1),
        nn.ReLU(),
        nn.Conv2d(192, 10, 1),
        nn.ReLU(),
        nn.AvgPool2d(6),
        nn.Flatten(),
    )


NETS = {f"all_cnn_{base}": partial(all_cnn, base) for base in BASES}
