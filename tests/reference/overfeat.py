"""OverFeat as plain PyTorch modules (Sermanet et al. 2013, Tables 1 and 3)."""

from __future__ import annotations

from torch import nn

from reference import Sequence, classifier


def fast() -> Sequence:
    """231 -> 56 -> 28 -> 24 -> 12 -> 6."""
    return Sequence(
        nn.Conv2d(3, 96, 11, 4),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(96, 256, 5),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(256, 512, 3, 1, 1),
        nn.ReLU(),
        nn.Conv2d(512, 1024, 3, 1, 1),
        nn.ReLU(),
        nn.Conv2d(1024, 1024, 3, 1, 1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        *classifier(1024 * 36, 3072, 4096, 1000),
    )


def accurate() -> Sequence:
    """221 -> 108 -> 36 -> 30 -> 15 -> 5."""
    return Sequence(
        nn.Conv2d(3, 96, 7, 2),
        nn.ReLU(),
        nn.MaxPool2d(3),
        nn.Conv2d(96, 256, 7),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(256, 512, 3, 1, 1),
        nn.ReLU(),
        nn.Conv2d(512, 512, 3, 1, 1),
        nn.ReLU(),
        nn.Conv2d(512, 1024, 3, 1, 1),
        nn.ReLU(),
        nn.Conv2d(1024, 1024, 3, 1, 1),
        nn.ReLU(),
        nn.MaxPool2d(3),
        *classifier(1024 * 25, 4096, 4096, 1000),
    )


NETS = {"overfeat_fast": fast, "overfeat_accurate": accurate}
