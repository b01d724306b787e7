"""DSOD300 as a plain PyTorch module (Shen et al. 2017, Table 1 and Figure 1)."""

from __future__ import annotations

from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from reference import Reference
from reference.ssd import Scale


def unit(channels: int, out: int, kernel: int = 1, stride: int = 1) -> nn.Sequential:
    """Batch norm, ReLU, convolution."""
    conv = nn.Conv2d(channels, out, kernel, stride, kernel // 2, bias=False)
    return nn.Sequential(nn.BatchNorm2d(channels), nn.ReLU(), conv)


def halved(x: Tensor) -> Tensor:
    """(N, C, H, W) -> (N, C, ceil(H / 2), ceil(W / 2))."""
    return F.max_pool2d(x, 2, 2, ceil_mode=True)


class Dense(nn.Module):
    """Each layer appends `growth` maps to its input."""

    def __init__(self, channels: int, count: int, growth: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            nn.Sequential(unit(channels + i * growth, 4 * growth), unit(4 * growth, growth, 3)) for i in range(count)
        )
        self.out = channels + count * growth

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, C + count * growth, H, W)."""
        for layer in self.layers:
            x = torch.cat((x, layer(x)), 1)
        return x


class Smaller(nn.Module):
    """Figure 1, right: a scale is half learned, half pooled from the one before it."""

    def __init__(self, channels: int, width: int) -> None:
        super().__init__()
        self.pooled = unit(channels, width)
        self.learned = nn.Sequential(unit(channels, width), unit(width, width, 3, 2))

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, 2 * width, ceil(H / 2), ceil(W / 2))."""
        return torch.cat((self.pooled(halved(x)), self.learned(x)), 1)


class Head(nn.Module):
    """Scores and boxes of a scale: unit vectors times a factor, then convolutions with batch norms."""

    def __init__(self, channels: int, boxes: int, classes: int) -> None:
        super().__init__()
        self.scale = Scale(channels)
        for name, out in (("scores", boxes * classes), ("boxes", 4 * boxes)):
            conv = nn.Conv2d(channels, out, 3, padding=1, bias=False)
            self.add_module(name, nn.Sequential(conv, nn.BatchNorm2d(out, eps=1e-3)))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """(N, C, H, W) -> (N, boxes * classes, H, W), (N, 4 * boxes, H, W)."""
        x = self.scale(x)
        return self.scores(x), self.boxes(x)


class DSOD300(Reference):
    """Four dense blocks; scales of 38, 19, 10, 5, 3 and 2 cells."""

    def __init__(self, growth: int = 48, classes: int = 21) -> None:
        super().__init__()
        stem: list[nn.Module] = []
        for channels, out, stride in ((3, 64, 2), (64, 64, 1), (64, 128, 1)):
            conv = nn.Conv2d(channels, out, 3, stride, 1, bias=False)
            stem += [conv, nn.BatchNorm2d(out), nn.ReLU()]
        self.stem = nn.Sequential(*stem, nn.MaxPool2d(2))
        self.parts, width = nn.ModuleList(), 128
        for i, count in enumerate((6, 8, 8, 8)):
            block = Dense(width, count, growth)
            width = block.out
            self.parts += [block, unit(width, 256 if i == 3 else width)]
        first = 128 + 14 * growth
        self.beside = unit(first, 256)
        self.smaller = nn.ModuleList(Smaller(c, w) for c, w in ((512, 256), (512, 128), (256, 128), (256, 128)))
        scales = zip((first, 512, 512, 256, 256, 256), (4, 6, 6, 6, 4, 4), strict=True)
        self.heads = nn.ModuleList(Head(channels, boxes, classes) for channels, boxes in scales)

    def forward(self, x: Tensor) -> list[Tensor]:
        """(N, 3, 300, 300) -> scores of six scales, then boxes of six scales."""
        block1, to1, block2, to2, block3, to3, block4, to4 = self.parts
        first = to2(block2(halved(to1(block1(self.stem(x))))))
        half = halved(first)
        maps = [first, torch.cat((to4(block4(to3(block3(half)))), self.beside(half)), 1)]
        for part in self.smaller:
            maps.append(part(maps[-1]))
        found = [head(scale) for head, scale in zip(self.heads, maps, strict=True)]
        return [*(scores for scores, _ in found), *(boxes for _, boxes in found)]


NETS = {
    "dsod300": DSOD300,
    "dsod300_smallest": partial(DSOD300, 16),
    "dsod300_coco": partial(DSOD300, 48, 81),
}
