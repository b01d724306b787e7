"""The convolutional highway network as a plain PyTorch module (Srivastava et al. 2015, Training Very Deep Networks)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from reference import Reference

STAGES = ([32, 32, 32, 48, 48], [80] * 6, [128] * 6)
"""Widths of the 3x3 convolutions; stages are separated by 2x2 pooling."""


class HighwayCifar(Reference):
    """17 convolutions; one that keeps its width is a highway layer."""

    def __init__(self) -> None:
        super().__init__()
        self.stages, channels = nn.ModuleList(), 3
        for widths in STAGES:
            stage = nn.ModuleList()
            for width in widths:
                count = 2 if width == channels else 1  # the gate, then the transform
                stage.append(nn.ModuleList(nn.Conv2d(channels, width, 3, 1, 1) for _ in range(count)))
                channels = width
            self.stages.append(stage)
        self.classifier = nn.Linear(channels, 10)

    def forward(self, x: Tensor) -> Tensor:
        """(N, 3, 32, 32) -> (N, 10)."""
        for index, stage in enumerate(self.stages):
            x = nn.functional.max_pool2d(x, 2) if index else x
            for convs in stage:
                h = convs[-1](x).relu()
                if len(convs) == 2:
                    gate = torch.sigmoid(convs[0](x))
                    h = h * gate + x * (1 - gate)
                x = h
        return self.classifier(nn.functional.avg_pool2d(x, 8).flatten(1))


NETS = {"highway19_cifar": HighwayCifar}
