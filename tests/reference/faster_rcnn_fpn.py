"""Faster R-CNN's networks on a feature pyramid of ResNet-50 as a plain PyTorch module (Lin et al. 2017)."""

from __future__ import annotations

from collections.abc import Sequence

import torch.nn.functional as F
from references import pooled
from torch import Tensor, nn

from reference import Reference
from reference.faster_rcnn import Proposals, stage, stem


class OnPyramid(Reference):
    """Figure 3: 1x1 convolutions and what is enlarged from above; a 3x3 on each sum; heads with the same weights."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = stem()
        self.stages = nn.ModuleList(stage(i, n) for i, n in enumerate((3, 4, 6, 3)))
        self.inner = nn.ModuleList(nn.Conv2d(256 << i, 256, 1) for i in (3, 2, 1, 0))
        self.outer = nn.ModuleList(nn.Conv2d(256, 256, 3, padding=1) for _ in range(4))
        self.rpn = Proposals(256, 256, 3, 12)
        self.head = nn.Sequential(nn.Linear(256 * 49, 1024), nn.ReLU(), nn.Linear(1024, 1024), nn.ReLU())
        self.scores, self.boxes = nn.Linear(1024, 91), nn.Linear(1024, 4 * 91)

    def levels(self, image: Tensor) -> list[Tensor]:
        """(N, 3, H, W) -> P2 to P5."""
        x, maps = self.stem(image), []
        for part in self.stages:
            x = part(x)
            maps.append(x)
        top = self.inner[0](maps.pop())
        tops = [top]
        for conv in self.inner[1:]:
            fine = maps.pop()
            top = conv(fine) + F.interpolate(top, fine.shape[2:], mode="nearest")
            tops.insert(0, top)
        return [conv(t) for conv, t in zip(self.outer, tops, strict=True)]

    def forward(self, image: Tensor, *rois: Tensor) -> list[Tensor]:
        """(N, 3, H, W), four of (R, 5) -> objectness and proposals of five levels, scores and boxes of four."""
        return self.heads(self.levels(image), rois)

    def heads(self, levels: Sequence[Tensor], rois: Sequence[Tensor]) -> list[Tensor]:
        """P2 to P5, four of (R, 5) -> what `forward` gives."""
        regions = [
            self.head(pooled(level, boxes, (7, 7), 1 / 4 / 2**i).flatten(1))
            for i, (level, boxes) in enumerate(zip(levels, rois, strict=True))
        ]
        proposals = [self.rpn(level) for level in [*levels, F.max_pool2d(levels[-1], 1, 2)]]
        return [
            *(p[0] for p in proposals),
            *(p[1] for p in proposals),
            *map(self.scores, regions),
            *map(self.boxes, regions),
        ]


NETS = {"faster_rcnn_resnet50_fpn": OnPyramid}
