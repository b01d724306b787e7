"""The deconvolution network of Xu et al. 2014 as a plain PyTorch module."""

from __future__ import annotations

from torch import nn

from reference import Reference, Sequence


def deconvolution() -> Reference:
    """Figure 6: 184x184 -> 184x64 -> 64x64 -> 49x49 -> 49x49 -> 56x56."""
    return Sequence(
        nn.Conv2d(1, 38, (1, 121)),
        nn.Tanh(),
        nn.Conv2d(38, 38, (121, 1)),
        nn.Tanh(),
        nn.Conv2d(38, 512, 16),
        nn.Tanh(),
        nn.Conv2d(512, 512, 1),
        nn.Tanh(),
        nn.Conv2d(512, 1, 8, padding=7),
    )


NETS = {"deconvolution": deconvolution}
