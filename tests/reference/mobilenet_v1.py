"""MobileNet with its multipliers, and with full convolutions (Howard et al. 2017, Table 1)."""

from __future__ import annotations

from functools import partial

from torch import nn

from reference import Sequence


def conv(inside: int, out: int, kernel: int, stride: int = 1, groups: int = 1) -> list[nn.Module]:
    """Convolution, batch norm, ReLU."""
    layer = nn.Conv2d(inside, out, kernel, stride, kernel // 2, groups=groups, bias=False)
    return [layer, nn.BatchNorm2d(out), nn.ReLU()]


def mobilenet(alpha: float = 1.0, full: bool = False) -> Sequence:
    """Pairs of a depthwise and a 1x1 convolution, or one full convolution for each."""
    c = int(32 * alpha)
    layers = conv(3, c, 3, 2)
    rows = ((64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), *((512, 1),) * 5, (1024, 2), (1024, 1))
    for width, stride in rows:
        out = int(width * alpha)
        layers += conv(c, out, 3, stride) if full else conv(c, c, 3, stride, c) + conv(c, out, 1)
        c = out
    return Sequence(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(c, 1000))


NETS = {
    "mobilenet_v1_075": partial(mobilenet, 0.75),
    "mobilenet_v1_05": partial(mobilenet, 0.5),
    "mobilenet_v1_025": partial(mobilenet, 0.25),
    "conv_mobilenet": partial(mobilenet, full=True),
    **{f"mobilenet_v1_{size}": mobilenet for size in (192, 160, 128)},
}
