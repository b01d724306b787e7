"""YOLO v1 as a plain PyTorch module (Redmon et al. 2016, Figure 3)."""

from __future__ import annotations

from torch import nn

from reference import Reference, Sequence

# kernel-width, kernel-width-stride; M a max pooling
LAYERS = (
    "7-64-2 M 3-192 M 1-128 3-256 1-256 3-512 M "
    "1-256 3-512 1-256 3-512 1-256 3-512 1-256 3-512 1-512 3-1024 M "
    "1-512 3-1024 1-512 3-1024 3-1024 3-1024-2 3-1024 3-1024"
)


def yolo() -> Reference:
    """(N, 3, 448, 448) -> (N, 7 * 7 * 30)."""
    layers: list[nn.Module] = []
    channels = 3
    for word in LAYERS.split():
        if word == "M":
            layers.append(nn.MaxPool2d(2))
            continue
        kernel, out, stride = [*map(int, word.split("-")), 1][:3]
        layers += [nn.Conv2d(channels, out, kernel, stride, kernel // 2), nn.LeakyReLU(0.1)]
        channels = out
    return Sequence(
        *layers, nn.Flatten(), nn.Linear(1024 * 49, 4096), nn.LeakyReLU(0.1), nn.Linear(4096, 7 * 7 * (2 * 5 + 20))
    )


NETS = {"yolo_v1": yolo}
