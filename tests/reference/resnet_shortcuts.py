"""ResNet-110 with the shortcuts of He et al. 2016, Figure 2, as a plain PyTorch module."""

from __future__ import annotations

from functools import partial

from torch import Tensor, nn

from reference import Reference
from reference.resnet_cifar import option_a


class Net(Reference):
    """54 units: a residual of two 3x3, and a shortcut that is kept, scaled, gated, convolved or dropped."""

    def __init__(self, kind: str, shortcut: float = 1.0, residual: float = 1.0) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 16, 3, 1, 1, bias=False), nn.BatchNorm2d(16), nn.ReLU())
        self.kind, self.units, channels = kind, nn.ModuleList(), 16
        self.shortcut, self.residual = shortcut, residual
        for stage in range(3):
            out = 16 << stage
            for index in range(18):
                stride = 2 if stage and index == 0 else 1
                unit = nn.ModuleDict(
                    {
                        "f": nn.Sequential(
                            nn.Conv2d(channels, out, 3, stride, 1, bias=False),
                            nn.BatchNorm2d(out),
                            nn.ReLU(),
                            nn.Conv2d(out, out, 3, 1, 1, bias=False),
                            nn.BatchNorm2d(out),
                        )
                    }
                )
                if "gate" in kind:
                    unit["gate"] = nn.Sequential(nn.Conv2d(out, out, 1), nn.Sigmoid())
                if kind == "conv":
                    unit["conv"] = nn.Conv2d(channels, out, 1, stride, bias=False)
                self.units.append(unit)
                channels = out
        self.classifier = nn.Linear(64, 10)

    def forward(self, x: Tensor) -> Tensor:
        """(N, 3, 32, 32) -> (N, 10)."""
        x = self.stem(x)
        for unit in self.units:
            f = unit["f"](x)
            kept = option_a(x, f.shape[1], x.shape[2] // f.shape[2])
            f, kept = self.residual * f, self.shortcut * kept
            if "gate" in self.kind:
                g = unit["gate"](kept)
                f, kept = g * f if self.kind == "exclusive_gate" else f, (1 - g) * kept
            elif self.kind == "conv":
                kept = unit["conv"](x)
            x = (f + kept).relu()
        return self.classifier(x.mean((2, 3)))


NETS = {
    f"resnet110_{kind}": partial(Net, kind)
    for kind in ("identity", "exclusive_gate", "shortcut_gate", "conv", "dropout")
} | {
    "resnet110_scaled": partial(Net, "scaled", 0.5, 0.5),
    "resnet110_scaled_0_1": partial(Net, "scaled", 0, 1),
    "resnet110_scaled_05_1": partial(Net, "scaled", 0.5, 1),
    "resnet110_exclusive_gate_0": partial(Net, "exclusive_gate"),
    "resnet110_exclusive_gate_7": partial(Net, "exclusive_gate"),
    "resnet110_shortcut_gate_0": partial(Net, "shortcut_gate"),
}
