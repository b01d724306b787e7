"""How far results lie apart, and the step where they begin to differ."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from netspec.ir.graph import Graph, Ref

TOLERANCES = {"float32": 1e-4, "float16": 2e-2, "bfloat16": 1e-1, "int8": 1e-1}
"""What results may differ by, as max|a - b| / max|a|, by the less exact of the two types."""
NOISY = "int8"
"""The type whose error is noise: root mean squares are compared, as a signal-to-noise ratio is made of them."""
FLOOR = 0.01
"""The share of the tolerance below which an error is rounding."""


@dataclass(frozen=True, slots=True)
class Difference:
    """How far one value is from another of the same meaning."""

    absolute: float
    """max|a - b|; infinite where one is not a number and the other is, or where the shapes differ."""
    relative: float
    """max|a - b| / max|a|; of int8 the root mean square of a - b by that of a."""
    why: str = ""
    """What cannot be said in numbers: two shapes."""

    def exceeds(self, tolerance: float) -> bool:
        """Whether the values differ by more than the tolerance."""
        return not self.relative <= tolerance


def difference(a: np.ndarray, b: np.ndarray, noise: bool = False) -> Difference:
    """How far b is from a; numbers that are infinite or NaN in both in the same places are equal.

    With `noise` the relative one is that of root mean squares, 10^(-d / 20) for a signal-to-noise ratio of d decibels.
    """
    if a.shape != b.shape:
        shapes = " against ".join("x".join(map(str, v.shape)) or "a scalar" for v in (a, b))
        return Difference(float("inf"), float("inf"), shapes)
    if not a.size:
        return Difference(0.0, 0.0)
    a, b = np.asarray(a, np.float32), np.asarray(b, np.float32)
    finite = np.isfinite(a)
    if not (finite & np.isfinite(b)).all():
        if not np.array_equal(a[~finite], b[~finite], equal_nan=True) or not np.isfinite(b[finite]).all():
            return Difference(float("inf"), float("inf"), "numbers that are not finite in one of them alone")
        a, b = a[finite], b[finite]
    if not a.size:
        return Difference(0.0, 0.0)
    size = float(np.abs(a).max())
    apart = float(np.abs(a.astype(np.float64) - b).max()) if a.size < 2**20 else float(np.abs(a - b).max())
    if noise:
        apart_by, size = (float(np.sqrt(np.mean(np.square(v, dtype=np.float64)))) for v in (a - b, a))
        return Difference(apart, apart_by / size if size else (float("inf") if apart_by else 0.0))
    return Difference(apart, apart / size if size else (float("inf") if apart else 0.0))


def beyond(graph: Graph, found: Mapping[Ref, Difference], differing: Sequence[Ref], tolerance: float) -> list[Ref]:
    """The values that exceed the tolerance and lead to one of those that are `differing`, in the order of the spec.

    They lead there by a way of values that exceed it too, or that were not compared.
    """
    order = {path: i for i, path in enumerate(graph.nodes)}
    return sorted(_reaching(graph, found, differing, tolerance), key=lambda ref: (order[ref.node], ref.out))


def begun(graph: Graph, found: Mapping[Ref, Difference], first: Ref, tolerance: float) -> list[Ref]:
    """The values before one that exceeds the tolerance whose error is within it, and more than rounding."""
    above = graph.above([first.node])
    return [ref for ref, d in found.items() if ref.node in above and FLOOR * tolerance < d.relative <= tolerance]


def entering(graph: Graph, found: Mapping[Ref, Difference], ref: Ref) -> float:
    """The largest relative error of what a value is computed from, as far up as something was compared."""
    worst, seen = 0.0, set[Ref]()
    todo = [*graph.nodes[ref.node].inputs]
    while todo:
        operand = todo.pop()
        if operand in found:
            worst = max(worst, found[operand].relative)
        elif operand not in seen:
            seen.add(operand)
            todo += graph.nodes[operand.node].inputs
    return worst


def unseen(graph: Graph, found: Mapping[Ref, Difference], ref: Ref) -> list[str]:
    """The steps before a value that were not compared, back to those that were: each may be the one at fault."""
    between, todo = set[str](), [*graph.nodes[ref.node].inputs]
    while todo:
        operand = todo.pop()
        if operand not in found and operand.node not in between and graph.nodes[operand.node].op != "input":
            between.add(operand.node)
            todo += graph.nodes[operand.node].inputs
    return [path for path in graph.nodes if path in between]


def _reaching(graph: Graph, found: Mapping[Ref, Difference], outputs: Sequence[Ref], tolerance: float) -> list[Ref]:
    """The values that exceed the tolerance, from which such values lead to one of the outputs."""
    reaching, seen = list[Ref](), set[Ref]()
    todo = [*outputs]
    while todo:
        ref = todo.pop()
        if ref in seen or (ref in found and not found[ref].exceeds(tolerance)):
            continue
        seen.add(ref)
        if ref in found:
            reaching.append(ref)
        todo += graph.nodes[ref.node].inputs
    return reaching
