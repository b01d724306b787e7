"""The context encoders of Pathak et al. 2016 as plain PyTorch modules: the authors' train.lua, and section 3.1."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from reference import Reference, Sequence


def down(channels: int, out: int, norm: bool = True) -> list[nn.Module]:
    """Halves the map."""
    layers: list[nn.Module] = [nn.Conv2d(channels, out, 4, 2, 1), nn.BatchNorm2d(out), nn.LeakyReLU(0.2)]
    return layers if norm else [layers[0], layers[2]]


def up(channels: int, out: int, stride: int = 2, pad: int = 1) -> list[nn.Module]:
    """Doubles the map."""
    return [nn.ConvTranspose2d(channels, out, 4, stride, pad), nn.BatchNorm2d(out), nn.ReLU()]


def context_encoder() -> Reference:
    """128 -> 64, 32, 16, 8, 4 -> 4000 values -> 4, 8, 16, 32, 64."""
    encoder = [*down(3, 64, False), *down(64, 64), *down(64, 128), *down(128, 256), *down(256, 512)]
    latent = [nn.Conv2d(512, 4000, 4), nn.BatchNorm2d(4000), nn.LeakyReLU(0.2)]
    decoder = [*up(4000, 512, 1, 0), *up(512, 256), *up(256, 128), *up(128, 64)]
    return Sequence(*encoder, *latent, *decoder, nn.ConvTranspose2d(64, 3, 4, 2, 1), nn.Tanh())


def discriminator() -> Reference:
    """64 -> 32, 16, 8, 4 -> one probability."""
    maps = [*down(3, 64, False), *down(64, 128), *down(128, 256), *down(256, 512)]
    return Sequence(*maps, nn.Conv2d(512, 1, 4), nn.Sigmoid())


class ChannelWise(nn.Module):
    """Section 3.1: a matrix of 36 x 36 and a bias of 36 for each of 256 maps, kept as by a grouped convolution."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(256 * 36, 1, 6, 6))
        self.bias = nn.Parameter(torch.empty(256 * 36))

    def forward(self, x: Tensor) -> Tensor:
        """(N, 256, 6, 6) -> (N, 256, 6, 6)."""
        matrices = self.weight.view(256, 36, 36)
        return (torch.einsum("coi,nci->nco", matrices, x.flatten(2)) + self.bias.view(256, 36)).view_as(x)


def alexnet_inpainter() -> Reference:
    """AlexNet up to pool5, the channel-wise layer, a 1x1 convolution, 6 -> 11, 21, 41, 81, 161."""
    norm = nn.LocalResponseNorm(5, 5e-4, 0.75, 2)
    encoder = [
        *(nn.Conv2d(3, 96, 11, 4), nn.ReLU(), norm, nn.MaxPool2d(3, 2)),
        *(nn.Conv2d(96, 256, 5, padding=2, groups=2), nn.ReLU(), norm, nn.MaxPool2d(3, 2)),
        *(nn.Conv2d(256, 384, 3, padding=1), nn.ReLU()),
        *(nn.Conv2d(384, 384, 3, padding=1, groups=2), nn.ReLU()),
        *(nn.Conv2d(384, 256, 3, padding=1, groups=2), nn.ReLU(), nn.MaxPool2d(3, 2)),
    ]
    middle = [ChannelWise(), nn.ReLU(), nn.Conv2d(256, 256, 1), nn.ReLU()]
    decoder: list[nn.Module] = []
    for channels, out in [(256, 128), (128, 64), (64, 64), (64, 32), (32, 3)]:
        decoder += [nn.ConvTranspose2d(channels, out, 5, 2, 2), nn.ReLU()]
    return Sequence(*encoder, *middle, *decoder[:-1])


NETS = {
    "context_encoder": context_encoder,
    "context_encoder_alexnet": alexnet_inpainter,
    "context_encoder_discriminator": discriminator,
}
