"""Inception-ResNet v1, and v2 of the figures, as plain PyTorch modules (Szegedy et al. 2016, Figures 3, 10 to 19)."""

from __future__ import annotations

from copy import deepcopy

from torch import Tensor, nn

from reference import Reference
from reference.inception_v2 import Branches, chain, conv, halved


class Residual(nn.Module):
    """relu(x + scale * (1x1 convolution of the branches)); the last of all has neither scale nor ReLU."""

    def __init__(self, channels: int, branches: nn.Module, joined: int, scale: float, last: bool = False) -> None:
        super().__init__()
        self.branches, self.expand = branches, nn.Conv2d(joined, channels, 1)
        self.scale, self.last = scale, last

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, C, H, W)."""
        y = x + self.scale * self.expand(self.branches(x))
        return y if self.last else y.relu()


class InceptionResNetV1(Reference):
    """5 A, 10 B, 5 C and a sixth; the reductions between."""

    def __init__(self) -> None:
        super().__init__()
        c = 256
        stem = [
            halved(3, 32),
            conv(32, 32, (3, 3), 1, (0, 0)),
            conv(32, 64, (3, 3)),
            nn.MaxPool2d(3, 2),
            conv(64, 80, (1, 1)),
            conv(80, 192, (3, 3), 1, (0, 0)),
            halved(192, 256),
        ]
        a = [
            Residual(
                c,
                Branches(
                    chain(c, (32, 1, 1)), chain(c, (32, 1, 1), (32, 3, 3)), chain(c, (32, 1, 1), (32, 3, 3), (32, 3, 3))
                ),
                96,
                0.17,
            )
            for _ in range(5)
        ]
        to17 = Branches(
            halved(c, 384), nn.Sequential(chain(c, (192, 1, 1), (192, 3, 3)), halved(192, 256)), nn.MaxPool2d(3, 2)
        )
        c = 896
        b = [
            Residual(c, Branches(chain(c, (128, 1, 1)), chain(c, (128, 1, 1), (128, 1, 7), (128, 7, 1))), 256, 0.1)
            for _ in range(10)
        ]
        to8 = Branches(
            nn.Sequential(chain(c, (256, 1, 1)), halved(256, 384)),
            nn.Sequential(chain(c, (256, 1, 1)), halved(256, 256)),
            nn.Sequential(chain(c, (256, 1, 1), (256, 3, 3)), halved(256, 256)),
            nn.MaxPool2d(3, 2),
        )
        c = 1792
        tail = [
            Residual(
                c,
                Branches(chain(c, (192, 1, 1)), chain(c, (192, 1, 1), (192, 1, 3), (192, 3, 1))),
                384,
                0.2 if i < 5 else 1.0,
                i == 5,
            )
            for i in range(6)
        ]
        self.rows = nn.Sequential(*stem, *a, to17, *b, to8, *tail)
        self.classifier = nn.Linear(c, 1000)

    def forward(self, x: Tensor) -> Tensor:
        """(N, 3, 299, 299) -> (N, 1000)."""
        return self.classifier(self.rows(x).mean((2, 3)))


def v4_stem() -> list[nn.Module]:
    """Figure 3: 35 x 35 x 384, with three joins."""
    return [
        halved(3, 32),
        conv(32, 32, (3, 3), 1, (0, 0)),
        conv(32, 64, (3, 3)),
        Branches(nn.MaxPool2d(3, 2), halved(64, 96)),
        Branches(
            nn.Sequential(chain(160, (64, 1, 1)), conv(64, 96, (3, 3), 1, (0, 0))),
            nn.Sequential(chain(160, (64, 1, 1), (64, 1, 7), (64, 7, 1)), conv(64, 96, (3, 3), 1, (0, 0))),
        ),
        Branches(halved(192, 192), nn.MaxPool2d(3, 2)),
    ]


class InceptionResNetV2OfFigures(Reference):
    """5 A of 384, 10 B of 384 + 384 + 384, 5 C of 1152 + 384 + 288 + 320 channels (Figures 16 to 19, Table 1)."""

    def __init__(self) -> None:
        super().__init__()
        a = Branches(
            chain(384, (32, 1, 1)),
            chain(384, (32, 1, 1), (32, 3, 3)),
            chain(384, (32, 1, 1), (48, 3, 3), (64, 3, 3)),
        )
        to17 = Branches(
            halved(384, 384), nn.Sequential(chain(384, (256, 1, 1), (256, 3, 3)), halved(256, 384)), nn.MaxPool2d(3, 2)
        )
        b = Branches(chain(1152, (192, 1, 1)), chain(1152, (128, 1, 1), (160, 1, 7), (192, 7, 1)))
        to8 = Branches(
            nn.Sequential(chain(1152, (256, 1, 1)), halved(256, 384)),
            nn.Sequential(chain(1152, (256, 1, 1)), halved(256, 288)),
            nn.Sequential(chain(1152, (256, 1, 1), (288, 3, 3)), halved(288, 320)),
            nn.MaxPool2d(3, 2),
        )
        c = Branches(chain(2144, (192, 1, 1)), chain(2144, (192, 1, 1), (224, 1, 3), (256, 3, 1)))
        self.rows = nn.Sequential(
            *v4_stem(),
            *(Residual(384, deepcopy(a), 128, 0.17) for _ in range(5)),
            to17,
            *(Residual(1152, deepcopy(b), 384, 0.1) for _ in range(10)),
            to8,
            *(Residual(2144, deepcopy(c), 448, 0.2) for _ in range(5)),
        )
        self.classifier = nn.Linear(2144, 1000)

    def forward(self, x: Tensor) -> Tensor:
        """(N, 3, 299, 299) -> (N, 1000)."""
        return self.classifier(self.rows(x).mean((2, 3)))


NETS = {"inception_resnet_v1": InceptionResNetV1, "inception_resnet_v2_figures": InceptionResNetV2OfFigures}
