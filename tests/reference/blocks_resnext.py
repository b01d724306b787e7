"""The three forms of a ResNeXt block as plain PyTorch modules (Xie et al. 2016, Figure 3)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from reference import Reference


class Paths(Reference):
    """Forms (a) and (b): 32 paths of 4; their 1x1 convolutions to 256 are summed, or their maps joined before one."""

    def __init__(self, form: str) -> None:
        super().__init__()
        self.paths = nn.ModuleList()
        for _ in range(32):
            layers = [nn.Conv2d(256, 4, 1, bias=False), nn.ReLU(), nn.Conv2d(4, 4, 3, 1, 1, bias=False), nn.ReLU()]
            self.paths.append(nn.Sequential(*layers, *([nn.Conv2d(4, 256, 1, bias=False)] if form == "a" else [])))
        self.expand = nn.Identity() if form == "a" else nn.Conv2d(128, 256, 1, bias=False)
        self.form = form

    def forward(self, x: Tensor) -> Tensor:
        """(N, 256, H, W) -> (N, 256, H, W)."""
        found = [path(x) for path in self.paths]
        return x + (sum(found) if self.form == "a" else self.expand(torch.cat(found, 1)))


class Grouped(Reference):
    """Form (c)."""

    def __init__(self) -> None:
        super().__init__()
        self.reduce = nn.Conv2d(256, 128, 1, bias=False)
        self.transform = nn.Conv2d(128, 128, 3, 1, 1, groups=32, bias=False)
        self.expand = nn.Conv2d(128, 256, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """(N, 256, H, W) -> (N, 256, H, W)."""
        return x + self.expand(F.relu(self.transform(F.relu(self.reduce(x)))))


NETS = {"resnext_block_a": lambda: Paths("a"), "resnext_block_b": lambda: Paths("b"), "resnext_block_c": Grouped}
