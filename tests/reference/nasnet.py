"""Networks of searched cells as plain PyTorch modules: NASNet-A (Zoph et al. 2017, Figure 4), and their frame."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from reference import Reference


def same(x: Tensor, kernel: tuple[int, int], stride: tuple[int, int], value: float = 0.0) -> Tensor:
    """TensorFlow's padding: the output is ceil(size / stride), the odd cell at the end."""
    pads: list[int] = []
    for size, k, s in zip(x.shape[2:], kernel, stride, strict=True):
        total = max(0, (-(-size // s) - 1) * s + k - size)
        pads = [total // 2, total - total // 2, *pads]
    return F.pad(x, pads, value=value)


class Conv(nn.Module):
    """ReLU, convolution (depthwise, then 1x1, where it is separable), batch norm."""

    def __init__(
        self,
        inside: int,
        out: int,
        kernel: tuple[int, int],
        stride: tuple[int, int] = (1, 1),
        separable: bool = False,
        dilation: int = 1,
    ) -> None:
        super().__init__()
        self.stride = stride
        self.kernel = tuple(dilation * (k - 1) + 1 for k in kernel)
        if separable:
            self.layers = nn.Sequential(
                nn.Conv2d(inside, inside, kernel, stride, dilation=dilation, groups=inside, bias=False),
                nn.Conv2d(inside, out, 1, bias=False),
                nn.BatchNorm2d(out, eps=1e-3),
            )
        else:
            self.layers = nn.Sequential(
                nn.Conv2d(inside, out, kernel, stride, bias=False), nn.BatchNorm2d(out, eps=1e-3)
            )

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, out, ceil(H / stride), ceil(W / stride))."""
        return self.layers(same(F.relu(x), self.kernel, self.stride))


class Pool(nn.Module):
    """Pooling, mostly 3x3; the zeros that pad a mean count where it strides."""

    def __init__(self, kind: str, stride: int, size: int = 3) -> None:
        super().__init__()
        self.kind, self.stride, self.size = kind, stride, size

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, C, ceil(H / stride), ceil(W / stride))."""
        if self.kind == "max":
            return F.max_pool2d(same(x, (self.size,) * 2, (self.stride,) * 2, -torch.inf), self.size, self.stride)
        if self.stride == 1:
            return F.avg_pool2d(x, 3, 1, 1, count_include_pad=False)
        return F.avg_pool2d(same(x, (3, 3), (2, 2)), 3, 2)


class Halve(nn.Module):
    """Two 1x1 convolutions, of every second pixel and of every second pixel one further, joined."""

    def __init__(self, inside: int, out: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(inside, out // 2, 1, bias=False)
        self.second = nn.Conv2d(inside, out - out // 2, 1, bias=False)
        self.norm = nn.BatchNorm2d(out, eps=1e-3)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, out, ceil(H / 2), ceil(W / 2))."""
        x = F.relu(x)
        shifted = F.pad(x[:, :, 1:, 1:], (0, 1, 0, 1))
        return self.norm(torch.cat([self.first(x[:, :, ::2, ::2]), self.second(shifted[:, :, ::2, ::2])], 1))


def operation(name: str, inside: int, f: int, stride: int) -> nn.Module:
    """An operation of a pair by its short name: sep5, dil5, avg3, max3, max2, id, 1x1, 3x3, 1x7_7x1."""
    if name == "id":
        return nn.Identity()
    if name in ("avg3", "max3", "max2"):
        return Pool(name[:3], stride, int(name[3]))
    if name == "1x1":
        return Conv(f, f, (1, 1))
    if name == "3x3":
        return nn.Sequential(
            Conv(f, f // 4, (1, 1)), Conv(f // 4, f // 4, (3, 3), (stride, stride)), Conv(f // 4, f, (1, 1))
        )
    if name == "1x7_7x1":
        return nn.Sequential(
            Conv(f, f // 4, (1, 1)),
            Conv(f // 4, f // 4, (1, 7), (1, stride)),
            Conv(f // 4, f // 4, (7, 1), (stride, 1)),
            Conv(f // 4, f, (1, 1)),
        )
    k, dilation = int(name[3:]), 2 if name.startswith("dil") else 1
    return nn.Sequential(
        Conv(inside, f, (k, k), (stride, stride), True, dilation), Conv(f, f, (k, k), (1, 1), True, dilation)
    )


class Cell(nn.Module):
    """Pairs of (operation, state): 0 is the cell before, 1 the one before that, 2 to 6 the pairs; some are joined."""

    def __init__(
        self,
        pairs: list[tuple[str, int, str, int]],
        joined: list[int],
        cur: int,
        prev: int,
        f: int,
        reduces: bool,
        halve_prev: bool,
        fit_prev: bool = True,
    ) -> None:
        super().__init__()
        self.pairs, self.joined = pairs, joined
        self.fit1 = nn.Identity()
        if fit_prev:
            self.fit1 = Halve(prev, f) if halve_prev else Conv(prev, f, (1, 1))
        self.fit0 = Conv(cur, f, (1, 1))
        self.ops = nn.ModuleList()
        for left, a, right, b in pairs:
            for name, state in ((left, a), (right, b)):
                inside = prev if state == 1 and not fit_prev else f
                self.ops.append(operation(name, inside, f, 2 if reduces and state < 2 else 1))
        self.halves = nn.ModuleList(Halve(f, f) for state in joined if reduces and state < 2)
        self.out = f * len(joined)

    def forward(self, cur: Tensor, prev: Tensor) -> Tensor:
        """(N, C, H, W), (N, C', H, W or 2H, 2W) -> (N, out, H, W), halved where the cell reduces."""
        first = self.fit1(prev)
        states = [self.fit0(cur), first]
        for i, (_, a, _, b) in enumerate(self.pairs):
            states.append(self.ops[2 * i](states[a]) + self.ops[2 * i + 1](states[b]))
        if self.halves:
            states[0] = self.halves[0](states[0])
        return torch.cat([states[i] for i in self.joined], 1)


Pairs = list[tuple[str, int, str, int]]


class Searched(Reference):
    """3x3/2, two reduction cells, and three stages of n normal cells with reduction cells between them."""

    def __init__(
        self,
        normal: tuple[Pairs, list[int]],
        reduction: tuple[Pairs, list[int]],
        n: int,
        filters: int,
        stem: int,
        fit_first: bool,
        skip: bool = True,
    ) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, stem, 3, 2, bias=False), nn.BatchNorm2d(stem, eps=1e-3))
        self.cells, self.n = nn.ModuleList(), n
        widths = {-1: stem}  # of cells by number, -1 the stem

        def add(
            cell: tuple[Pairs, list[int]], cur: int, prev: int, f: int, reduces: bool, halve: bool, fit: bool = True
        ) -> int:
            made = Cell(*cell, widths[cur], widths[prev], f, reduces, halve, fit)
            self.cells.append(made)
            widths[len(self.cells) - 1] = made.out
            return len(self.cells) - 1

        add(reduction, -1, -1, filters // 4, True, False, fit_first)
        add(reduction, 0, -1, filters // 2, True, True)
        cur, prev, halve = 1, 0, True
        self.plan: list[tuple[int, int]] = [(-1, -1), (0, -1)]
        for stage in range(3):
            if stage:
                self.plan.append((cur, prev))
                before = prev if skip else cur  # the first normal cell reads past the reduction, or past one cell more
                cur, prev, halve = add(reduction, cur, prev, filters << stage, True, False), before, True
            for _ in range(n):
                self.plan.append((cur, prev))
                cur, prev, halve = add(normal, cur, prev, filters << stage, False, halve), cur, False
        self.classifier = nn.Linear(widths[cur], 1000)

    def forward(self, x: Tensor) -> Tensor:
        """(N, 3, H, W) -> (N, 1000)."""
        values = {-1: self.stem(x)}
        for number, (cell, (cur, prev)) in enumerate(zip(self.cells, self.plan, strict=True)):
            values[number] = cell(values[cur], values[prev])
        return self.classifier(F.relu(values[number]).mean((2, 3)))


NORMAL: tuple[Pairs, list[int]] = (
    [
        ("sep5", 0, "sep3", 1),
        ("sep5", 1, "sep3", 1),
        ("avg3", 0, "id", 1),
        ("avg3", 1, "avg3", 1),
        ("sep3", 0, "id", 0),
    ],
    [1, 2, 3, 4, 5, 6],
)
REDUCTION: tuple[Pairs, list[int]] = (
    [
        ("sep5", 0, "sep7", 1),
        ("max3", 0, "sep7", 1),
        ("avg3", 0, "sep5", 1),
        ("avg3", 2, "id", 3),
        ("sep3", 2, "max3", 0),
    ],
    [3, 4, 5, 6],
)

NETS = {"nasnet_a_mobile": lambda: Searched(NORMAL, REDUCTION, 4, 44, 32, False, skip=False)}
