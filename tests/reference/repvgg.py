"""RepVGG at inference as a plain PyTorch module (Ding et al. 2021, Table 2): 3x3 convolutions and ReLU."""

from __future__ import annotations

from functools import partial

from torch import nn

from reference import Sequence


class RepVGG(Sequence):
    """Stages of 1 and `depths` layers, of which the first halves the map; every second one, to the 27th, is grouped."""

    def __init__(self, depths: tuple[int, ...], a: float, b: float, groups: int = 1) -> None:
        layers: list[nn.Module] = []
        inside, number = 3, 0
        widths = (min(64, int(64 * a)), int(64 * a), int(128 * a), int(256 * a), int(512 * b))
        for count, width in zip((1, *depths), widths, strict=True):
            for index in range(count):
                parts = groups if number and number % 2 == 0 else 1
                layers += [nn.Conv2d(inside, width, 3, 1 if index else 2, 1, groups=parts), nn.ReLU()]
                inside, number = width, number + 1
        super().__init__(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(inside, 1000))


A, B = (2, 4, 14, 1), (4, 6, 16, 1)
NETS = {
    "repvgg_a0_merged": partial(RepVGG, A, 0.75, 2.5),
    "repvgg_a1_merged": partial(RepVGG, A, 1, 2.5),
    "repvgg_a2_merged": partial(RepVGG, A, 1.5, 2.75),
    "repvgg_b0_merged": partial(RepVGG, B, 1, 2.5),
    "repvgg_b1_merged": partial(RepVGG, B, 2, 4),
    "repvgg_b1g4_merged": partial(RepVGG, B, 2, 4, 4),
    "repvgg_b2_merged": partial(RepVGG, B, 2.5, 5),
    "repvgg_b2g4_merged": partial(RepVGG, B, 2.5, 5, 4),
    "repvgg_b3_merged": partial(RepVGG, B, 3, 5),
    "repvgg_b3g4_merged": partial(RepVGG, B, 3, 5, 4),
}
