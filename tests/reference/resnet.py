"""ResNet and the plain nets as plain PyTorch modules."""

from __future__ import annotations

from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from reference import Reference


class ResNet(Reference):
    """He et al. 2015, Table 1, with the shortcuts of section 3.3: A, B, C, or none for the plain nets."""

    NAMES = (
        (r"stem\.0\.(\w+)", r"conv1.conv.\1"),
        (r"stem\.1\.(\w+)", r"conv1.bn.\1"),
        (r"block(\d)_(\d+)_conv(\d)\.(\w+)", r"layer\1.\2.residual.conv\3.conv.\4"),
        (r"block(\d)_(\d+)_norm(\d)\.(\w+)", r"layer\1.\2.residual.conv\3.bn.\4"),
        (r"block(\d)_(\d+)_project\.0\.(\w+)", r"layer\1.\2.shortcut.downsample.conv.\3"),
        (r"block(\d)_(\d+)_project\.1\.(\w+)", r"layer\1.\2.shortcut.downsample.bn.\3"),
        (r"classifier\.(\w+)", r"fc.\1"),
    )

    def __init__(self, layers: tuple[int, ...], deep: bool, option: str = "B", stride_at: int = 1) -> None:
        super().__init__()
        self.option = option
        self.stem = nn.Sequential(nn.Conv2d(3, 64, 7, 2, 3, bias=False), nn.BatchNorm2d(64))
        self.blocks: list[tuple[str, int, int, int]] = []  # name, convolutions, width of the output, stride
        channels = 64
        for stage, count in enumerate(layers, 1):
            width = 32 << stage
            out = 4 * width if deep else width
            for index in range(count):
                name = f"block{stage}_{index}"
                stride = 2 if stage > 1 and index == 0 else 1
                kernels = ((1, width), (3, width), (1, out)) if deep else ((3, width), (3, out))
                c = channels
                for i, (kernel, o) in enumerate(kernels, 1):
                    s = stride if i == (stride_at if deep else 1) else 1
                    self.add_module(f"{name}_conv{i}", nn.Conv2d(c, o, kernel, s, kernel // 2, bias=False))
                    self.add_module(f"{name}_norm{i}", nn.BatchNorm2d(o))
                    c = o
                if option == "C" or option == "B" and (stride != 1 or channels != out):
                    self.add_module(
                        f"{name}_project",
                        nn.Sequential(nn.Conv2d(channels, out, 1, stride, bias=False), nn.BatchNorm2d(out)),
                    )
                self.blocks.append((name, len(kernels), out, stride))
                channels = out
        self.classifier = nn.Linear(channels, 1000)

    def shortcut(self, name: str, x: Tensor, out: int, stride: int) -> Tensor:
        """What is added to the residual, (N, C, H, W) -> (N, out, H / stride, W / stride)."""
        if hasattr(self, f"{name}_project"):
            return self.get_submodule(f"{name}_project")(x)
        if self.option == "A" and (stride != 1 or x.shape[1] != out):
            x = x[:, :, ::stride, ::stride]
            return torch.cat([x, x.new_zeros(x.shape[0], out - x.shape[1], *x.shape[2:])], 1)
        return x

    def forward(self, x: Tensor) -> Tensor:
        """(N, 3, H, W) -> (N, 1000)."""
        x = F.max_pool2d(F.relu(self.stem(x)), 3, 2, 1)
        for name, count, out, stride in self.blocks:
            y = x
            for i in range(1, count + 1):
                y = self.get_submodule(f"{name}_norm{i}")(self.get_submodule(f"{name}_conv{i}")(y))
                y = F.relu(y) if i < count else y
            x = F.relu(y if self.option == "none" else y + self.shortcut(name, x, out, stride))
        return self.classifier(x.mean((2, 3)))


LAYERS = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3), 50: (3, 4, 6, 3), 101: (3, 4, 23, 3), 152: (3, 8, 36, 3)}

NETS = {
    # as in the catalogue's counts, options A and C have the stride of a bottleneck on its 3x3
    **{
        f"resnet{depth}_{option.lower()}": partial(ResNet, layers, depth >= 50, option, stride_at=2)
        for depth, layers in LAYERS.items()
        for option in "AC"
    },
    **{f"resnet{depth}_v1": partial(ResNet, LAYERS[depth], True, stride_at=1) for depth in (50, 101, 152)},
    **{f"plain{depth}": partial(ResNet, LAYERS[depth], False, "none") for depth in (18, 34)},
}
