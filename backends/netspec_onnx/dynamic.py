"""Free heights and widths: which steps allow them, proved by the network at other sizes.

A network is elaborated for one size, and a step may be written for it: as a pad that rounds, a crop, a matrix of means.
So its nodes are compared with those of the same network at larger inputs. Where they are the same, the model is that of
every such size. Sizes that follow the input's reach the rows as `Free`, which a row may write in another way.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import lcm

import numpy as np

from netspec.analysis.strides import strides
from netspec.diagnostics.errors import Diagnostic, SpecError, UsageError
from netspec.diagnostics.text import counted
from netspec.ir.graph import Graph, Node, Ref
from netspec.ops import Shape
from netspec.ops.base import Dim, show
from netspec_onnx.lowering import rows_of
from netspec_onnx.nodes import Free, N
from netspec_onnx.options import OnnxOptions

LARGER = ((1, 2), (2, 1), (67, 131), (130, 69))
"""The rows and columns that are added, in steps: few, which show what rounds, and many, by which all maps grow."""


FREE = "height and width are free"
"""What is said where every size is taken."""


@dataclass(frozen=True, eq=False)
class FreeSizes:
    """A network whose nodes are the same at larger inputs."""

    graphs: list[Graph]
    """At its own input, then at larger ones."""
    step: int
    """How many pixels a size of the input is larger at the least."""
    why: str = ""
    """Where it is more than one: the step that rounds."""

    def shape(self, ref: Ref, of: Graph | None = None) -> Shape:
        """The shape of a value, as rows take it, in the network at its own input or in a larger one."""
        own = (of or self.graphs[0]).shape(ref)
        shapes = [g.shape(ref) for g in self.graphs]
        return tuple(
            Free(size) if isinstance(size, int) and len(set(sizes)) > 1 else size
            for size, sizes in zip(own, zip(*shapes, strict=True), strict=True)
        )

    def declared(self, ref: Ref) -> list[Dim | None]:
        """The shape of a value as a model declares it: a symbol of the input, or nothing, where a size is free."""
        symbols = self._symbols()
        shapes = [g.shape(ref) for g in self.graphs]
        return [
            sizes[0] if len(set(sizes)) == 1 else symbols.get((axis, *sizes))
            for axis, sizes in enumerate(zip(*shapes, strict=True))
        ]

    def _symbols(self) -> dict[tuple[Dim, ...], str]:
        """The name of each free size of an input, by its axis and the sizes that it takes."""
        found: dict[tuple[Dim, ...], str] = {}
        for node in self.graphs[0].inputs:
            for axis, sizes in enumerate(zip(*(g.shape(Ref(node.path)) for g in self.graphs), strict=True)):
                if len(set(sizes)) > 1:
                    side = {2: "height", 3: "width"}[axis]
                    found.setdefault((axis, *sizes), f"{node.path}_{side}" if side in found.values() else side)
        return found

    @property
    def note(self) -> str:
        """What is said of the sizes that the model takes."""
        if self.step == 1:
            return FREE
        return f"{FREE} in steps of {self.step} from {_size(self.graphs[0])} on: {self.why}"


def free_sizes(graph: Graph, options: OnnxOptions) -> FreeSizes:
    """The network with free sizes; raises SpecError with the step that does not allow them, UsageError."""
    if options.resized is None:
        raise UsageError(
            "--dynamic needs the spec of the network, to compare it at other sizes", "`netspec compile SPEC --dynamic`"
        )
    if not any(len(node.shape) == 4 for node in graph.inputs):
        raise UsageError("no input of this network has a height and a width", "leave out --dynamic")
    first = wrong = None
    for step in _steps(graph):
        sizes = FreeSizes([graph], step, _said(first))
        wrong = _add_larger(sizes, options.resized)
        if wrong is None:
            return sizes
        first = first or wrong
    raise SpecError([wrong] if wrong else [])


def _steps(graph: Graph) -> list[int]:
    """By how many pixels sizes may grow: what divides those between two values of every map, in order."""
    apart = lcm(*(side.numerator for sides in strides(graph).values() if sides is not None for side in sides))
    return [step for step in range(1, min(apart, LARGEST_STEP) + 1) if apart % step == 0]


LARGEST_STEP = 1024
"""Pixels. A network whose maps are farther apart sees its whole input in one value."""


def _add_larger(sizes: FreeSizes, resized: Callable[[int, int], Graph]) -> Diagnostic | None:
    """Adds the network at larger inputs; gives what keeps it from being the same there.

    Raises SpecError for weights that follow the size, which they do at every step.
    """
    for rows, columns in ((rows * sizes.step, columns * sizes.step) for rows, columns in LARGER):
        try:
            other = resized(rows, columns)
        except SpecError as e:
            found = next(d for d in e.diagnostics if d.severity == "error")
            more = f"{counted(rows, 'row')} and {counted(columns, 'column')} more"
            message = f"with {more} it is no network: {found.message}"
            return Diagnostic("NS603", message, found.span, _HELP)
        sizes.graphs.append(other)
        _check_weights(sizes.graphs[0], other)
        if wrong := _difference(sizes, other):
            return wrong
    return next(filter(None, (_difference(sizes, other) for other in sizes.graphs[1:])), None)  # by all that is free


def _said(first: Diagnostic | None) -> str:
    if first is None:
        return ""
    return f"{first.message} ({first.span})" if first.span else first.message


_HELP = "without --dynamic the model has the size of the spec, or of --input"


def _check_weights(graph: Graph, other: Graph) -> None:
    """Raises SpecError for a weight that has another shape at another size."""
    larger = other.tensors()
    for key, (shape, _, node) in graph.tensors().items():
        if key in larger and larger[key][0] != shape:
            shapes = f"{show(shape)} at {_size(graph)} and {show(larger[key][0])} at {_size(other)}"
            message = f"height and width cannot be free: '{node.path}' ('{node.op}') has a weight of {shapes}"
            raise SpecError([Diagnostic("NS603", message, node.span, _HELP)])


def _difference(sizes: FreeSizes, other: Graph) -> Diagnostic | None:
    """The first step that is another one in a larger network; None where none is."""
    graph = sizes.graphs[0]
    at = f"{_size(graph)} and {_size(other)}"
    if list(graph.nodes) != list(other.nodes):
        odd = next(iter(graph.nodes.keys() ^ other.nodes.keys()), "")
        node = graph.nodes.get(odd) or other.nodes.get(odd)
        what = f"'{odd}' is a step at one of {at} alone" if node else f"the steps have other orders at {at}"
        return Diagnostic("NS603", what, node.span if node else None, _HELP)
    for node, same in zip(graph.nodes.values(), other.nodes.values(), strict=True):
        if node.inputs and not _alike(_rows(graph, node, sizes), _rows(other, same, sizes)):
            message = f"'{node.path}' ('{node.op}') is another one at {_size(graph)} than at {_size(other)}"
            return Diagnostic("NS603", message, node.span, _HELP)
    return None


def _size(graph: Graph) -> str:
    return show(graph.inputs[0].shape)


def _rows(graph: Graph, node: Node, sizes: FreeSizes) -> list[N]:
    """The nodes of a step, in all their forms, at the size of its own graph."""
    return rows_of(node, [sizes.shape(ref, graph) for ref in node.inputs])


def _alike(first: Sequence[N], second: Sequence[N]) -> bool:
    """Whether two lists of nodes are the same, with their constants and their older forms."""
    return len(first) == len(second) and all(
        (a.op_type, a.outputs, a.attrs, a.since) == (b.op_type, b.outputs, b.attrs, b.since)
        and len(a.inputs) == len(b.inputs)
        and all(map(_equal, a.inputs, b.inputs))
        and _alike(a.older, b.older)
        for a, b in zip(first, second, strict=True)
    )


def _equal(a: str | np.ndarray, b: str | np.ndarray) -> bool:
    if isinstance(a, str) or isinstance(b, str):
        return isinstance(a, str) and isinstance(b, str) and a == b
    return a.dtype == b.dtype and np.array_equal(a, b)
