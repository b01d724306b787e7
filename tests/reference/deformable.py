"""ResNet-50 with a deformable conv5, and deformable RoI pooling, as plain PyTorch modules."""

from __future__ import annotations

from functools import partial

import torch.nn.functional as F
from references import cells_pooled, deformed
from torch import Tensor, nn

from reference import Reference


class DeformableResNet50(Reference):
    """He et al. 2015, Table 1, with the stride on the 3x3; the 3x3 of conv5 by equation 2 of Dai et al. 2017.

    With a dilation of conv5 its stride is 1 (section 3.1 there).
    """

    def __init__(self, dilation: int = 1) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 64, 7, 2, 3, bias=False), nn.BatchNorm2d(64))
        self.blocks, channels, self.dilation = nn.ModuleList(), 64, dilation
        for stage, count in enumerate((3, 4, 6, 3)):
            width = 64 << stage
            for index in range(count):
                stride = 2 if stage > 0 and index == 0 and (stage < 3 or dilation == 1) else 1
                layers = {"conv1": nn.Conv2d(channels, width, 1, bias=False), "bn1": nn.BatchNorm2d(width)}
                if stage == 3:
                    layers["offset"] = nn.Conv2d(width, 72, 3, stride, dilation, dilation)
                layers |= {
                    "conv2": nn.Conv2d(width, width, 3, stride, 1, bias=False),
                    "bn2": nn.BatchNorm2d(width),
                    "conv3": nn.Conv2d(width, 4 * width, 1, bias=False),
                    "bn3": nn.BatchNorm2d(4 * width),
                }
                if channels != 4 * width:
                    layers["project"] = nn.Conv2d(channels, 4 * width, 1, stride, bias=False)
                    layers["project_bn"] = nn.BatchNorm2d(4 * width)
                self.blocks.append(nn.ModuleDict(layers))
                channels = 4 * width
        self.classifier = nn.Linear(channels, 1000)

    def forward(self, x: Tensor) -> Tensor:
        """(N, 3, 224, 224) -> (N, 1000)."""
        x = F.max_pool2d(F.relu(self.stem(x)), 3, 2, 1)
        for block in self.blocks:
            y = F.relu(block["bn1"](block["conv1"](x)))
            conv = block["conv2"]
            if "offset" in block:
                y = deformed(
                    y, block["offset"](y), {"weight": conv.weight}, conv.stride[0], self.dilation, self.dilation
                )
            else:
                y = conv(y)
            y = block["bn3"](block["conv3"](F.relu(block["bn2"](y))))
            x = F.relu(y + (block["project_bn"](block["project"](x)) if "project" in block else x))
        return self.classifier(x.mean((2, 3)))


class DeformableRoIPooling(Reference):
    """Figure 3 of Dai et al. 2017: 3x3 bins, offsets from a fully connected layer on the plain bins."""

    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(256 * 9, 18)

    def forward(self, maps: Tensor, rois: Tensor) -> Tensor:
        """(N, 256, 14, 14), (R, 5) -> (R, 256, 3, 3)."""
        offset = self.fc(cells_pooled(maps, rois, (3, 3), 1 / 16).flatten(1))
        return cells_pooled(maps, rois, (3, 3), 1 / 16, offset)


NETS = {
    "deformable_resnet50": DeformableResNet50,
    "deformable_resnet50_dilated": partial(DeformableResNet50, 2),
    "deformable_roi_pooling": DeformableRoIPooling,
}
