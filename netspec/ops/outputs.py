"""How the weight of a layer lies by its outputs and its inputs: what scales one of them scales a part of the weight."""

from __future__ import annotations

from collections.abc import Callable

from netspec.ops.base import Attrs

Sizes = tuple[int, ...]
ByOutput = Callable[[Sizes, Attrs], tuple[Sizes, Sizes]]
"""(shape of a weight, attributes of its op) -> the shape in which it is multiplied by a factor for each output, and the
shape of these factors."""
ByInput = ByOutput
"""The same for a factor of each input."""


def first_axis(size: Sizes, attrs: Attrs) -> tuple[Sizes, Sizes]:
    """Of (out, in, kh, kw), or of (out, in)."""
    return size, (size[0], *(1 for _ in size[1:]))


def second_axis(size: Sizes, attrs: Attrs) -> tuple[Sizes, Sizes]:
    """Of (in, out / groups, kh, kw): the inputs of each group have outputs of their own."""
    groups, rest = attrs["groups"], size[2:]
    return (groups, size[0] // groups, size[1], *rest), (groups, 1, size[1], *(1 for _ in rest))


def input_of_group(size: Sizes, attrs: Attrs) -> tuple[Sizes, Sizes]:
    """Of (out, in / groups, kh, kw) or (out, in): the outputs of each group have inputs of their own."""
    groups, (out, each), ones = attrs.get("groups", 1), size[:2], tuple(1 for _ in size[2:])
    return (groups, out // groups, each, *size[2:]), (groups, 1, each, *ones)
