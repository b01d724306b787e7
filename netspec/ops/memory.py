"""What an op does to memory, as PyTorch runs it: what it needs while it runs, and what it keeps for its gradient."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from netspec.ops.base import Applied, Shape


class Kept(NamedTuple):
    """What training keeps until the gradient of an op is computed."""

    operands: Sequence[int] = ()
    """Their numbers."""
    result: bool = False
    more: int = 0
    """Elements of float32 of what nothing else reads, for one image."""


def elements(shape: Shape) -> int:
    """The numbers in a value, of one image."""
    return math.prod(map(int, shape[1:]))


def operand(applied: Applied) -> Kept:
    """Its first operand."""
    return Kept((0,))


def operands(applied: Applied) -> Kept:
    """All that it reads."""
    return Kept(range(len(applied.operands)))


def result(applied: Applied) -> Kept:
    """What it gives."""
    return Kept(result=True)


def nothing(applied: Applied) -> Kept:
    """Its gradient depends on that of its result alone."""
    return Kept()


def everything(applied: Applied) -> Kept:
    """All that it reads and gives: the most that an op without work of its own can keep."""
    return Kept(range(len(applied.operands)), result=True)


def padding_of(applied: Applied) -> int:
    """Elements of the padded operand, where the sides are padded unlike; else 0."""
    top, bottom, left, right = applied.attrs["pad"]
    return 0 if top == bottom and left == right else padded_elements(applied)


def padded_elements(applied: Applied) -> int:
    """Elements of the operand with its padding."""
    top, bottom, left, right = map(int, applied.attrs["pad"])
    _, channels, height, width = applied.operands[0]
    return int(channels) * (int(height) + top + bottom) * (int(width) + left + right)


def padded_operand(applied: Applied) -> Kept:
    """Its operand as it is padded."""
    padded = padding_of(applied)
    return Kept(more=padded) if padded else operand(applied)


def pads_alike(applied: Applied) -> bool:
    """PyTorch's layers pad both sides alike."""
    return not padding_of(applied)


def always(applied: Applied) -> bool:
    """Whatever its attributes are."""
    return True


def never(applied: Applied) -> bool:
    """Whatever its attributes are, it is not so."""
    return False


def no_scratch(applied: Applied) -> int:
    """It needs no memory but that of its operands and its result."""
    return 0


@dataclass(frozen=True, slots=True)
class Memory:
    """What an op does to memory."""

    keeps: Callable[[Applied], Kept] = everything
    """What training keeps for its gradient."""
    scratch: Callable[[Applied], int] = no_scratch
    """Elements of what is there only while it runs, for one image."""
    view: Callable[[Applied], bool] = never
    """Whether its results lie in the memory of its first operand."""
    layer: Callable[[Applied], bool] = always
    """Whether PyTorch has a layer of it, which stands in chains that hold one value at a time; what has none is an
    expression in the function of its block, whose variables are let go when the block is left."""


VIEW = Memory(nothing, view=always)
"""It shows the same numbers, in another shape if need be."""
CUT = Memory(nothing, view=always, layer=never)
"""It shows a part of its operand."""
COPY = Memory(nothing)
"""It moves or averages numbers."""
MOVED = Memory(nothing, layer=never)
"""The same, where PyTorch has no layer of it."""
OPERAND = Memory(operand)
"""Its gradient depends on what it reads, such as that of a convolution."""
RESULT = Memory(result)
"""Its gradient depends on what it gives, such as that of ReLU."""
WINDOW = Memory(padded_operand, padding_of, layer=pads_alike)
"""The same for what slides a window over a map, which is padded first where the sides are padded unlike."""
