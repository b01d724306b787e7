"""What rows are made of: ONNX nodes, their constants, and the names of a step's values."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from netspec.ir.graph import Node
from netspec.ops import Shape
from netspec.ops.window import Pads

Value = str | np.ndarray
Attr = int | float | str | Sequence[int]


LOWEST = 11
"""The oldest operator set that is written: what runtimes of today take at least, and the first with DepthToSpace as
PyTorch has it."""


@dataclass(frozen=True, slots=True)
class N:
    """One ONNX node."""

    op_type: str
    inputs: tuple[Value, ...]
    outputs: tuple[str, ...] = ("y0",)
    attrs: dict[str, Attr] = field(default_factory=dict)
    since: int = LOWEST
    """The operator set that first has it as used here."""
    exact: bool = False
    """Its constants are float32 whatever the model computes in."""
    older: tuple[N, ...] = ()
    """The nodes that stand in its place under an older operator set, where there are such."""

    @property
    def lowest(self) -> int:
        """The oldest operator set that has it, in one of its forms."""
        return min(self.since, max(each.lowest for each in self.older)) if self.older else self.since

    def at(self, opset: int) -> list[N]:
        """The nodes that it is under an operator set of its `lowest` or newer."""
        if self.since <= opset or not self.older:
            return [replace(self, older=())]
        return [replace(node, exact=node.exact or self.exact) for each in self.older for node in each.at(opset)]


Shapes = Sequence[Shape]
Row = Callable[[Node, Shapes], list[N]]
"""(node, shapes of its operands) -> ONNX nodes."""


class Free(int):
    """A height or width that follows the input's, as it is at the size of the spec; a row may write it otherwise."""


def free(shape: Shape) -> bool:
    """Whether the height or width of a map is free."""
    return any(isinstance(size, Free) for size in shape)


def n(op_type: str, *inputs: Value, out: str = "y0", since: int = LOWEST, **attrs: Attr) -> N:
    """A node with one output."""
    return N(op_type, inputs, (out,), attrs, since)


def newer(node: N, since: int, *older: N) -> N:
    """A node that stands from an operator set on, and the nodes in its place before."""
    return replace(node, since=since, older=older)


def unsqueeze(value: Value, *axes: int, out: str) -> N:
    """Sizes of 1 at these axes, which were an attribute before operator set 13."""
    return newer(n("Unsqueeze", value, ints(*axes), out=out), 13, n("Unsqueeze", value, out=out, axes=list(axes)))


def squeeze(value: Value, *axes: int, out: str) -> N:
    """A value without its sizes of 1 at these axes, which were an attribute before operator set 13."""
    return newer(n("Squeeze", value, ints(*axes), out=out), 13, n("Squeeze", value, out=out, axes=list(axes)))


def reduce(op_type: str, value: Value, *axes: int, out: str = "y0") -> N:
    """A mean or the like over axes, which were an attribute before operator set 18; they stay as sizes of 1."""
    return newer(n(op_type, value, ints(*axes), out=out), 18, n(op_type, value, out=out, axes=list(axes)))


def ints(*values: int) -> np.ndarray:
    """A constant of integers."""
    return np.array(values, np.int64)


def floats(*values: float) -> np.ndarray:
    """A constant of numbers; a single one is a scalar."""
    return np.array(values[0] if len(values) == 1 else values, np.float32)


def simple(op_type: str, since: int = LOWEST, **attrs: Attr) -> Row:
    """An op that is one ONNX operator on its operands."""
    return lambda node, shapes: [N(op_type, tuple(f"x{i}" for i in range(len(shapes))), attrs=attrs, since=since)]


def tensors(node: Node) -> list[str]:
    return [name for name in ("weight", "bias") if name in node.result.weights]


def onnx_pads(pads: Pads) -> list[int]:
    """top, bottom, left, right -> all begins, then all ends."""
    return [pads[0], pads[2], pads[1], pads[3]]


def spread(dilation: Sequence[int], groups: int = 1) -> dict[str, Attr]:
    """`dilations` and `group` where they are not the 1 that a node has without them: a runtime has less to read."""
    found: dict[str, Attr] = {}
    if any(step != 1 for step in dilation):
        found["dilations"] = list(dilation)
    if groups != 1:
        found["group"] = groups
    return found
