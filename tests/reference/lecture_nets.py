"""The two nets that the lectures print, as plain PyTorch modules."""

from __future__ import annotations

from torch import nn

from reference import Sequence


def net_64() -> Sequence:
    """3x3@16, 3x3@32, pooling, 3x3@64, pooling, 3x3@64, pooling, 500, 2; no padding."""
    return Sequence(
        nn.Conv2d(3, 16, 3),
        nn.ReLU(),
        nn.Conv2d(16, 32, 3),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(32, 64, 3),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(64, 64, 3),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(64 * 6 * 6, 500),
        nn.ReLU(),
        nn.Linear(500, 2),
    )


def net_400() -> Sequence:
    """10x10/2@80, 5x5@120, 3x3@160, 3x3@200 with pooling rounded up, 320, 320, classes."""

    def lrn() -> nn.Module:
        return nn.LocalResponseNorm(5, alpha=1e-4, beta=0.75, k=1.0)

    return Sequence(
        nn.Conv2d(3, 80, 10, 2),
        nn.ReLU(),
        lrn(),
        nn.MaxPool2d(6, 4, ceil_mode=True),
        nn.Conv2d(80, 120, 5),
        nn.ReLU(),
        lrn(),
        nn.MaxPool2d(3, 2, ceil_mode=True),
        nn.Conv2d(120, 160, 3),
        nn.ReLU(),
        nn.Conv2d(160, 200, 3),
        nn.ReLU(),
        nn.MaxPool2d(3, 2, ceil_mode=True),
        nn.Flatten(),
        nn.Linear(200 * 9 * 9, 320),
        nn.ReLU(),
        nn.Linear(320, 320),
        nn.ReLU(),
        nn.Linear(320, 1000),
    )


NETS = {"lecture_net_64": net_64, "lecture_net_400": net_400}
