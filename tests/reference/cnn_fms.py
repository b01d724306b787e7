"""CNN-F, CNN-M and CNN-S as plain PyTorch modules (Chatfield et al. 2014, Table 1)."""

from __future__ import annotations

from functools import partial

from torch import nn

from reference import Sequence, classifier


def stage(inside: int, out: int, kernel: int, stride: int, pad: int, *more: nn.Module) -> list[nn.Module]:
    """A convolution with ReLU and what follows."""
    return [nn.Conv2d(inside, out, kernel, stride, pad), nn.ReLU(), *more]


def lrn() -> nn.Module:
    """As released: n 5, k 2, alpha 5e-4 with division by n, beta 0.75."""
    return nn.LocalResponseNorm(5, alpha=5e-4, beta=0.75, k=2.0)


def pool(kernel: int, stride: int) -> nn.Module:
    """Max pooling, rounded up."""
    return nn.MaxPool2d(kernel, stride, ceil_mode=True)


def fast() -> Sequence:
    """Row CNN-F."""
    return Sequence(
        *stage(3, 64, 11, 4, 0, lrn(), pool(3, 2)),
        *stage(64, 256, 5, 1, 2, lrn(), pool(3, 2)),
        *stage(256, 256, 3, 1, 1),
        *stage(256, 256, 3, 1, 1),
        *stage(256, 256, 3, 1, 1, pool(3, 2)),
        *classifier(256 * 36, 4096, 4096, 1000),
    )


def medium(full7: int = 4096) -> Sequence:
    """Row CNN-M."""
    return Sequence(
        *stage(3, 96, 7, 2, 0, lrn(), pool(3, 2)),
        *stage(96, 256, 5, 2, 1, lrn(), pool(3, 2)),
        *stage(256, 512, 3, 1, 1),
        *stage(512, 512, 3, 1, 1),
        *stage(512, 512, 3, 1, 1, pool(3, 2)),
        *classifier(512 * 36, 4096, full7, 1000),
    )


def slow() -> Sequence:
    """Row CNN-S."""
    return Sequence(
        *stage(3, 96, 7, 2, 0, lrn(), pool(3, 3)),
        *stage(96, 256, 5, 1, 1, pool(2, 2)),
        *stage(256, 512, 3, 1, 1),
        *stage(512, 512, 3, 1, 1),
        *stage(512, 512, 3, 1, 1, pool(3, 3)),
        *classifier(512 * 36, 4096, 4096, 1000),
    )


NETS = {"cnn_f": fast, "cnn_m": medium, "cnn_s": slow, **{f"cnn_m_{n}": partial(medium, n) for n in (2048, 1024, 128)}}
