"""Residual units by the place of their activations, as plain PyTorch modules (He et al. 2016, Figure 4)."""

from __future__ import annotations

from functools import partial

import torch.nn.functional as F
from torch import Tensor, nn

from reference import Reference

Layers = list[nn.Module]


class Net(Reference):
    """Stages of units of one kind: orig, bn_after_add, relu_before_add, relu_only_pre, full_pre."""

    def __init__(self, kind: str, n: int, deep: bool, widths: tuple[int, int, int] = (16, 32, 64)) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 16, 3, 1, 1, bias=False)
        self.stem_norm = nn.Identity() if kind == "full_pre" else nn.BatchNorm2d(16)
        self.kind, self.units, channels = kind, nn.ModuleList(), 16
        for stage, width in enumerate(widths):
            for index in range(n):
                stride = 2 if stage and index == 0 else 1
                rows = [(width, 1), (width, 3), (4 * width, 1)] if deep else [(width, 3), (width, 3)]
                self.units.append(self.unit(channels, rows, stride, index == 0))
                channels = rows[-1][0]
        self.last = nn.BatchNorm2d(channels) if kind == "full_pre" else nn.Identity()
        self.classifier = nn.Linear(channels, 10)

    def unit(self, channels: int, rows: list[tuple[int, int]], stride: int, first: bool) -> nn.ModuleDict:
        """The layers of a unit."""
        common, layers, after, inside = nn.Sequential(), [], nn.Sequential(), channels
        for number, (out, kernel) in enumerate(rows):
            conv = nn.Conv2d(inside, out, kernel, stride if number == 0 else 1, kernel // 2, bias=False)
            norm, last = nn.BatchNorm2d(out), number == len(rows) - 1
            if self.kind == "orig":
                layers += [conv, norm] + ([] if last else [nn.ReLU()])
            elif self.kind == "bn_after_add":
                layers += [conv] + ([] if last else [norm, nn.ReLU()])
                after = nn.Sequential(norm)
            elif self.kind == "relu_before_add":
                layers += [conv, norm, nn.ReLU()]
            elif self.kind == "relu_only_pre":
                layers += [nn.ReLU(), conv, norm]
            else:
                before: Layers = [nn.BatchNorm2d(inside), nn.ReLU()]
                if first and number == 0:
                    common = nn.Sequential(*before)
                    before = []
                layers += [*before, conv]
            inside = out
        if self.kind in ("orig", "bn_after_add"):
            after.append(nn.ReLU())
        project = nn.Identity()
        if stride > 1 or channels != inside:
            project = nn.Conv2d(channels, inside, 1, stride, bias=False)
        return nn.ModuleDict({"common": common, "residual": nn.Sequential(*layers), "project": project, "after": after})

    def forward(self, x: Tensor) -> Tensor:
        """(N, 3, 32, 32) -> (N, 10)."""
        x = self.stem_norm(self.stem(x))
        x = F.relu(x) if self.kind in ("orig", "bn_after_add", "relu_before_add") else x
        for unit in self.units:
            x = unit["common"](x)
            x = unit["after"](unit["residual"](x) + unit["project"](x))
        x = F.relu(self.last(x)) if "pre" in self.kind else x
        return self.classifier(x.mean((2, 3)))


NETS = {
    **{
        f"resnet{depth}_{kind}": partial(Net, kind, 18, depth == 164)
        for depth in (110, 164)
        for kind in ("orig", "bn_after_add", "relu_before_add", "relu_only_pre", "full_pre")
    },
    "resnet1001_full_pre": partial(Net, "full_pre", 111, True),
}
