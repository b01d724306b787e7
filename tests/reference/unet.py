"""U-Net as a plain PyTorch module (Ronneberger et al. 2015, Figure 1)."""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor, nn

from reference import Reference


def twice(inside: int, out: int, padded: bool) -> nn.Sequential:
    """Two 3x3 convolutions; those of the padded form have batch norm in the place of a bias."""
    layers: list[nn.Module] = []
    for channels in (inside, out):
        layers += [nn.Conv2d(channels, out, 3, padding=int(padded), bias=not padded)]
        layers += [nn.BatchNorm2d(out), nn.ReLU()] if padded else [nn.ReLU()]
    return nn.Sequential(*layers)


class UNet(Reference):
    """Four halvings of the map, and back; the middle of each map on the way down is joined on the way up."""

    def __init__(self, channels: int, padded: bool) -> None:
        super().__init__()
        widths = [64, 128, 256, 512, 1024]
        self.down = nn.ModuleList(twice(i, o, padded) for i, o in zip([channels, *widths], widths, strict=False))
        self.up = nn.ModuleList()
        for width in reversed(widths[:-1]):
            self.up.append(nn.ModuleList([nn.ConvTranspose2d(2 * width, width, 2, 2), twice(2 * width, width, padded)]))
        self.last = nn.Conv2d(64, 2, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(N, channels, H, W) -> (N, 2, H', W'), 184 less each way without padding."""
        maps = []
        for index, step in enumerate(self.down):
            x = step(nn.functional.max_pool2d(x, 2) if index else x)
            maps.append(x)
        for (raise_, step), kept in zip(self.up, reversed(maps[:-1]), strict=True):
            x = raise_(x)
            top, left = (kept.shape[2] - x.shape[2]) // 2, (kept.shape[3] - x.shape[3]) // 2
            x = step(torch.cat([kept[:, :, top : top + x.shape[2], left : left + x.shape[3]], x], 1))
        return self.last(x)


NETS = {"unet": partial(UNet, 1, padded=False), "unet_padded": partial(UNet, 3, padded=True)}
