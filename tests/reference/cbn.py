"""The networks of CBN (Zhu et al. 2016) as plain PyTorch modules, layer by layer as in the authors' Caffe files."""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor, nn

from reference import Reference


def convs(channels: int, *widths: int) -> nn.Sequential:
    """3x3 convolutions with ReLU between them."""
    made: list[nn.Module] = []
    for out in widths:
        made += [nn.Conv2d(channels, out, 3, padding=1), nn.ReLU()]
        channels = out
    return nn.Sequential(*made[:-1])


class BiNetwork(Reference):
    """conv1 to conv3 on image and masks, conv61 to conv63 on the image, conv81 chooses between them."""

    def __init__(self, channels: int, middle: int) -> None:
        super().__init__()
        widths = (64,) * 4 + (128,) * middle + (32,) * 3 + (1,)
        self.conv3_4 = convs(channels + 14, *widths)
        self.conv63_4 = convs(channels, *widths)
        self.conv81 = convs(2 + channels + 14, 64, 64, 64, 1)

    def forward(self, image: Tensor, mask: Tensor) -> Tensor:
        """(N, C, H, W), (N, 14, H, W) -> (N, 1, H, W)."""
        both = torch.cat([image, mask], 1)
        positive, negative = self.conv3_4(both), self.conv63_4(image)
        switch = self.conv81(torch.cat([positive, negative, both], 1))
        return positive * switch + negative * (1 - switch)


class Masked(Reference):
    """conv1 to conv3 on image and masks."""

    def __init__(self) -> None:
        super().__init__()
        self.conv3_4 = convs(15, *(64,) * 4, *(128,) * 4, *(32,) * 3, 1)

    def forward(self, image: Tensor, mask: Tensor) -> Tensor:
        """(N, 1, H, W), (N, 14, H, W) -> (N, 1, H, W)."""
        return self.conv3_4(torch.cat([image, mask], 1))


NETS = {
    "cbn_32": partial(BiNetwork, 1, 16),
    "cbn_64": partial(BiNetwork, 2, 4),
    "cbn_128": Masked,
    "cbn_256": Masked,
}
