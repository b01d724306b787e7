"""Network in Network as a plain PyTorch module (Lin et al. 2013, Figure 2, and the models in Caffe)."""

from __future__ import annotations

from functools import partial

from torch import nn

from reference import Sequence


def mlpconv(inside: int, widths: tuple[int, int, int], kernel: int, stride: int = 1, pad: int = 0) -> list[nn.Module]:
    """A convolution and two 1x1 convolutions, ReLU after each."""
    a, b, c = widths
    return [
        nn.Conv2d(inside, a, kernel, stride, pad),
        nn.ReLU(),
        nn.Conv2d(a, b, 1),
        nn.ReLU(),
        nn.Conv2d(b, c, 1),
        nn.ReLU(),
    ]


def imagenet() -> Sequence:
    """224 -> 54 -> 27 -> 13 -> 6; the last map has 1000 channels and is averaged."""

    def pool() -> nn.Module:
        return nn.MaxPool2d(3, 2, ceil_mode=True)

    return Sequence(
        *mlpconv(3, (96, 96, 96), 11, 4),
        pool(),
        *mlpconv(96, (256, 256, 256), 5, 1, 2),
        pool(),
        *mlpconv(256, (384, 384, 384), 3, 1, 1),
        pool(),
        *mlpconv(384, (1024, 1024, 1000), 3, 1, 1),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
    )


def cifar(classes: int) -> Sequence:
    """32 -> 16 by the largest value -> 8 by the mean."""
    return Sequence(
        *mlpconv(3, (192, 160, 96), 5, 1, 2),
        nn.MaxPool2d(3, 2, ceil_mode=True),
        *mlpconv(96, (192, 192, 192), 5, 1, 2),
        nn.AvgPool2d(3, 2, ceil_mode=True),
        *mlpconv(192, (192, 192, classes), 3, 1, 1),
        nn.AvgPool2d(8),
        nn.Flatten(),
    )


NETS = {"nin_imagenet": imagenet, "nin_cifar10": partial(cifar, 10), "nin_cifar100": partial(cifar, 100)}
