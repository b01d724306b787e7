"""The siamese network of Koch et al. 2015 as a plain PyTorch module."""

from __future__ import annotations

from torch import Tensor, nn

from reference import Reference


class Siamese(Reference):
    """Section 3.1 and Figure 4: the twins are one module that is called twice."""

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        channels = 1
        for out, kernel in ((64, 10), (128, 7), (128, 4), (256, 4)):
            layers += [nn.Conv2d(channels, out, kernel), nn.ReLU(), nn.MaxPool2d(2)]
            channels = out
        self.twin = nn.Sequential(*layers[:-1], nn.Flatten(), nn.Linear(256 * 6 * 6, 4096), nn.Sigmoid())
        self.alpha = nn.Linear(4096, 1)

    def forward(self, left: Tensor, right: Tensor) -> Tensor:
        """(N, 1, 105, 105) twice -> (N, 1)."""
        return self.alpha((self.twin(left) - self.twin(right)).abs()).sigmoid()


NETS = {"siamese": Siamese}
