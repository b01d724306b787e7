"""ShuffleNet as a plain PyTorch module (Zhang et al. 2017, Table 1 and Figure 2)."""

from __future__ import annotations

from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from reference import Reference


def conv(inside: int, out: int, kernel: int, stride: int = 1, groups: int = 1) -> nn.Sequential:
    """Convolution and batch norm."""
    return nn.Sequential(
        nn.Conv2d(inside, out, kernel, stride, kernel // 2, groups=groups, bias=False), nn.BatchNorm2d(out)
    )


class Unit(nn.Module):
    """Figure 2b for stride 1, Figure 2c for stride 2."""

    def __init__(self, inside: int, out: int, groups: int, first: int, stride: int) -> None:
        super().__init__()
        self.first, self.stride, middle = first, stride, out // 4
        self.compress = conv(inside, middle, 1, groups=first)
        self.depthwise = conv(middle, middle, 3, stride, middle)
        self.expand = conv(middle, out if stride == 1 else out - inside, 1, groups=groups)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, out, H / stride, W / stride)."""
        y = F.relu(self.compress(x))
        size = y.shape[1] // self.first
        y = torch.stack([y[:, j * size + k] for k in range(size) for j in range(self.first)], 1)
        y = self.expand(self.depthwise(y))
        return F.relu(x + y if self.stride == 1 else torch.cat([F.avg_pool2d(x, 3, 2, 1), y], 1))


class ShuffleNet(Reference):
    """Stages of 4, 8 and 4 units; the very first 1x1 is not grouped."""

    def __init__(self, groups: int, width: int, stem: int = 24) -> None:
        super().__init__()
        self.stem, self.units, channels = conv(3, stem, 3, 2), nn.ModuleList(), stem
        for stage, count in enumerate((4, 8, 4)):
            for index in range(count):
                first = 1 if stage == 0 and index == 0 else groups
                self.units.append(Unit(channels, width << stage, groups, first, 2 if index == 0 else 1))
                channels = width << stage
        self.classifier = nn.Linear(channels, 1000)

    def forward(self, x: Tensor) -> Tensor:
        """(N, 3, 224, 224) -> (N, 1000)."""
        x = F.max_pool2d(F.relu(self.stem(x)), 3, 2, 1)
        for unit in self.units:
            x = unit(x)
        return self.classifier(x.mean((2, 3)))


NETS = {
    "shufflenet": partial(ShuffleNet, 3, 240),
    "shufflenet_15": partial(ShuffleNet, 3, 360),
    "shufflenet_20": partial(ShuffleNet, 3, 480, 48),
    **{f"shufflenet_g{g}": partial(ShuffleNet, g, width) for g, width in ((1, 144), (2, 200), (4, 272), (8, 384))},
}
