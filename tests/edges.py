"""Attribute values at the edges of every op, made from its typed signature and its samples."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from conformance import Shapes

from netspec.ops import Op
from netspec.ops.base import Param

VALUES: dict[str, tuple[Any, ...]] = {
    "int": (-1, 0, 1, 2, 3, 6, 7, 2**31),
    "float": (-2, -1.0, 0, 1e-45, 1e-12, 1e-3, 0.5, 1, 2, 3.0, 1e5, 3e38, 1e39, 1e300, float("inf"), float("nan")),
    "bool": (True, False),
    "size": (-1, 0, 1, 2, 3, 4, (1, 2), (3, 1), (2, 5), (4, 1), 64, 2**16, 2**31 - 1),
    "pad": (
        -1,
        0,
        1,
        2,
        4,
        (1, 0),
        (0, 2),
        (0, 1, 1, 0),
        (2, 0, 0, 3),
        (1, 2, 1, 1),
        64,
        2**31 - 1,
        "valid",
        "half",
        "same_upper",
    ),
    "parts": (0, 1, 2, 3, (6,), (1, 5), (5, 1), (2, 2, 2), (6, 0), ()),
}
"""By the type of an attribute: nothing, negative, one, unlike sides, larger than any operand, beyond float32; whole
numbers for a float among them."""

IMAGES: Shapes = ((6, 11, 9), (1, 1, 1), (6, 1, 1), (2, 1, 11), (6, 2, 3))
VECTORS: Shapes = ((6,), (1,))
RANKS: Shapes = ((), (6,), (6, 4), (6, 2, 3, 2), (6, 4, 4, 2, 1))
"""Items of every rank: what no op of images takes, and elementwise ones do."""
MAX_ELEMENTS = 10**6
"""Larger results are inferred, not run."""


@dataclass(frozen=True)
class Edge:
    """One op with attributes at an edge."""

    op: str
    attrs: tuple[tuple[str, Any], ...]
    shapes: Shapes

    def __str__(self) -> str:
        shapes = ", ".join("x".join(map(str, shape)) for shape in self.shapes)
        return f"{self.op} {dict(self.attrs)} of {shapes}"


def edges(op: Op, together: int = 2) -> Iterator[Edge]:
    """A sample of an op for each rank and each of its optional attributes, with up to so many attributes at an edge, on
    its own operands and on others."""
    seen = set()
    optional = {p.name for p in op.params if p.default is None}
    bases = {
        (len(shapes), len(shapes[0]), *sorted(optional & attrs.keys())): (dict(attrs), shapes)
        for attrs, shapes in op.samples
    }
    for (attrs, shapes), count in itertools.product(bases.values(), range(together + 1)):
        for chosen in itertools.combinations(op.params, count):
            for values in itertools.product(*(_values(param) for param in chosen)):
                changed = attrs | {p.name: v for p, v in zip(chosen, values, strict=True)}
                for operands in _operands(op, changed, shapes):
                    edge = Edge(op.name, tuple(sorted(changed.items(), key=lambda item: item[0])), operands)
                    if edge not in seen:
                        seen.add(edge)
                        yield edge
    for attrs, shapes in bases.values():
        yield from (Edge(op.name, tuple(sorted(attrs.items())), (shape,) * len(shapes)) for shape in RANKS)


def _values(param: Param) -> tuple[Any, ...]:
    return param.one_of or VALUES[param.type]


def _operands(op: Op, attrs: dict[str, Any], shapes: Shapes) -> Iterator[Shapes]:
    """The sample's own operands, and smaller ones of the same rank in their place."""
    if op.arity == 1:
        yield from ((first,) for first in (shapes[0], *(IMAGES if len(shapes[0]) == 3 else VECTORS)))
    elif op.operands is not None:
        for first in (shapes[0], *IMAGES):
            if (others := op.operands(attrs, ("N", *first))) is not None:
                yield first, *others
    else:
        yield shapes
        yield shapes[:1]
        yield shapes[:1] * 4
