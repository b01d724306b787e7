"""Mask R-CNN on a feature pyramid of ResNet-50 as a plain PyTorch module (He et al. 2017, Figure 4, right)."""

from __future__ import annotations

from references import pooled
from torch import Tensor, nn

from reference.faster_rcnn_fpn import OnPyramid


class WithMasks(OnPyramid):
    """What Faster R-CNN gives, and for each region of 14x14 bins a mask of 28x28 for each class."""

    def __init__(self) -> None:
        super().__init__()
        layers = [layer for _ in range(4) for layer in (nn.Conv2d(256, 256, 3, padding=1), nn.ReLU())]
        self.mask = nn.Sequential(*layers, nn.ConvTranspose2d(256, 256, 2, 2), nn.ReLU(), nn.Conv2d(256, 91, 1))

    def forward(self, image: Tensor, *rois: Tensor) -> list[Tensor]:
        """(N, 3, H, W), four of (R, 5) -> what `OnPyramid` gives, then masks of four levels."""
        levels = self.levels(image)
        bins = [pooled(x, boxes, (14, 14), 1 / 4 / 2**i) for i, (x, boxes) in enumerate(zip(levels, rois, strict=True))]
        return [*self.heads(levels, rois), *map(self.mask, bins)]


NETS = {"mask_rcnn_resnet50_fpn": WithMasks}
