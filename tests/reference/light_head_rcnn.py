"""Light-Head R-CNN on ResNet-101 as a plain PyTorch module (Li et al. 2017, Figures 2 and 3)."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
import torch.nn.functional as F
from references import cells_pooled, pooled
from torch import Tensor, nn

from reference import Reference
from reference.faster_rcnn import Proposals, stem


def block(channels: int, width: int, stride: int, dilation: int) -> nn.Module:
    """He et al. 2015, Figure 5, with the stride on the first 1x1 as there."""
    layers: list[nn.Module] = []
    for c, out, kernel, step, d in (
        (channels, width, 1, stride, 1),
        (width, width, 3, 1, dilation),
        (width, 4 * width, 1, 1, 1),
    ):
        conv = nn.Conv2d(c, out, kernel, step, d * (kernel // 2), d, bias=False)
        layers += [conv, nn.BatchNorm2d(out), nn.ReLU()]
    return Block(nn.Sequential(*layers[:-1]), channels, 4 * width, stride)


class Block(nn.Module):
    """A sum of convolutions and what is projected where the shape changes."""

    def __init__(self, residual: nn.Module, channels: int, out: int, stride: int) -> None:
        super().__init__()
        self.residual, self.project = residual, nn.Sequential()
        if channels != out or stride > 1:
            conv = nn.Conv2d(channels, out, 1, stride, bias=False)
            self.project = nn.Sequential(conv, nn.BatchNorm2d(out))

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, out, H / stride, W / stride)."""
        return F.relu(self.residual(x) + self.project(x))


def stage(channels: int, width: int, count: int, stride: int, dilation: int = 1) -> nn.Sequential:
    """Blocks of 4 * width maps, the first of which has the stride."""
    first = block(channels, width, stride, dilation)
    return nn.Sequential(first, *(block(4 * width, width, 1, dilation) for _ in range(count - 1)))


def separable(first: tuple[int, int], second: tuple[int, int]) -> nn.Sequential:
    """2048 maps to 256 and to 490, by a column and a row or a row and a column."""
    return nn.Sequential(
        nn.Conv2d(2048, 256, first, padding=(first[0] // 2, first[1] // 2)),
        nn.Conv2d(256, 490, second, padding=(second[0] // 2, second[1] // 2)),
    )


class LightHead(Reference):
    """Thin maps, of which each bin pools its own ten, and one fully connected layer."""

    def __init__(self, pool: Callable[[Tensor, Tensor, tuple[int, int], float], Tensor]) -> None:
        super().__init__()
        self.base = nn.Sequential(stem(), stage(64, 64, 3, 1), stage(256, 128, 4, 2), stage(512, 256, 23, 2))
        self.rpn = Proposals(1024, 512, 2 * 15, 4 * 15)
        self.conv5 = stage(1024, 512, 3, 1, 2)
        self.column, self.row = separable((15, 1), (1, 15)), separable((1, 15), (15, 1))
        self.fc, self.scores, self.boxes = nn.Linear(490, 2048), nn.Linear(2048, 81), nn.Linear(2048, 4)
        self.pool = pool

    def forward(self, image: Tensor, rois: Tensor) -> tuple[Tensor, ...]:
        """(N, 3, H, W), (R, 5) -> (N, 30, H / 16, W / 16), (N, 60, H / 16, W / 16), (R, 81), (R, 4)."""
        x = self.base(image)
        maps = self.conv5(x)
        thin = F.relu(self.column(maps) + self.row(maps))
        bins = self.pool(thin, rois, (7, 7), 1 / 16)
        own = [bins[:, 10 * (7 * i + j) :][:, :10, i, j] for i in range(7) for j in range(7)]
        features = F.relu(self.fc(torch.cat(own, 1)))
        return *self.rpn(x), self.scores(features), self.boxes(features)


NETS = {
    "light_head_rcnn_resnet101": partial(LightHead, cells_pooled),
    "light_head_rcnn_resnet101_align": partial(LightHead, pooled),
}
