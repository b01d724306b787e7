"""Receptive fields: the cells of the input that one value can depend on, exactly, through every kind of sampling."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from netspec.ir.graph import Graph, Node, Ref

# What may depend on all that enters: sums over a map, and what looks where its input tells it to.
WHOLE = (
    "flatten",
    "global_avg_pool",
    "global_max_pool",
    "adaptive_avg_pool",
    "deform_conv",
    "roi_align",
    "deform_roi_pool",
)
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
    reaches: dict[str, tuple[Reach, Reach] | None] = {}
    for node in graph.nodes.values():
        befores = [reaches[ref.node] for ref in node.inputs]
        known = [before for before in befores if before is not None]
        take(sum(len(reach.first) - 1 for before in known for reach in before))
        if node.op == "input":
            reaches[node.path] = (ONE, ONE)
        elif len(known) < len(befores) or node.op in WHOLE:
            reaches[node.path] = None
        else:
            height, width = (
                _through(node, side, max((b[side] for b in known), key=lambda r: r.size)) for side in (0, 1)
            )
            kept = height and width and max(height.step, height.size, width.step, width.size) <= LARGEST
            reaches[node.path] = (height, width) if height and width and kept else None
    return {path: (found[0].size, found[1].size) if found else None for path, found in reaches.items()}


def _through(node: Node, side: int, reach: Reach) -> Reach | None:
    """What a node's positions depend on along an axis, of what those of its input do; None where that is not known."""
    kernel, stride, dilation = (node.attrs.get(name, (1, 1))[side] for name in ("kernel", "stride", "dilation"))
    extent, period = (kernel - 1) * dilation, len(reach.first)
    if node.op in ("upsample", "conv_transpose"):
        scale = node.attrs["scale"][side] if node.op == "upsample" else stride
        if scale * period > MOST_PHASES:
            return None
        cells = [_sources(node, position, scale, extent) for position in range(scale * period)]
        return Reach(tuple(reach.low(a) for a, _ in cells), tuple(reach.high(b) for _, b in cells), reach.step)
    if extent == 0 and stride == 1:
        return reach
    turns = period // math.gcd(period, stride)
    first = tuple(reach.low(stride * position) for position in range(turns))
    last = tuple(reach.high(stride * position + extent) for position in range(turns))
    return Reach(first, last, reach.step * stride * turns // period)


def _sources(node: Node, position: int, scale: int, extent: int) -> tuple[int, int]:
    """The first and the last position of its input that a position of an enlarged map is made of."""
    if node.op == "conv_transpose":
        first, last = -((extent - position) // scale), position // scale
        return min(first, last), last
    if node.attrs["mode"] == "nearest":
        return position // scale, position // scale
    # The centre of a pixel lies at (position + 0.5) / scale - 0.5, between two of the input or on one.
    below, rest = divmod(2 * position + 1 - scale, 2 * scale)
    return below, below + bool(rest)
