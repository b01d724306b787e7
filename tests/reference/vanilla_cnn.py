"""The "Vanilla" CNN for facial landmarks (Wu et al. 2015) as a plain PyTorch module."""

from __future__ import annotations

from torch import Tensor, nn

from reference import Reference, Sequence


class AbsoluteTanh(nn.Module):
    """|tanh(x)|."""

    def forward(self, x: Tensor) -> Tensor:
        """(N, ...) -> (N, ...)."""
        return x.tanh().abs()


def vanilla_cnn() -> Reference:
    """40 -> 20 -> 10 -> 8 -> 4 -> 3: four convolutions, then 100 and the ten coordinates; the last pool rounds up."""
    return Sequence(
        nn.Conv2d(3, 16, 5, padding=2),
        AbsoluteTanh(),
        nn.MaxPool2d(2),
        nn.Conv2d(16, 48, 3, padding=1),
        AbsoluteTanh(),
        nn.MaxPool2d(2),
        nn.Conv2d(48, 64, 3),
        AbsoluteTanh(),
        nn.MaxPool2d(3, 2, ceil_mode=True),
        nn.Conv2d(64, 64, 2),
        AbsoluteTanh(),
        nn.Flatten(),
        nn.Linear(576, 100),
        AbsoluteTanh(),
        nn.Linear(100, 10),
    )


NETS = {"vanilla_cnn": vanilla_cnn}
