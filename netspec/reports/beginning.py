"""How the weights of a step begin, as text: the initialisers of `netspec.weights.initialise` with their numbers."""

from __future__ import annotations

import math
from collections.abc import Mapping

from netspec.ir.graph import Node
from netspec.ops import OPS
from netspec.ops.initialisers import beginning


def at_first(node: Node) -> str:
    """What every weight of a step is before training: `weight normal, deviation 0.27 = sqrt(2 / 27), bias 0`."""
    sizes = {name: tuple(map(int, shape)) for name, shape in node.result.weights.items()}
    return ", ".join(f"{name} {_drawn(node, name, size)}" for name, size in sizes.items())


def _drawn(node: Node, name: str, size: tuple[int, ...]) -> str:
    """How one tensor begins, by its `init` or by the rule for those without one."""
    fan_in, fan_out = OPS[node.op].fans_of(size, node.attrs)
    value = beginning(name, size, node.init, OPS[node.op].init)
    if isinstance(value, Mapping):
        ((kind, spread),) = value.items()
        return {
            "uniform": f"uniform within {spread:g}",
            "normal": f"normal, deviation {spread:g}",
            "truncated_normal": f"normal, deviation {spread:g}, cut at two of them",
        }[kind]
    if value == "he":
        return f"normal, deviation {math.sqrt(2 / fan_in):.3g} = sqrt(2 / {fan_in:g})"
    if value == "xavier":
        return f"uniform within {math.sqrt(6 / (fan_in + fan_out)):.3g} = sqrt(6 / ({fan_in:g} + {fan_out:g}))"
    if isinstance(value, str):
        return {"zeros": "0", "ones": "1", "bilinear": "of bilinear interpolation"}[value]
    return f"{value:g}"
