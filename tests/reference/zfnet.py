"""ZFNet and Clarifai as plain PyTorch modules (Zeiler and Fergus 2013, Figure 3)."""

from __future__ import annotations

from functools import partial

from torch import nn

from reference import Sequence, classifier


def zfnet(pad1: int, pad2: int) -> Sequence:
    """224 -> 110 (109) -> 55 (54) -> 26 -> 13 -> 6."""

    def lrn() -> nn.Module:
        return nn.LocalResponseNorm(5, alpha=5e-4, beta=0.75, k=2.0)

    return Sequence(
        nn.Conv2d(3, 96, 7, 2, pad1),
        nn.ReLU(),
        nn.MaxPool2d(3, 2, ceil_mode=True),
        lrn(),
        nn.Conv2d(96, 256, 5, 2, pad2),
        nn.ReLU(),
        nn.MaxPool2d(3, 2, ceil_mode=True),
        lrn(),
        nn.Conv2d(256, 384, 3, 1, 1),
        nn.ReLU(),
        nn.Conv2d(384, 384, 3, 1, 1),
        nn.ReLU(),
        nn.Conv2d(384, 256, 3, 1, 1),
        nn.ReLU(),
        nn.MaxPool2d(3, 2),
        *classifier(256 * 36, 4096, 4096, 1000),
    )


NETS = {"zfnet": partial(zfnet, 1, 0), "clarifai": partial(zfnet, 0, 1)}
