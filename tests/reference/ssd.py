"""SSD300 as a plain PyTorch module (Liu et al. 2016, Figure 2 and section 3.1)."""

from __future__ import annotations

from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from reference import Reference
from reference.vgg import features


class Scale(nn.Module):
    """Unit vectors of the channels, times a learned factor for each channel."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(channels))

    def forward(self, x: Tensor) -> Tensor:
        """The shape stays."""
        return self.weight.view(1, -1, 1, 1) * F.normalize(x)


class SSD300(Reference):
    """VGG-16 to conv5_3, fc6 and fc7 as convolutions, four pairs of convolutions, a head on each of six maps."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        layers = features("D")[:-1]
        for layer in layers:
            if isinstance(layer, nn.MaxPool2d):
                layer.ceil_mode = True
        pool4 = [i for i, layer in enumerate(layers) if isinstance(layer, nn.MaxPool2d)][3]
        self.to4, self.to5 = nn.Sequential(*layers[:pool4]), nn.Sequential(*layers[pool4:])
        self.scale = Scale(512)
        self.fc = nn.Sequential(
            nn.MaxPool2d(3, 1, 1), nn.Conv2d(512, 1024, 3, padding=6, dilation=6), nn.ReLU(), nn.Conv2d(1024, 1024, 1)
        )
        self.extra, channels = nn.ModuleList(), 1024
        for width, stride, pad in ((256, 2, 1), (128, 2, 1), (128, 1, 0), (128, 1, 0)):
            pair = nn.Conv2d(channels, width, 1), nn.ReLU(), nn.Conv2d(width, 2 * width, 3, stride, pad), nn.ReLU()
            self.extra.append(nn.Sequential(*pair))
            channels = 2 * width
        self.heads = nn.ModuleList()
        for channels, boxes in ((512, 4), (1024, 6), (512, 6), (256, 6), (256, 4), (256, 4)):
            self.heads += [nn.Conv2d(channels, boxes * n, 3, padding=1) for n in (classes, 4)]

    def forward(self, x: Tensor) -> list[Tensor]:
        """(N, 3, 300, 300) -> scores of six maps, then boxes of six maps."""
        four = self.to4(x)
        maps = [self.scale(four), F.relu(self.fc(self.to5(four)))]
        for pair in self.extra:
            maps.append(pair(maps[-1]))
        return [head(m) for heads in (self.heads[::2], self.heads[1::2]) for head, m in zip(heads, maps, strict=True)]


NETS = {"ssd300_vgg16": partial(SSD300, 21), "ssd300_vgg16_coco": partial(SSD300, 91)}
