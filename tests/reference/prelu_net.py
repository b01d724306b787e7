"""PReLU-net as a plain PyTorch module (He et al. 2015, Delving Deep into Rectifiers, Table 3)."""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor, nn

from reference import Reference


class PReLUNet(Reference):
    """7x7/2, three stages of 3x3 convolutions, a pyramid of 7, 3, 2 and 1, three fully connected layers."""

    def __init__(self, layers: int, widths: tuple[int, int, int]) -> None:
        super().__init__()
        body: list[nn.Module] = [nn.Conv2d(3, 96, 7, 2, 3), nn.PReLU(96), nn.MaxPool2d(2)]
        channels = 96
        for stage, width in enumerate(widths):
            for _ in range(layers):
                body += [nn.Conv2d(channels, width, 3, 1, 1), nn.PReLU(width)]
                channels = width
            body += [nn.MaxPool2d(2)] if stage < 2 else []
        self.body = nn.Sequential(*body)
        # on 14x14: 2/2 gives 7, 5/4 gives 3, 7/7 gives 2, 14 gives 1
        self.pools = nn.ModuleList([nn.MaxPool2d(2, 2), nn.MaxPool2d(5, 4), nn.MaxPool2d(7, 7), nn.MaxPool2d(14)])
        self.head = nn.Sequential(
            nn.Linear(63 * channels, 4096), nn.PReLU(4096), nn.Linear(4096, 4096), nn.PReLU(4096), nn.Linear(4096, 1000)
        )

    def forward(self, x: Tensor) -> Tensor:
        """(N, 3, 224, 224) -> (N, 1000)."""
        x = self.body(x)
        return self.head(torch.cat([pool(x).flatten(1) for pool in self.pools], 1))


NETS = {
    "prelu_net_a": partial(PReLUNet, 5, (256, 512, 512)),
    "prelu_net_b": partial(PReLUNet, 6, (256, 512, 512)),
    "prelu_net_c": partial(PReLUNet, 6, (384, 768, 896)),
}
