"""Receptive fields: the cells of the input that one value can depend on, exactly, through every kind of sampling."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from netspec.ir.graph import Graph, Ref
from netspec.ops import OPS
from netspec.ops.base import Applied
from netspec.ops.receptive_field import SAME, Sampling

WHOLE_INPUT = "whole input"
"""How people read a receptive field that has no bound."""
# Maps that are enlarged more than this see the whole input, for all that is known.
MOST_PHASES = 4096
# A field of so many cells is larger than any input.
LARGEST = 2**40


@dataclass(frozen=True, slots=True)
class Reach:
    """Along one axis, the first and the last cell that each position depends on; `len(first)` positions later both
    are `step` cells further."""

    first: tuple[int, ...]
    last: tuple[int, ...]
    step: int

    def low(self, position: int) -> int:
        """The first cell that a position depends on."""
        turns, phase = divmod(position, len(self.first))
        return self.first[phase] + turns * self.step

    def high(self, position: int) -> int:
        """The last one."""
        turns, phase = divmod(position, len(self.last))
        return self.last[phase] + turns * self.step

    @property
    def size(self) -> int:
        """The most cells that a position depends on."""
        return max(b - a for a, b in zip(self.first, self.last, strict=True)) + 1


ONE = Reach((0,), (0,), 1)


def receptive_field(graph: Graph, ref: Ref) -> tuple[int, int] | None:
    """Height and width of the input cells that one value can depend on; None where it is the whole input."""
    return receptive_fields(graph)[ref.node]


def receptive_fields(
    graph: Graph, take: Callable[[int], None] = lambda work: None
) -> dict[str, tuple[int, int] | None]:
    """Of every node, the height and width of the input cells that one value can depend on; None is the whole input.

    Without enlarging it is the recurrence of Araujo et al. 2019: the field grows by (k - 1) * d * jump for a window of
    k and dilation d, and the jump by the stride. Where paths join, the largest counts. `take` is told of the work.
    """
    found = _reaches(graph, take)
    return {path: (reach[0].size, reach[1].size) if reach else None for path, reach in found.items()}


def _reaches(graph: Graph, take: Callable[[int], None]) -> dict[str, tuple[Reach, Reach] | None]:
    """What each node depends on, in height and width."""
    reaches: dict[str, tuple[Reach, Reach] | None] = {}
    for node in graph.nodes.values():
        befores = [reaches[ref.node] for ref in node.inputs]
        known = [before for before in befores if before is not None]
        take(sum(len(reach.first) - 1 for before in known for reach in before))
        if len(known) < len(befores):
            reaches[node.path] = None
            continue
        rule = OPS[node.op].receptive_field
        applied = Applied(node.attrs, [graph.shape(ref) for ref in node.inputs], node.result)
        height, width = (
            _through(rule(applied, axis), max((b[axis] for b in known), key=lambda r: r.size, default=ONE))
            for axis in (0, 1)
        )
        kept = height and width and max(height.step, height.size, width.step, width.size) <= LARGEST
        reaches[node.path] = (height, width) if height and width and kept else None
    return reaches


def _through(sampling: Sampling | None, reach: Reach) -> Reach | None:
    """What positions depend on along an axis, of what those that they read do; None where that is not known."""
    if sampling is None or sampling is SAME:
        return reach if sampling else None
    period = len(reach.first)
    turns = period // math.gcd(period, sampling.step)
    if turns * sampling.phases > MOST_PHASES:
        return None
    cells = [sampling.cells(phase) for phase in range(sampling.phases)]
    first = tuple(reach.low(turn * sampling.step + a) for turn in range(turns) for a, _ in cells)
    last = tuple(reach.high(turn * sampling.step + b) for turn in range(turns) for _, b in cells)
    return Reach(first, last, reach.step * sampling.step * turns // period)
