"""AlexNet as plain PyTorch modules (Krizhevsky et al. 2012, Figure 2)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from reference import Reference, Sequence, classifier


def lrn() -> nn.Module:
    """Section 3.3: n 5, k 2, beta 0.75; alpha is 1e-4 for each of the n maps, and PyTorch divides by n."""
    return nn.LocalResponseNorm(5, alpha=5e-4, beta=0.75, k=2.0)


def grouped() -> Sequence:
    """Convolutions 2, 4 and 5 in two groups."""
    return Sequence(
        nn.Conv2d(3, 96, 11, 4),
        nn.ReLU(),
        lrn(),
        nn.MaxPool2d(3, 2),
        nn.Conv2d(96, 256, 5, padding=2, groups=2),
        nn.ReLU(),
        lrn(),
        nn.MaxPool2d(3, 2),
        nn.Conv2d(256, 384, 3, padding=1),
        nn.ReLU(),
        nn.Conv2d(384, 384, 3, padding=1, groups=2),
        nn.ReLU(),
        nn.Conv2d(384, 256, 3, padding=1, groups=2),
        nn.ReLU(),
        nn.MaxPool2d(3, 2),
        *classifier(256 * 6 * 6, 4096, 4096, 1000),
    )


def single() -> Sequence:
    """The listing of the lectures: neither groups nor normalization."""
    return Sequence(
        nn.Conv2d(3, 96, 11, 4),
        nn.ReLU(),
        nn.MaxPool2d(3, 2),
        nn.Conv2d(96, 256, 5, padding=2),
        nn.ReLU(),
        nn.MaxPool2d(3, 2),
        nn.Conv2d(256, 384, 3, padding=1),
        nn.ReLU(),
        nn.Conv2d(384, 384, 3, padding=1),
        nn.ReLU(),
        nn.Conv2d(384, 256, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(3, 2),
        *classifier(256 * 6 * 6, 4096, 4096, 1000),
    )


class Towers(Reference):
    """Two towers, each with half of the maps; they are joined for normalization, before conv3, and before fc6."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.ModuleList(nn.Conv2d(3, 48, 11, 4) for _ in range(2))
        self.conv2 = nn.ModuleList(nn.Conv2d(48, 128, 5, padding=2) for _ in range(2))
        self.conv3 = nn.ModuleList(nn.Conv2d(256, 192, 3, padding=1) for _ in range(2))
        self.tails = nn.ModuleList(
            nn.Sequential(
                nn.Conv2d(192, 192, 3, padding=1),
                nn.ReLU(),
                nn.Conv2d(192, 128, 3, padding=1),
                nn.ReLU(),
                nn.MaxPool2d(3, 2),
            )
            for _ in range(2)
        )
        self.head = nn.Sequential(*classifier(256 * 6 * 6, 4096, 4096, 1000))
        self.norm, self.pool = lrn(), nn.MaxPool2d(3, 2)

    def forward(self, x: Tensor) -> Tensor:
        """(N, 3, 227, 227) -> (N, 1000)."""
        x = self.pool(self.norm(torch.cat([conv(x) for conv in self.conv1], 1).relu()))
        x = torch.cat([conv(half) for conv, half in zip(self.conv2, x.chunk(2, 1), strict=True)], 1).relu()
        x = self.pool(self.norm(x))
        halves = [conv(x).relu() for conv in self.conv3]
        return self.head(torch.cat([tail(half) for tail, half in zip(self.tails, halves, strict=True)], 1))


NETS = {"alexnet": grouped, "alexnet_single": single, "alexnet_towers": Towers}
