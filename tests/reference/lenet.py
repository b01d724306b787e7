"""LeNet-5 as a plain PyTorch module (LeCun et al. 1998, Figure 2)."""

from __future__ import annotations

from torch import nn

from reference import Sequence


def lenet5() -> Sequence:
    """6@28x28, 6@14x14, 16@10x10, 16@5x5, 120, 84, 10."""
    return Sequence(
        nn.Conv2d(1, 6, 5),
        nn.Tanh(),
        nn.AvgPool2d(2),
        nn.Conv2d(6, 16, 5),
        nn.Tanh(),
        nn.AvgPool2d(2),
        nn.Conv2d(16, 120, 5),
        nn.Tanh(),
        nn.Flatten(),
        nn.Linear(120, 84),
        nn.Tanh(),
        nn.Linear(84, 10),
    )


NETS = {"lenet5": lenet5}
