"""Which cells of its input a value depends on along one axis: a rule for each way in which ops read a map."""

from __future__ import annotations

from collections.abc import Callable
from math import gcd
from typing import NamedTuple

from netspec.ops.base import Applied


def _own(position: int) -> tuple[int, int]:
    return position, position


class Sampling(NamedTuple):
    """What the positions of a result are made of along one axis."""

    phases: int = 1
    """So many positions later ..."""
    step: int = 1
    """... what is read lies so many cells further."""
    cells: Callable[[int], tuple[int, int]] = _own
    """The first and the last cell that each of the first `phases` positions reads."""


SAME = Sampling()
"""Each position reads its own cell."""

ReceptiveField = Callable[[Applied, int], Sampling | None]
"""(an op on its operands, 0 for height or 1 for width) -> what its positions read; None for the whole map."""


def own_cell(applied: Applied, axis: int) -> Sampling | None:
    """Elementwise ops, and those that read the channels of one pixel."""
    return SAME


def whole_map(applied: Applied, axis: int) -> Sampling | None:
    """Sums over a map, and what looks where its input tells it to."""
    return None


def sliding_window(applied: Applied, axis: int) -> Sampling | None:
    """A window of the attributes `kernel`, `stride`, `dilation` and `pad`, where an op has them."""
    kernel, stride, dilation = (applied.attrs.get(name, (1, 1))[axis] for name in ("kernel", "stride", "dilation"))
    extent, before = (kernel - 1) * dilation, _before(applied, axis)
    if not extent and not before and stride == 1:
        return SAME
    return Sampling(1, stride, lambda position: (-before, extent - before))


def transposed_window(applied: Applied, axis: int) -> Sampling | None:
    """A window that is laid over the result, `stride` cells further for each cell of the input."""
    kernel, stride, dilation = (applied.attrs[name][axis] for name in ("kernel", "stride", "dilation"))
    extent, before = (kernel - 1) * dilation, _before(applied, axis)

    def cells(position: int) -> tuple[int, int]:
        position += before  # padding is what is cut off
        first, last = -((extent - position) // stride), position // stride
        return min(first, last), last

    return Sampling(stride, 1, cells)


def padded(applied: Applied, axis: int) -> Sampling | None:
    """Each position reads one cell, behind those of the attribute `pad`."""
    before = _before(applied, axis)
    return Sampling(1, 1, lambda position: (-before, -before))


def cut(applied: Applied, axis: int) -> Sampling | None:
    """Each position reads one cell, from the attribute `offset` on."""
    first = applied.attrs["offset"][axis]
    return Sampling(1, 1, lambda position: (first, first))


def mirrored(applied: Applied, axis: int) -> Sampling | None:
    """Each position reads the cell that is as far from the other end, along the attribute `axis`."""
    if applied.attrs["axis"] != ("height", "width")[axis]:
        return SAME
    size = int(applied.shape[2 + axis])
    return Sampling(size, size, lambda position: (size - 1 - position,) * 2)


def repeated(applied: Applied, axis: int) -> Sampling | None:
    """A map whose cells become several, by the sizes of the two maps: its own cell for each position."""
    size, out = _sizes(applied, axis)
    return Sampling(out, size, lambda position: (position * size // out,) * 2)


def interpolated(applied: Applied, axis: int) -> Sampling | None:
    """A map of another size: the centre of a pixel lies at (position + 0.5) * size / out - 0.5, a cell or between."""
    size, out = _sizes(applied, axis)

    def cells(position: int) -> tuple[int, int]:
        below, rest = divmod((2 * position + 1) * size - out, 2 * out)
        return below, below + bool(rest)

    return Sampling(out, size, cells)


def _before(applied: Applied, axis: int) -> int:
    """The padding before the first cell."""
    return int(applied.attrs.get("pad", (0, 0, 0, 0))[2 * axis])


def _sizes(applied: Applied, axis: int) -> tuple[int, int]:
    """The sizes of the operand and of the result, in lowest terms."""
    size, out = int(applied.operands[0][2 + axis]), int(applied.shape[2 + axis])
    common = gcd(size, out)
    return size // common, out // common
