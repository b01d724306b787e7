"""Strides: how many cells of the input lie between two values of a map."""

from __future__ import annotations

from fractions import Fraction
from typing import NamedTuple

from netspec.ir.graph import Graph, Node
from netspec.ops import OPS
from netspec.ops.base import Applied

LARGEST = 2**40
"""A stride of so many cells, or of such a part of one, is of no map."""
LARGEST_DENOMINATOR = 64
"""Times that a map is enlarged, beyond which the ratio of the sizes counts as it is."""


class Stride(NamedTuple):
    """Cells of the input between two values of a map."""

    height: Fraction
    width: Fraction


def strides(graph: Graph) -> dict[str, Stride | None]:
    """Of every node, how many cells of the input lie between two of its values, in height and width; None without a
    position, as after a global pool, and where maps of several strides meet.
    """
    found: dict[str, Stride | None] = {}
    for node in graph.nodes.values():
        found[node.path] = _stride(graph, node, found)
    return found


def _stride(graph: Graph, node: Node, before: dict[str, Stride | None]) -> Stride | None:
    """The stride of a step, by those of the values that it reads."""
    if len(node.shape) != 4:
        return None
    if not node.inputs:
        return Stride(Fraction(1), Fraction(1))
    op, read = OPS[node.op], node.inputs[:1]  # those behind it say where the first is read, as offsets do
    if op.kind == "join":  # what is smaller is a gate, the same for every position
        read = tuple(ref for ref in node.inputs if graph.shape(ref)[2:] == node.shape[2:])
    known = {stride for ref in read if (stride := before[ref.node]) is not None}
    if len(known) != 1:
        return None
    applied = Applied(node.attrs, [graph.shape(ref) for ref in node.inputs], node.result)
    factors = [_factor(applied, node.op, axis) for axis in (0, 1)]
    sides = [side * factor for side, factor in zip(known.pop(), factors, strict=True) if factor is not None]
    if len(sides) < 2 or any(max(side.numerator, side.denominator) > LARGEST for side in sides):
        return None
    return Stride(*sides)


def _factor(applied: Applied, name: str, axis: int) -> Fraction | None:
    """How many positions of what is read lie between two of the result."""
    op = OPS[name]
    size, out = int(applied.operands[0][2 + axis]), int(applied.shape[2 + axis])
    sampling, scaling = op.receptive_field(applied, axis), op.scaling(applied.attrs)
    if sampling is None and out == 1 < size:
        return None
    if scaling is not None:  # also where a value depends on the whole map at its own position, as of a norm of groups
        return Fraction(scaling.down[axis], scaling.up[axis])
    if sampling is None or sampling.step == sampling.phases:
        return None if sampling is None else Fraction(1)
    return _simplest(size, out)


def _simplest(size: int, out: int) -> Fraction:
    """Of a map of one size that becomes another: how many of its cells lie between two then.

    The last of its cells may lie partly outside the input, 33 of stride 16 in 520 pixels; so 65 of them are twice as
    many, not 65 / 33 times.
    """
    for denominator in range(1, LARGEST_DENOMINATOR + 1):
        numerator = size * denominator // out
        if numerator * out > (size - 1) * denominator:
            return Fraction(numerator, denominator)
    return Fraction(size, out)
