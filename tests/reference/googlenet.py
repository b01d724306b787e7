"""GoogLeNet as a plain PyTorch module."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from reference import Reference


class GoogLeNet(Reference):
    """Szegedy et al. 2014, Table 1 and Figure 3, with local response normalization and Caffe's ceil-mode pooling."""

    # Table 1: 1x1, 3x3 reduce, 3x3, 5x5 reduce, 5x5, pool proj
    ROWS = {
        "3a": (64, 96, 128, 16, 32, 32),
        "3b": (128, 128, 192, 32, 96, 64),
        "4a": (192, 96, 208, 16, 48, 64),
        "4b": (160, 112, 224, 24, 64, 64),
        "4c": (128, 128, 256, 24, 64, 64),
        "4d": (112, 144, 288, 32, 64, 64),
        "4e": (256, 160, 320, 32, 128, 128),
        "5a": (256, 160, 320, 32, 128, 128),
        "5b": (384, 192, 384, 48, 128, 128),
    }
    NAMES = (
        (r"stem7\.(\w+)", r"conv1.conv.\1"),
        (r"stem1\.(\w+)", r"conv2.reduce.conv.\1"),
        (r"stem3\.(\w+)", r"conv2.conv3x3.conv.\1"),
        (r"inc(\w\w)_1x1\.(\w+)", r"\1.b1x1.conv_relu.conv.\2"),
        (r"inc(\w\w)_(3x3|5x5)_reduce\.(\w+)", r"\1.b\2.conv_relu.conv.\3"),
        (r"inc(\w\w)_(3x3|5x5)\.(\w+)", r"\1.b\2.conv_relu_2.conv.\3"),
        (r"inc(\w\w)_proj\.(\w+)", r"\1.pool.conv_relu.conv.\2"),
        (r"classifier\.(\w+)", r"fc.\1"),
        (r"aux(\d)_conv\.(\w+)", r"aux\1.aux_head.conv.conv.\2"),
        (r"aux(\d)_(fc\d)\.(\w+)", r"aux\1.aux_head.\2.\3"),
    )

    def __init__(self, aux: bool = False) -> None:
        super().__init__()
        self.heads = {"4a": "aux1", "4d": "aux2"} if aux else {}
        self.stem7 = nn.Conv2d(3, 64, 7, 2, 3)
        self.stem1 = nn.Conv2d(64, 64, 1)
        self.stem3 = nn.Conv2d(64, 192, 3, 1, 1)
        width = 192
        for row, (n1, r3, n3, r5, n5, proj) in self.ROWS.items():
            self.add_module(f"inc{row}_1x1", nn.Conv2d(width, n1, 1))
            self.add_module(f"inc{row}_3x3_reduce", nn.Conv2d(width, r3, 1))
            self.add_module(f"inc{row}_3x3", nn.Conv2d(r3, n3, 3, 1, 1))
            self.add_module(f"inc{row}_5x5_reduce", nn.Conv2d(width, r5, 1))
            self.add_module(f"inc{row}_5x5", nn.Conv2d(r5, n5, 5, 1, 2))
            self.add_module(f"inc{row}_proj", nn.Conv2d(width, proj, 1))
            width = n1 + n3 + n5 + proj
            if head := self.heads.get(row):
                self.add_module(f"{head}_conv", nn.Conv2d(width, 128, 1))
                self.add_module(f"{head}_fc1", nn.Linear(4 * 4 * 128, 1024))
                self.add_module(f"{head}_fc2", nn.Linear(1024, 1000))
        self.classifier = nn.Linear(width, 1000)

    def inception(self, row: str, x: Tensor) -> Tensor:
        """One row of Table 1, (N, C, H, W) -> (N, C', H, W)."""

        def conv(which: str, y: Tensor) -> Tensor:
            return F.relu(self.get_submodule(f"inc{row}_{which}")(y))

        return torch.cat(
            [
                conv("1x1", x),
                conv("3x3", conv("3x3_reduce", x)),
                conv("5x5", conv("5x5_reduce", x)),
                conv("proj", F.max_pool2d(x, 3, 1, 1)),
            ],
            1,
        )

    def head(self, name: str, x: Tensor) -> Tensor:
        """An auxiliary classifier without its dropout (section 5), (N, C, 14, 14) -> (N, 1000)."""
        x = F.relu(self.get_submodule(f"{name}_conv")(F.avg_pool2d(x, 5, 3)))
        return self.get_submodule(f"{name}_fc2")(F.relu(self.get_submodule(f"{name}_fc1")(x.flatten(1))))

    def forward(self, x: Tensor) -> Tensor | dict[str, Tensor]:
        """(N, 3, 224, 224) -> (N, 1000); with auxiliary classifiers, the logits of all three by name."""
        found = {}
        x = self.normalise(F.max_pool2d(F.relu(self.stem7(x)), 3, 2, ceil_mode=True))
        x = self.normalise(F.relu(self.stem3(F.relu(self.stem1(x)))))
        x = F.max_pool2d(x, 3, 2, ceil_mode=True)
        for row in self.ROWS:
            x = self.inception(row, x)
            if row in self.heads:
                found[self.heads[row]] = self.head(self.heads[row], x)
            if row in ("3b", "4e"):
                x = F.max_pool2d(x, 3, 2, ceil_mode=True)
        logits = self.classifier(x.mean((2, 3)))
        return {"logits": logits, **found} if found else logits

    @staticmethod
    def normalise(x: Tensor) -> Tensor:
        """x / (1 + 1e-4 / 5 * sum of the squares of five neighbouring channels)^0.75, written out."""
        padded = F.pad(x * x, (0, 0, 0, 0, 2, 2))
        window = sum(padded[:, i : i + x.shape[1]] for i in range(5))
        return x / (1 + 1e-4 / 5 * window) ** 0.75


NETS = {"googlenet": GoogLeNet}
