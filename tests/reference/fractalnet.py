"""FractalNet as a plain PyTorch module (Larsson et al. 2016, Figure 1)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from reference import Reference


def unit(inside: int, width: int) -> nn.Sequential:
    """Convolution, batch norm without affine part, ReLU."""
    return nn.Sequential(nn.Conv2d(inside, width, 3, 1, 1), nn.BatchNorm2d(width, affine=False), nn.ReLU())


class Block(nn.Module):
    """Three columns of 1, 2 and 4 convolutions; columns that end in the same row are joined by their mean."""

    def __init__(self, inside: int, width: int) -> None:
        super().__init__()
        self.third1 = unit(inside, width)
        self.third2, self.second1 = unit(width, width), unit(inside, width)
        self.third3 = unit(width, width)
        self.first = unit(inside, width)
        self.second2 = unit(width, width)
        self.third4 = unit(width, width)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, width, H, W)."""
        middle = torch.stack([self.second1(x), self.third2(self.third1(x))]).mean(0)
        low = self.third4(self.third3(middle))
        return (self.first(x) + self.second2(middle) + low) / 3

    def order(self) -> list[nn.Module]:
        """The units in the order of the spec, which builds the inner fractals first."""
        return [self.third1, self.second1, self.third2, self.third3, self.first, self.second2, self.third4]


class FractalNet(Reference):
    """Five blocks of three columns, each followed by a pooling."""

    def __init__(self) -> None:
        super().__init__()
        inside = 3
        for number, width in enumerate((64, 128, 256, 512, 512)):
            block = Block(inside, width)
            for place, module in enumerate(block.order()):
                self.add_module(f"unit{number}_{place}", module)
            self.__dict__[f"block{number}"] = block  # not registered twice
            inside = width
        self.classifier = nn.Linear(512, 10)

    def forward(self, x: Tensor) -> Tensor:
        """(N, 3, 32, 32) -> (N, 10)."""
        for number in range(5):
            x = nn.functional.max_pool2d(self.__dict__[f"block{number}"](x), 2)
        return self.classifier(x.flatten(1))


NETS = {"fractalnet": FractalNet, "fractalnet_drop_path": FractalNet}
