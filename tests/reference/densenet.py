"""DenseNet-BC for ImageNet as a plain PyTorch module (Huang et al. 2016, Table 1)."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import torch
from torch import Tensor, nn

from reference import Reference


class DenseNet(Reference):
    """The columns of Table 1: a stem of 2k maps, dense blocks, and between them transitions that halve."""

    def __init__(self, layers: Sequence[int], k: int = 32, classes: int = 1000) -> None:
        super().__init__()
        maps = 2 * k
        self.stem = nn.Sequential(
            nn.Conv2d(3, maps, 7, 2, 3, bias=False), nn.BatchNorm2d(maps), nn.ReLU(), nn.MaxPool2d(3, 2, 1)
        )
        # Dense layers (1x1, 3x3) and transitions in one list, since that is the order of their tensors.
        self.rows = nn.ModuleList()
        for block, count in enumerate(layers):
            for _ in range(count):
                self.rows.append(
                    nn.Sequential(
                        nn.BatchNorm2d(maps),
                        nn.ReLU(),
                        nn.Conv2d(maps, 4 * k, 1, bias=False),
                        nn.BatchNorm2d(4 * k),
                        nn.ReLU(),
                        nn.Conv2d(4 * k, k, 3, 1, 1, bias=False),
                    )
                )
                maps += k
            if block < len(layers) - 1:
                self.rows.append(
                    nn.Sequential(
                        nn.BatchNorm2d(maps), nn.ReLU(), nn.Conv2d(maps, maps // 2, 1, bias=False), nn.AvgPool2d(2)
                    )
                )
                maps //= 2
        self.norm, self.classifier = nn.BatchNorm2d(maps), nn.Linear(maps, classes)

    def forward(self, x: Tensor) -> Tensor:
        """(N, 3, 224, 224) -> (N, classes)."""
        x = self.stem(x)
        for row in self.rows:
            y = row(x)
            # A layer keeps the size of the map and is appended; a transition halves it and takes its place.
            x = torch.cat([x, y], 1) if y.shape[2] == x.shape[2] else y
        return self.classifier(self.norm(x).relu().mean((2, 3)))


NETS = {
    "densenet264": partial(DenseNet, (6, 12, 64, 48)),
    "densenet_three_blocks": partial(DenseNet, (6, 12, 24)),
}
"""The other variants are torchvision's."""
