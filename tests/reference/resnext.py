"""ResNeXt with other cardinalities as plain PyTorch modules (Xie et al. 2016, Table 1)."""

from __future__ import annotations

from functools import partial

import torch.nn.functional as F
from torch import Tensor, nn

from reference import Reference


class ResNeXt(Reference):
    """Bottlenecks whose 3x3 convolution has C groups, each d wide in conv2 and twice as wide in every later stage."""

    def __init__(self, layers: tuple[int, ...], groups: int, d: int) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 64, 7, 2, 3, bias=False), nn.BatchNorm2d(64))
        self.blocks, channels = nn.ModuleList(), 64
        for stage, count in enumerate(layers):
            width, out = groups * d << stage, 256 << stage
            for index in range(count):
                stride = 2 if stage and index == 0 else 1
                block = nn.ModuleDict(
                    {
                        "residual": nn.Sequential(
                            nn.Conv2d(channels, width, 1, bias=False),
                            nn.BatchNorm2d(width),
                            nn.ReLU(),
                            nn.Conv2d(width, width, 3, stride, 1, groups=groups, bias=False),
                            nn.BatchNorm2d(width),
                            nn.ReLU(),
                            nn.Conv2d(width, out, 1, bias=False),
                            nn.BatchNorm2d(out),
                        )
                    }
                )
                if index == 0:
                    block["project"] = nn.Sequential(
                        nn.Conv2d(channels, out, 1, stride, bias=False), nn.BatchNorm2d(out)
                    )
                self.blocks.append(block)
                channels = out
        self.classifier = nn.Linear(channels, 1000)

    def forward(self, x: Tensor) -> Tensor:
        """(N, 3, 224, 224) -> (N, 1000)."""
        x = F.max_pool2d(F.relu(self.stem(x)), 3, 2, 1)
        for block in self.blocks:
            x = F.relu(block["residual"](x) + (block["project"](x) if "project" in block else x))
        return self.classifier(x.mean((2, 3)))


NETS = {
    f"resnext{depth}_{groups}x{d}d": partial(ResNeXt, layers, groups, d)
    for depth, layers in ((50, (3, 4, 6, 3)), (101, (3, 4, 23, 3)))
    for groups, d in ((2, 40), (4, 24), (8, 14))
}
