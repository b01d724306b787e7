"""Inception v2 as a plain PyTorch module (Szegedy et al. 2015, Table 1), with the widths that the spec chose."""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor, nn

from reference import Reference


def conv(
    inside: int, out: int, kernel: tuple[int, int], stride: int = 1, pad: tuple[int, int] | None = None
) -> nn.Sequential:
    """Convolution without bias, batch norm with TensorFlow's eps, ReLU."""
    pads = (kernel[0] // 2, kernel[1] // 2) if pad is None else pad
    layer = nn.Conv2d(inside, out, kernel, stride, pads, bias=False)
    return nn.Sequential(layer, nn.BatchNorm2d(out, eps=1e-3), nn.ReLU())


def chain(inside: int, *rows: tuple[int, int, int]) -> nn.Sequential:
    """Convolutions with stride 1 that keep the size, each given as out, height, width."""
    layers = []
    for out, h, w in rows:
        layers.append(conv(inside, out, (h, w)))
        inside = out
    return nn.Sequential(*layers)


class Branches(nn.Module):
    """What the branches give, one after the other along the channels."""

    def __init__(self, *branches: nn.Module) -> None:
        super().__init__()
        self.branches = nn.ModuleList(branches)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, C', H', W')."""
        return torch.cat([branch(x) for branch in self.branches], 1)


def pooled(inside: int, out: int) -> nn.Sequential:
    """An average pooling that counts its padding, and a 1x1 convolution."""
    return nn.Sequential(nn.AvgPool2d(3, 1, 1), conv(inside, out, (1, 1)))


def figure5(c: int, r: int, d: int, m: int) -> nn.Module:
    """35 x 35; r and d channels enter the 3x3 and the two of them, m are between these."""
    return Branches(
        chain(c, (64, 1, 1)),
        chain(c, (r, 1, 1), (64, 3, 3)),
        chain(c, (d, 1, 1), (m, 3, 3), (96, 3, 3)),
        pooled(c, 64),
    )


def figure6(c: int, n: int) -> nn.Module:
    """17 x 17."""
    return Branches(
        chain(c, (192, 1, 1)),
        chain(c, (n, 1, 1), (n, 1, 7), (192, 7, 1)),
        chain(c, (n, 1, 1), (n, 7, 1), (n, 1, 7), (n, 7, 1), (192, 1, 7)),
        pooled(c, 192),
    )


def figure7(c: int, r: int) -> nn.Module:
    """8 x 8; r channels enter the 3x3."""

    def fork() -> nn.Module:
        return Branches(conv(384, 384, (1, 3)), conv(384, 384, (3, 1)))

    return Branches(
        chain(c, (320, 1, 1)),
        nn.Sequential(chain(c, (384, 1, 1)), fork()),
        nn.Sequential(chain(c, (r, 1, 1), (384, 3, 3)), fork()),
        pooled(c, 192),
    )


def halved(inside: int, out: int) -> nn.Sequential:
    """3x3 with stride 2 and no padding."""
    return conv(inside, out, (3, 3), 2, (0, 0))


class InceptionV2(Reference):
    """Rows of Table 1, with the widths inside of the modules of 35, 17 and 8 cells."""

    def __init__(self, r: int, d: int, m: int, n: int, q: int) -> None:
        super().__init__()
        self.rows = nn.Sequential(
            halved(3, 32),
            conv(32, 32, (3, 3), 1, (0, 0)),
            conv(32, 64, (3, 3)),
            nn.MaxPool2d(3, 2),
            conv(64, 80, (3, 3), 1, (0, 0)),
            halved(80, 192),
            conv(192, 288, (3, 3)),
            *(figure5(288, r, d, m) for _ in range(3)),
            Branches(
                halved(288, 384), nn.Sequential(chain(288, (d, 1, 1), (m, 3, 3)), halved(m, 96)), nn.MaxPool2d(3, 2)
            ),
            *(figure6(768, n) for _ in range(5)),
            Branches(
                nn.Sequential(chain(768, (n, 1, 1)), halved(n, 320)),
                nn.Sequential(chain(768, (n, 1, 1), (n, 1, 7), (n, 7, 1)), halved(n, 192)),
                nn.MaxPool2d(3, 2),
            ),
            figure7(1280, q),
            figure7(2048, q),
        )
        self.classifier = nn.Linear(2048, 1000)

    def forward(self, x: Tensor) -> Tensor:
        """(N, 3, 299, 299) -> (N, 1000)."""
        return self.classifier(self.rows(x).mean((2, 3)))


NETS = {
    "inception_v2": partial(InceptionV2, 18, 24, 36, 72, 168),
    "inception_v2_5g": partial(InceptionV2, 30, 40, 60, 120, 280),
    "inception_v2_wide": partial(InceptionV2, 48, 64, 96, 192, 448),
}
