"""OpenPose as a plain PyTorch module (Cao et al. 2017, Figure 3, with the widths of its Caffe model)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from reference import Reference


def convs(channels: int, *layers: tuple[int, int]) -> nn.Sequential:
    """Convolutions by width and kernel, ReLU between them."""
    made: list[nn.Module] = []
    for out, kernel in layers:
        made += [nn.Conv2d(channels, out, kernel, padding=kernel // 2), nn.ReLU()]
        channels = out
    return nn.Sequential(*made[:-1])


class OpenPose(Reference):
    """Ten convolutions of VGG-19, two more, six stages of two branches."""

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        channels = 3
        for word in "64 64 M 128 128 M 256 256 256 256 M 512 512 256 128".split():
            if word == "M":
                layers.append(nn.MaxPool2d(2))
                continue
            layers += [nn.Conv2d(channels, int(word), 3, padding=1), nn.ReLU()]
            channels = int(word)
        self.features = nn.Sequential(*layers)
        first = [convs(128, (128, 3), (128, 3), (128, 3), (512, 1), (out, 1)) for out in (19, 38)]
        self.stages = nn.ModuleList([nn.ModuleList(first)])
        for _ in range(5):
            later = [convs(128 + 57, *[(128, 7)] * 5, (128, 1), (out, 1)) for out in (19, 38)]
            self.stages.append(nn.ModuleList(later))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """(N, 3, H, W) -> (N, 19, H / 8, W / 8), (N, 38, H / 8, W / 8)."""
        features = maps = self.features(x)
        for heat_branch, field_branch in self.stages:
            heatmaps, fields = heat_branch(maps), field_branch(maps)
            maps = torch.cat([fields, heatmaps, features], 1)
        return heatmaps, fields


NETS = {"openpose": OpenPose}
