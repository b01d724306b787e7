"""A highway network as a plain PyTorch module (Srivastava et al. 2015, equation 3)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from reference import Reference


class Highway(Reference):
    """48 layers of width 50 between two linear layers."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(3072, 50)
        self.layers = nn.ModuleList()
        for _ in range(48):
            gate = nn.Linear(50, 50)
            self.layers.append(nn.ModuleList([gate, nn.Linear(50, 50)]))
        self.last = nn.Linear(50, 10)

    def forward(self, x: Tensor) -> Tensor:
        """(N, 3, 32, 32) -> (N, 10)."""
        x = self.first(x.flatten(1))
        for gate, transform in self.layers:
            g = torch.sigmoid(gate(x))
            x = transform(x).clamp_min(0) * g + x * (1 - g)
        return self.last(x)


NETS = {"highway": Highway}
