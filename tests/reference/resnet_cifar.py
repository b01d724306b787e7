"""ResNet and plain nets for CIFAR as plain PyTorch modules (He et al. 2015, section 4.2)."""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor, nn

from reference import Reference


def option_a(x: Tensor, out: int, stride: int) -> Tensor:
    """Every s-th pixel, and zeros after the channels that are there."""
    x = x[:, :, ::stride, ::stride]
    return torch.cat([x, x.new_zeros(x.shape[0], out - x.shape[1], *x.shape[2:])], 1)


class CifarResNet(Reference):
    """Three stages of n blocks, 16, 32 and 64 wide; `kernels` are those of a block."""

    def __init__(self, n: int, option: str = "A", kernels: tuple[int, ...] = (3, 3)) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 16, 3, 1, 1, bias=False), nn.BatchNorm2d(16), nn.ReLU())
        self.option, self.steps, channels = option, nn.ModuleList(), 16
        for stage in range(3):
            width = 16 << stage
            out = 4 * width if len(kernels) == 3 else width
            for index in range(n):
                stride = 2 if stage and index == 0 else 1
                layers: list[nn.Module] = []
                inside = channels
                for number, kernel in enumerate(kernels):
                    wide = out if number == len(kernels) - 1 else width
                    # two 3x3: the first has the stride; 1x1, 3x3, 1x1: the 3x3
                    s = stride if number == (1 if len(kernels) == 3 else 0) else 1
                    layers += [
                        nn.Conv2d(inside, wide, kernel, s, kernel // 2, bias=False),
                        nn.BatchNorm2d(wide),
                        nn.ReLU(),
                    ]
                    inside = wide
                block = nn.ModuleDict({"residual": nn.Sequential(*layers[:-1])})
                if option == "B" and (stride > 1 or channels != out):
                    block["project"] = nn.Sequential(
                        nn.Conv2d(channels, out, 1, stride, bias=False), nn.BatchNorm2d(out)
                    )
                self.steps.append(block)
                channels = out
        self.classifier = nn.Linear(channels, 10)

    def forward(self, x: Tensor) -> Tensor:
        """(N, 3, 32, 32) -> (N, 10)."""
        x = self.stem(x)
        for block in self.steps:
            y = block["residual"](x)
            if self.option == "none":
                x = y.relu()
            elif "project" in block:
                x = (y + block["project"](x)).relu()
            else:
                x = (y + option_a(x, y.shape[1], x.shape[2] // y.shape[2])).relu()
        return self.classifier(x.mean((2, 3)))


NETS = {
    **{f"resnet{d}_cifar": partial(CifarResNet, d // 6) for d in (20, 32, 44, 56, 110, 1202)},
    **{f"plain{d}_cifar": partial(CifarResNet, d // 6, "none") for d in (20, 32, 44, 56)},
    "resnet110_b_cifar": partial(CifarResNet, 18, "B"),
    "resnet164_cifar": partial(CifarResNet, 18, "B", (1, 3, 1)),
    "resnet110_stochastic_depth": partial(CifarResNet, 18),
    "resnet1202_stochastic_depth": partial(CifarResNet, 200),
}
