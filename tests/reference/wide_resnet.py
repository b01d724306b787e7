"""Wide ResNet as a plain PyTorch module (Zagoruyko and Komodakis 2016, Table 1)."""

from __future__ import annotations

from functools import partial

from reference.resnet_units import Net


def wide(depth: int, k: int) -> Net:
    """Pre-activation units, k times as wide; dropout is nothing at inference."""
    return Net("full_pre", (depth - 4) // 6, False, (16 * k, 32 * k, 64 * k))


NETS = {f"wrn_{depth}_{k}": partial(wide, depth, k) for depth, k in ((28, 10), (16, 8), (16, 4))}
