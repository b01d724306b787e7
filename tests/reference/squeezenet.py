"""SqueezeNet as a plain PyTorch module."""

from __future__ import annotations

from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from reference import Reference


class SqueezeNet(Reference):
    """Iandola et al. 2016, Table 1 and Figure 2: without bypass, with simple, and with complex bypass."""

    # Table 1: s1x1, e1x1, e3x3
    FIRES = {
        2: (16, 64, 64),
        3: (16, 64, 64),
        4: (32, 128, 128),
        5: (32, 128, 128),
        6: (48, 192, 192),
        7: (48, 192, 192),
        8: (64, 256, 256),
        9: (64, 256, 256),
    }
    NAMES = (
        (r"(conv1|conv10)\.(\w+)", r"\1.conv.\2"),
        (r"fire(\d)_s\.(\w+)", r"fire\1.squeeze.conv.\2"),
        (r"fire(\d)_e([13])\.(\w+)", r"fire\1.expand\2x\2.conv_relu.conv.\3"),
        (r"fire(\d)_bypass\.(\w+)", r"fire\1.bypass.conv.\2"),
    )

    def __init__(self, bypass: str = "none") -> None:
        super().__init__()
        self.bypass = bypass
        self.conv1 = nn.Conv2d(3, 96, 7, 2)
        width = 96
        for n, (s, e1, e3) in self.FIRES.items():
            self.add_module(f"fire{n}_s", nn.Conv2d(width, s, 1))
            self.add_module(f"fire{n}_e1", nn.Conv2d(s, e1, 1))
            self.add_module(f"fire{n}_e3", nn.Conv2d(s, e3, 3, 1, 1))
            if bypass == "complex" and n in (2, 4, 6, 8):
                self.add_module(f"fire{n}_bypass", nn.Conv2d(width, e1 + e3, 1))
            width = e1 + e3
        self.conv10 = nn.Conv2d(width, 1000, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(N, 3, H, W) -> (N, 1000)."""
        x = F.max_pool2d(F.relu(self.conv1(x)), 3, 2, ceil_mode=True)
        for n in self.FIRES:
            squeezed = F.relu(self.get_submodule(f"fire{n}_s")(x))
            y = torch.cat([F.relu(self.get_submodule(f"fire{n}_e{k}")(squeezed)) for k in (1, 3)], 1)
            if hasattr(self, f"fire{n}_bypass"):
                y = y + self.get_submodule(f"fire{n}_bypass")(x)
            elif self.bypass != "none" and n in (3, 5, 7, 9):
                y = y + x
            x = F.max_pool2d(y, 3, 2, ceil_mode=True) if n in (4, 8) else y
        return F.relu(self.conv10(x)).mean((2, 3))


NETS = {
    "squeezenet": SqueezeNet,
    "squeezenet_simple_bypass": partial(SqueezeNet, "simple"),
    "squeezenet_complex_bypass": partial(SqueezeNet, "complex"),
}
