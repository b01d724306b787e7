"""The denoising multi-layer perceptron of Burger et al. 2012 as a plain PyTorch module."""

from __future__ import annotations

from torch import nn

from reference import Reference, Sequence


def mlp() -> Reference:
    """A patch of 17 x 17 pixels, four hidden layers of 2047, tanh, the same patch without its noise."""
    widths = [17 * 17, 2047, 2047, 2047, 2047]
    layers: list[nn.Module] = [nn.Flatten()]
    for features, width in zip(widths, widths[1:], strict=False):
        layers += [nn.Linear(features, width), nn.Tanh()]
    return Sequence(*layers, nn.Linear(2047, 17 * 17))


NETS = {"denoising_mlp": mlp}
