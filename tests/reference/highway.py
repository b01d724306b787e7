"""Highway networks as plain PyTorch modules (Srivastava et al. 2015, equation 3)."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from reference import Reference


class Highway(Reference):
    """Layers of width 50 between two linear layers."""

    def __init__(self, layers: int = 48, act: Callable[[Tensor], Tensor] = torch.relu) -> None:
        super().__init__()
        self.act, self.first = act, nn.Linear(3072, 50)
        self.layers = nn.ModuleList()
        for _ in range(layers):
            gate = nn.Linear(50, 50)
            self.layers.append(nn.ModuleList([gate, nn.Linear(50, 50)]))
        self.last = nn.Linear(50, 10)

    def forward(self, x: Tensor) -> Tensor:
        """(N, 3, 32, 32) -> (N, 10)."""
        x = self.first(x.flatten(1))
        for gate, transform in self.layers:
            g = torch.sigmoid(gate(x))
            x = self.act(transform(x)) * g + x * (1 - g)
        return self.last(x)


NETS = {"highway": Highway}
