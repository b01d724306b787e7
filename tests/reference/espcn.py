"""ESPCN as a plain PyTorch module (Shi et al. 2016, section 3.2: (5, 64), (3, 32), 3)."""

from __future__ import annotations

from functools import partial

from torch import nn

from reference import Reference, Sequence


def espcn(factor: int) -> Reference:
    """(N, 1, H, W) -> (N, 1, factor * H, factor * W)."""
    return Sequence(
        nn.Conv2d(1, 64, 5, padding=2),
        nn.Tanh(),
        nn.Conv2d(64, 32, 3, padding=1),
        nn.Tanh(),
        nn.Conv2d(32, factor**2, 3, padding=1),
        nn.PixelShuffle(factor),
    )


NETS = {f"espcn_x{factor}": partial(espcn, factor) for factor in (2, 3, 4)}
