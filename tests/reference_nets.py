"""Networks of the papers as plain PyTorch modules, written from the papers alone, for targets that no library ships.

Each net knows what each of its parameters is called in the spec (`spec_name`), so that the same arrays go into both.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn


class Reference(nn.Module):
    """A reference network; `NAMES` are pairs of a pattern for its own keys and the key in the spec."""

    NAMES: tuple[tuple[str, str], ...] = ()

    def spec_name(self, key: str) -> str:
        """The key in the spec of one of its own keys."""
        for pattern, name in self.NAMES:
            if found := re.fullmatch(pattern, key):
                return found.expand(name)
        raise KeyError(key)

    def fill(self, arrays: Mapping[str, np.ndarray]) -> Reference:
        """Takes every array by name; raises KeyError where the two sets of names differ."""
        state = {k: v for k, v in self.state_dict().items() if not k.endswith("num_batches_tracked")}
        ours = {key: self.spec_name(key) for key in state}
        if set(ours.values()) != set(arrays) or len(set(ours.values())) != len(ours):
            raise KeyError(f"names differ: {sorted(set(ours.values()) ^ set(arrays))[:6]}")
        self.load_state_dict({key: torch.from_numpy(arrays[name]) for key, name in ours.items()}, strict=False)
        return self.eval()


class GoogLeNet(Reference):
    """Szegedy et al. 2014, Table 1 and Figure 3, with local response normalization and Caffe's ceil-mode pooling."""

    # Table 1: 1x1, 3x3 reduce, 3x3, 5x5 reduce, 5x5, pool proj
    ROWS = {"3a": (64, 96, 128, 16, 32, 32), "3b": (128, 128, 192, 32, 96, 64), "4a": (192, 96, 208, 16, 48, 64),
            "4b": (160, 112, 224, 24, 64, 64), "4c": (128, 128, 256, 24, 64, 64), "4d": (112, 144, 288, 32, 64, 64),
            "4e": (256, 160, 320, 32, 128, 128), "5a": (256, 160, 320, 32, 128, 128),
            "5b": (384, 192, 384, 48, 128, 128)}
    NAMES = (
        (r"stem7\.(\w+)", r"conv1.conv.\1"), (r"stem1\.(\w+)", r"conv2.reduce.conv.\1"),
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

        return torch.cat([conv("1x1", x), conv("3x3", conv("3x3_reduce", x)), conv("5x5", conv("5x5_reduce", x)),
                          conv("proj", F.max_pool2d(x, 3, 1, 1))], 1)

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
        window = sum(padded[:, i:i + x.shape[1]] for i in range(5))
        return x / (1 + 1e-4 / 5 * window) ** 0.75


class ResNet(Reference):
    """He et al. 2015, Table 1, with the shortcuts of section 3.3: A, B, C, or none for the plain nets."""

    NAMES = (
        (r"stem\.0\.(\w+)", r"conv1.conv.\1"), (r"stem\.1\.(\w+)", r"conv1.bn.\1"),
        (r"block(\d)_(\d+)_conv(\d)\.(\w+)", r"layer\1.\2.residual.conv\3.conv.\4"),
        (r"block(\d)_(\d+)_norm(\d)\.(\w+)", r"layer\1.\2.residual.conv\3.bn.\4"),
        (r"block(\d)_(\d+)_project\.0\.(\w+)", r"layer\1.\2.shortcut.downsample.conv.\3"),
        (r"block(\d)_(\d+)_project\.1\.(\w+)", r"layer\1.\2.shortcut.downsample.bn.\3"),
        (r"classifier\.(\w+)", r"fc.\1"),
    )

    def __init__(self, layers: tuple[int, ...], deep: bool, option: str = "B", stride_at: int = 1) -> None:
        super().__init__()
        self.option = option
        self.stem = nn.Sequential(nn.Conv2d(3, 64, 7, 2, 3, bias=False), nn.BatchNorm2d(64))
        self.blocks: list[tuple[str, int, int, int]] = []  # name, convolutions, width of the output, stride
        channels = 64
        for stage, count in enumerate(layers, 1):
            width = 32 << stage
            out = 4 * width if deep else width
            for index in range(count):
                name = f"block{stage}_{index}"
                stride = 2 if stage > 1 and index == 0 else 1
                kernels = ((1, width), (3, width), (1, out)) if deep else ((3, width), (3, out))
                c = channels
                for i, (kernel, o) in enumerate(kernels, 1):
                    s = stride if i == (stride_at if deep else 1) else 1
                    self.add_module(f"{name}_conv{i}", nn.Conv2d(c, o, kernel, s, kernel // 2, bias=False))
                    self.add_module(f"{name}_norm{i}", nn.BatchNorm2d(o))
                    c = o
                if option == "C" or option == "B" and (stride != 1 or channels != out):
                    self.add_module(f"{name}_project", nn.Sequential(
                        nn.Conv2d(channels, out, 1, stride, bias=False), nn.BatchNorm2d(out)))
                self.blocks.append((name, len(kernels), out, stride))
                channels = out
        self.classifier = nn.Linear(channels, 1000)

    def shortcut(self, name: str, x: Tensor, out: int, stride: int) -> Tensor:
        """What is added to the residual, (N, C, H, W) -> (N, out, H / stride, W / stride)."""
        if hasattr(self, f"{name}_project"):
            return self.get_submodule(f"{name}_project")(x)
        if self.option == "A" and (stride != 1 or x.shape[1] != out):
            x = x[:, :, ::stride, ::stride]
            return torch.cat([x, x.new_zeros(x.shape[0], out - x.shape[1], *x.shape[2:])], 1)
        return x

    def forward(self, x: Tensor) -> Tensor:
        """(N, 3, H, W) -> (N, 1000)."""
        x = F.max_pool2d(F.relu(self.stem(x)), 3, 2, 1)
        for name, count, out, stride in self.blocks:
            y = x
            for i in range(1, count + 1):
                y = self.get_submodule(f"{name}_norm{i}")(self.get_submodule(f"{name}_conv{i}")(y))
                y = F.relu(y) if i < count else y
            x = F.relu(y if self.option == "none" else y + self.shortcut(name, x, out, stride))
        return self.classifier(x.mean((2, 3)))


class SqueezeNet(Reference):
    """Iandola et al. 2016, Table 1 and Figure 2: without bypass, with simple, and with complex bypass."""

    # Table 1: s1x1, e1x1, e3x3
    FIRES = {2: (16, 64, 64), 3: (16, 64, 64), 4: (32, 128, 128), 5: (32, 128, 128), 6: (48, 192, 192),
             7: (48, 192, 192), 8: (64, 256, 256), 9: (64, 256, 256)}
    NAMES = (
        (r"(conv1|conv10)\.(\w+)", r"\1.conv.\2"), (r"fire(\d)_s\.(\w+)", r"fire\1.squeeze.conv.\2"),
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


def reference(variant: str) -> Reference | None:
    """The reference of a variant; None where there is none here."""
    if variant == "googlenet":
        return GoogLeNet()
    if variant.startswith("squeezenet") and variant != "squeezenet_11":
        return SqueezeNet("none" if variant == "squeezenet" else variant.split("_")[1])
    found = re.fullmatch(r"(resnet|plain)(\d+)(?:_(a|c|v1))?", variant)
    if not found:
        return None
    depth, form = int(found[2]), found[3]
    layers = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3), 50: (3, 4, 6, 3), 101: (3, 4, 23, 3), 152: (3, 8, 36, 3)}[depth]
    option = "none" if found[1] == "plain" else form.upper() if form in ("a", "c") else "B"
    return ResNet(layers, depth >= 50, option, 1 if form == "v1" else 2)
