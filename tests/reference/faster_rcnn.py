"""Faster R-CNN's networks on ResNet-50 as plain PyTorch modules (Ren et al. 2015, He et al. 2015, Lin et al. 2017)."""

from __future__ import annotations

import torch.nn.functional as F
from references import pooled
from torch import Tensor, nn

from reference import Reference


class Bottleneck(nn.Module):
    """He et al. 2015, Figure 5, with the stride on the 3x3."""

    def __init__(self, channels: int, width: int, stride: int) -> None:
        super().__init__()
        self.residual = nn.Sequential(
            nn.Conv2d(channels, width, 1, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(),
            nn.Conv2d(width, width, 3, stride, 1, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(),
            nn.Conv2d(width, 4 * width, 1, bias=False),
            nn.BatchNorm2d(4 * width),
        )
        self.project = nn.Sequential()
        if channels != 4 * width:
            self.project = nn.Sequential(
                nn.Conv2d(channels, 4 * width, 1, stride, bias=False), nn.BatchNorm2d(4 * width)
            )

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, 4 * width, H / stride, W / stride)."""
        return F.relu(self.residual(x) + self.project(x))


def stage(number: int, count: int) -> nn.Sequential:
    """A stage of ResNet-50, conv2_x to conv5_x as 0 to 3."""
    width, channels = 64 << number, 64 if number == 0 else 128 << number
    blocks = [Bottleneck(channels, width, 1 if number == 0 else 2)]
    return nn.Sequential(*blocks, *(Bottleneck(4 * width, width, 1) for _ in range(count - 1)))


def stem() -> nn.Sequential:
    """conv1 and the pooling."""
    return nn.Sequential(nn.Conv2d(3, 64, 7, 2, 3, bias=False), nn.BatchNorm2d(64), nn.ReLU(), nn.MaxPool2d(3, 2, 1))


class Proposals(nn.Module):
    """The head of Figure 3: a 3x3 convolution, then scores and boxes of the anchors."""

    def __init__(self, channels: int, width: int, scores: int, boxes: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, width, 3, padding=1)
        self.objectness, self.boxes = nn.Conv2d(width, scores, 1), nn.Conv2d(width, boxes, 1)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """(N, C, H, W) -> (N, scores, H, W), (N, boxes, H, W)."""
        x = F.relu(self.conv(x))
        return self.objectness(x), self.boxes(x)


class OnConv4(Reference):
    """Regions proposed from conv4_x and pooled from it to 14x14; conv5_x and a mean before classes and boxes."""

    def __init__(self) -> None:
        super().__init__()
        self.base = nn.Sequential(stem(), stage(0, 3), stage(1, 4), stage(2, 6))
        self.rpn = Proposals(1024, 512, 2 * 9, 4 * 9)
        self.conv5 = stage(3, 3)
        self.scores, self.boxes = nn.Linear(2048, 81), nn.Linear(2048, 4 * 81)

    def forward(self, image: Tensor, rois: Tensor) -> tuple[Tensor, ...]:
        """(N, 3, H, W), (R, 5) -> (N, 18, H / 16, W / 16), (N, 36, H / 16, W / 16), (R, 81), (R, 324)."""
        x = self.base(image)
        features = self.conv5(pooled(x, rois, (14, 14), 1 / 16)).mean((2, 3))
        return *self.rpn(x), self.scores(features), self.boxes(features)


NETS = {"faster_rcnn_resnet50_c4": OnConv4}
