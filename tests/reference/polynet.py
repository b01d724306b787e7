"""PolyNet as a plain PyTorch module (Zhang et al. 2016, Figures 4 and 6)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from reference import Reference

# branches of a module, as rows of out, height, width, and the channels that it keeps
MODULES = {
    "A": (((32, 1, 1), (48, 3, 3), (64, 3, 3)), ((32, 1, 1), (32, 3, 3)), ((32, 1, 1),)),
    "B": (((128, 1, 1), (160, 1, 7), (192, 7, 1)), ((192, 1, 1),)),
    "C": (((192, 1, 1), (224, 1, 3), (256, 3, 1)), ((192, 1, 1),)),
}
CHANNELS = {"A": 384, "B": 1152, "C": 2048}


def unit(inside: int, out: int, h: int, w: int, stride: int = 1, pad: bool = True) -> nn.Sequential:
    """Convolution, batch norm, ReLU."""
    pads = (h // 2, w // 2) if pad else 0
    return nn.Sequential(nn.Conv2d(inside, out, (h, w), stride, pads, bias=False), nn.BatchNorm2d(out), nn.ReLU())


class Orders(nn.Module):
    """F in `orders` orders: convolutions are shared, batch norms and the last 1x1 are not."""

    def __init__(self, kind: str, orders: int) -> None:
        super().__init__()
        self.kind, channels = kind, CHANNELS[kind]
        self.convs, self.norms = nn.ModuleDict(), nn.ModuleDict()
        joined = sum(rows[-1][0] for rows in MODULES[kind])
        self.linear = nn.ModuleList()
        for order in range(orders):
            for b, rows in enumerate(MODULES[kind]):
                inside = channels
                for r, (out, h, w) in enumerate(rows):
                    if order == 0:
                        self.convs[f"{b}_{r}"] = nn.Conv2d(inside, out, (h, w), 1, (h // 2, w // 2), bias=False)
                    self.norms[f"{order}_{b}_{r}"] = nn.BatchNorm2d(out)
                    inside = out
            self.linear.append(nn.Sequential(nn.Conv2d(joined, channels, 1, bias=False), nn.BatchNorm2d(channels)))

    def ordered(self) -> list[nn.Module]:
        """The layers in the order in which the spec first uses their tensors."""
        found: list[nn.Module] = []
        for order, linear in enumerate(self.linear):
            for b, rows in enumerate(MODULES[self.kind]):
                for r in range(len(rows)):
                    found += [self.convs[f"{b}_{r}"]] if order == 0 else []
                    found.append(self.norms[f"{order}_{b}_{r}"])
            found.append(linear)
        return found

    def forward(self, x: Tensor, order: int = 0) -> Tensor:
        """(N, C, H, W) -> (N, C, H, W)."""
        parts = []
        for b, rows in enumerate(MODULES[self.kind]):
            y = x
            for r in range(len(rows)):
                y = F.relu(self.norms[f"{order}_{b}_{r}"](self.convs[f"{b}_{r}"](y)))
            parts.append(y)
        return self.linear[order](torch.cat(parts, 1))


class PolyNet(Reference):
    """10 two-way A; 10 times poly-3 and two-way B; 5 times poly-3 and two-way C."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0
        self.add(unit(3, 32, 3, 3, 2, False), unit(32, 32, 3, 3, 1, False), unit(32, 64, 3, 3))
        self.add(unit(64, 96, 3, 3, 2, False))
        self.add(unit(160, 64, 1, 1), unit(64, 96, 3, 3, 1, False))
        self.add(unit(160, 64, 1, 1), unit(64, 64, 7, 1), unit(64, 64, 1, 7), unit(64, 96, 3, 3, 1, False))
        self.add(unit(192, 192, 3, 3, 2, False))
        self.modules_a = [self.pair("A") for _ in range(10)]
        self.to19 = self.add(
            unit(384, 256, 1, 1), unit(256, 256, 3, 3), unit(256, 384, 3, 3, 2, False), unit(384, 384, 3, 3, 2, False)
        )
        self.modules_b = [(self.orders("B", 3), self.pair("B")) for _ in range(10)]
        self.to9 = self.add(
            unit(1152, 256, 1, 1),
            unit(256, 256, 3, 3),
            unit(256, 256, 3, 3, 2, False),
            unit(1152, 256, 1, 1),
            unit(256, 256, 3, 3, 2, False),
            unit(1152, 256, 1, 1),
            unit(256, 384, 3, 3, 2, False),
        )
        self.modules_c = [(self.orders("C", 3), self.pair("C")) for _ in range(5)]
        self.add(nn.Linear(2048, 1000))

    def add(self, *layers: nn.Module) -> list[nn.Module]:
        """Registers layers in the order of the spec."""
        for layer in layers:
            self.add_module(f"layer{self.count}", layer)
            self.count += 1
        return list(layers)

    def orders(self, kind: str, count: int) -> list[Orders]:
        """A module whose layers are registered; in a list, so that it is not registered twice."""
        module = Orders(kind, count)
        self.add(*module.ordered())
        return [module]

    def pair(self, kind: str) -> tuple[list[Orders], list[Orders]]:
        """F and G of a two-way module."""
        return self.orders(kind, 1), self.orders(kind, 1)

    def two_way(self, pair: tuple[list[Orders], list[Orders]], x: Tensor, k: int) -> Tensor:
        """relu(x + s F(x) + s G(x))."""
        (f,), (g,) = pair
        return F.relu(x + (1 - 0.3 * k / 39) * (f(x) + g(x)))

    def poly3(self, module: list[Orders], x: Tensor, k: int) -> Tensor:
        """relu(x + s (F(x) + F(F(x)) + F(F(F(x)))))."""
        first = module[0](x)
        second = module[0](F.relu(first), 1)
        third = module[0](F.relu(second), 2)
        return F.relu(x + (1 - 0.3 * k / 39) * (first + second + third))

    def forward(self, x: Tensor) -> Tensor:
        """(N, 3, 331, 331) -> (N, 1000)."""
        s = [self.get_submodule(f"layer{i}") for i in range(11)]
        x = s[2](s[1](s[0](x)))
        x = torch.cat([F.max_pool2d(x, 3, 2), s[3](x)], 1)
        x = torch.cat([s[5](s[4](x)), s[9](s[8](s[7](s[6](x))))], 1)
        x = torch.cat([F.max_pool2d(x, 3, 2), s[10](x)], 1)
        for k, pair in enumerate(self.modules_a):
            x = self.two_way(pair, x, k)
        a, b, c, d = self.to19
        x = torch.cat([c(b(a(x))), d(x), F.max_pool2d(x, 3, 2)], 1)
        for k, (poly, pair) in enumerate(self.modules_b):
            x = self.two_way(pair, self.poly3(poly, x, 10 + 2 * k), 11 + 2 * k)
        a, b, c, d, e, f, g = self.to9
        x = torch.cat([c(b(a(x))), e(d(x)), g(f(x)), F.max_pool2d(x, 3, 2)], 1)
        for k, (poly, pair) in enumerate(self.modules_c):
            x = self.two_way(pair, self.poly3(poly, x, 30 + 2 * k), 31 + 2 * k)
        return self.get_submodule(f"layer{self.count - 1}")(x.mean((2, 3)))


NETS = {"polynet": PolyNet}
