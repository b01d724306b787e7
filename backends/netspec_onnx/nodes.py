"""What rows are made of: ONNX nodes, their constants, and the names of a step's values."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from netspec.ir.graph import Node
from netspec.ops import Shape
from netspec.ops.window import Pads

Value = str | np.ndarray
Attr = int | float | str | Sequence[int]


@dataclass(frozen=True, slots=True)
class N:
    """One ONNX node."""

    op_type: str
    inputs: tuple[Value, ...]
    outputs: tuple[str, ...] = ("y0",)
    attrs: dict[str, Attr] = field(default_factory=dict)
    since: int = 18
    """The operator set that first has it as used here."""
    exact: bool = False
    """Its constants are float32 whatever the model computes in."""


Shapes = Sequence[Shape]
Row = Callable[[Node, Shapes], list[N]]
"""(node, shapes of its operands) -> ONNX nodes."""


def n(op_type: str, *inputs: Value, out: str = "y0", since: int = 18, **attrs: Attr) -> N:
    """A node with one output."""
    return N(op_type, inputs, (out,), attrs, since)


def ints(*values: int) -> np.ndarray:
    """A constant of integers."""
    return np.array(values, np.int64)


def floats(*values: float) -> np.ndarray:
    """A constant of numbers; a single one is a scalar."""
    return np.array(values[0] if len(values) == 1 else values, np.float32)


def simple(op_type: str, since: int = 18, **attrs: Attr) -> Row:
    """An op that is one ONNX operator on its operands."""
    return lambda node, shapes: [N(op_type, tuple(f"x{i}" for i in range(len(shapes))), attrs=attrs, since=since)]


def tensors(node: Node) -> list[str]:
    return [name for name in ("weight", "bias") if name in node.result.weights]


def onnx_pads(pads: Pads) -> list[int]:
    """top, bottom, left, right -> all begins, then all ends."""
    return [pads[0], pads[2], pads[1], pads[3]]
