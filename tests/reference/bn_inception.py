"""BN-Inception and its form with squeeze and excitation as plain PyTorch modules (Ioffe and Szegedy 2015, Figure 5)."""

from __future__ import annotations

from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from reference import Reference


def conv(inside: int, out: int, kernel: int, stride: int = 1) -> nn.Sequential:
    """Convolution without bias, batch norm, ReLU."""
    layer = nn.Conv2d(inside, out, kernel, stride, kernel // 2, bias=False)
    return nn.Sequential(layer, nn.BatchNorm2d(out), nn.ReLU())


class Module(nn.Module):
    """A row of the table: 1x1, 3x3 reduce, 3x3, double reduce, double, pooling, projection."""

    def __init__(self, inside: int, row: tuple[int, int, int, int, int, str, int], se: bool) -> None:
        super().__init__()
        one, r3, n3, rd, nd, self.pooling, proj = row
        self.stride = 1 if one else 2
        self.one = conv(inside, one, 1) if one else None
        self.three = nn.Sequential(conv(inside, r3, 1), conv(r3, n3, 3, self.stride))
        self.fivefold = nn.Sequential(conv(inside, rd, 1), conv(rd, nd, 3), conv(nd, nd, 3, self.stride))
        self.project = conv(inside, proj, 1) if proj else nn.Identity()
        self.out = one + n3 + nd + (proj or inside)
        self.gate = (
            nn.Sequential(
                nn.Conv2d(self.out, self.out // 16, 1), nn.ReLU(), nn.Conv2d(self.out // 16, self.out, 1), nn.Sigmoid()
            )
            if se
            else None
        )

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, C', H', W')."""
        if self.pooling == "avg":
            pooled = F.avg_pool2d(x, 3, 1, 1)
        else:
            pooled = F.max_pool2d(x, 3, 1, 1) if self.stride == 1 else F.max_pool2d(x, 3, 2, ceil_mode=True)
        parts = [self.three(x), self.fivefold(x), self.project(pooled)]
        y = torch.cat(([self.one(x)] if self.one is not None else []) + parts, 1)
        return y if self.gate is None else y * self.gate(y.mean((2, 3), keepdim=True))


class BNInception(Reference):
    """Ten modules; `wide` is the width of the projection in 4c and 4d."""

    def __init__(self, wide: int = 96, se: bool = False, multiplier: int = 0) -> None:
        super().__init__()
        rows = [
            (64, 64, 64, 64, 96, "avg", 32),
            (64, 64, 96, 64, 96, "avg", 64),
            (0, 128, 160, 64, 96, "max", 0),
            (224, 64, 96, 96, 128, "avg", 128),
            (192, 96, 128, 96, 128, "avg", 128),
            (160, 128, 160, 128, 160, "avg", wide),
            (96, 128, 192, 160, 192, "avg", wide),
            (0, 128, 192, 192, 256, "max", 0),
            (352, 192, 320, 160, 224, "avg", 128),
            (352, 192, 320, 192, 224, "max", 128),
        ]
        self.stem = conv(3, 64, 7, 2)
        if multiplier:  # a separable first convolution
            depthwise = nn.Conv2d(3, 3 * multiplier, 7, 2, 3, groups=3, bias=False)
            self.stem = nn.Sequential(depthwise, *conv(3 * multiplier, 64, 1))
        self.second = nn.Sequential(conv(64, 64, 1), conv(64, 192, 3))
        self.rows, channels = nn.ModuleList(), 192
        for row in rows:
            self.rows.append(module := Module(channels, row, se))
            channels = module.out
        self.classifier = nn.Linear(channels, 1000)

    def forward(self, x: Tensor) -> Tensor:
        """(N, 3, 224, 224) -> (N, 1000)."""
        x = F.max_pool2d(self.stem(x), 3, 2, ceil_mode=True)
        x = F.max_pool2d(self.second(x), 3, 2, ceil_mode=True)
        for module in self.rows:
            x = module(x)
        return self.classifier(x.mean((2, 3)))


NETS = {
    "bn_inception": BNInception,
    "bn_inception_separable": partial(BNInception, multiplier=8),
    "se_bn_inception": partial(BNInception, 128, True),
}
