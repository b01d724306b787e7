"""CycleGAN's networks as plain PyTorch modules (Zhu et al. 2017, appendix 7.2)."""

from __future__ import annotations

from functools import partial

from torch import Tensor, nn

from reference import Reference, Sequence


class Residual(nn.Module):
    """Two 3x3 convolutions on mirrored borders, and the input."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(width, width, 3, padding=1, padding_mode="reflect"),
            nn.InstanceNorm2d(width),
            nn.ReLU(),
            nn.Conv2d(width, width, 3, padding=1, padding_mode="reflect"),
            nn.InstanceNorm2d(width),
        )

    def forward(self, x: Tensor) -> Tensor:
        """The shape stays."""
        return x + self.layers(x)


def generator(blocks: int) -> Reference:
    """c7s1-64, d128, d256, R256 so many times, u128, u64, c7s1-3."""
    layers: list[nn.Module] = []

    def normed(conv: nn.Module, width: int) -> None:
        layers.extend([conv, nn.InstanceNorm2d(width), nn.ReLU()])

    normed(nn.Conv2d(3, 64, 7, padding=3, padding_mode="reflect"), 64)
    normed(nn.Conv2d(64, 128, 3, 2, 1), 128)
    normed(nn.Conv2d(128, 256, 3, 2, 1), 256)
    layers += [Residual(256) for _ in range(blocks)]
    normed(nn.ConvTranspose2d(256, 128, 3, 2, 1, output_padding=1), 128)
    normed(nn.ConvTranspose2d(128, 64, 3, 2, 1, output_padding=1), 64)
    return Sequence(*layers, nn.Conv2d(64, 3, 7, padding=3, padding_mode="reflect"), nn.Tanh())


def discriminator() -> Reference:
    """C64, C128, C256, C512 and a score: 4x4 convolutions, no norm in the first."""
    layers: list[nn.Module] = [nn.Conv2d(3, 64, 4, 2, 1), nn.LeakyReLU(0.2)]
    for channels, width, stride in ((64, 128, 2), (128, 256, 2), (256, 512, 1)):
        layers += [nn.Conv2d(channels, width, 4, stride, 1), nn.InstanceNorm2d(width), nn.LeakyReLU(0.2)]
    return Sequence(*layers, nn.Conv2d(512, 1, 4, 1, 1))


NETS = {
    "cyclegan_generator": partial(generator, 9),
    "cyclegan_generator_128": partial(generator, 6),
    "patchgan_70": discriminator,
}
