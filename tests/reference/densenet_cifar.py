"""DenseNet for CIFAR as a plain PyTorch module (Huang et al. 2016, section 3)."""

from __future__ import annotations

from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from reference import Reference


def bn_relu_conv(inside: int, out: int, kernel: int) -> nn.Sequential:
    """The composite function of section 3."""
    conv = nn.Conv2d(inside, out, kernel, padding=kernel // 2, bias=False)
    return nn.Sequential(nn.BatchNorm2d(inside), nn.ReLU(), conv)


class DenseNet(Reference):
    """L layers in three dense blocks; BC has bottlenecks of 4k, halves transitions, and begins with 2k maps."""

    def __init__(self, depth: int, k: int, bc: bool) -> None:
        super().__init__()
        channels = 2 * k if bc else 16
        self.stem = nn.Conv2d(3, channels, 3, padding=1, bias=False)
        self.steps = nn.ModuleList()
        self.transitions: list[int] = []
        for block in range(3):
            for _ in range((depth - 4) // (6 if bc else 3)):
                layer = bn_relu_conv(channels, k, 3)
                if bc:
                    layer = nn.Sequential(bn_relu_conv(channels, 4 * k, 1), bn_relu_conv(4 * k, k, 3))
                self.steps.append(layer)
                channels += k
            if block < 2:
                self.transitions.append(len(self.steps))
                self.steps.append(bn_relu_conv(channels, channels // 2 if bc else channels, 1))
                channels = channels // 2 if bc else channels
        self.norm, self.classifier = nn.BatchNorm2d(channels), nn.Linear(channels, 10)

    def forward(self, x: Tensor) -> Tensor:
        """(N, 3, 32, 32) -> (N, 10)."""
        x = self.stem(x)
        for number, step in enumerate(self.steps):
            x = F.avg_pool2d(step(x), 2) if number in self.transitions else torch.cat([x, step(x)], 1)
        return self.classifier(self.norm(x).relu().mean((2, 3)))


NETS = {
    "densenet40_k12": partial(DenseNet, 40, 12, False),
    "densenet100_k12": partial(DenseNet, 100, 12, False),
    "densenet100_k24": partial(DenseNet, 100, 24, False),
    "densenet_bc100_k12": partial(DenseNet, 100, 12, True),
    "densenet_bc250_k24": partial(DenseNet, 250, 24, True),
    "densenet_bc190_k40": partial(DenseNet, 190, 40, True),
}
