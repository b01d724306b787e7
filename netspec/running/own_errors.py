"""How far each step is off by itself: what it gives is held against what it is to make of its own operands.

A difference in float32 grows on its way through a network, at a gate of large inputs by a hundred times, and is no
fault of the step where it has become large. Steps are therefore computed anew in float64 of the values that a side has
before them, and in float32 too, which says how exact they can be.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from netspec.expressions.identifiers import Path
from netspec.ir.graph import Graph, Node, Output, Ref
from netspec.ops import OpResult, Shape
from netspec.passes.rewriter import free_path, live_scopes
from netspec.running.differences import NOISY, Difference, difference
from netspec.running.ports import Value
from netspec.running.showing import in_portions
from netspec.running.subjects import Inputs, Made, OfSpec, Remembering, Subject
from netspec.running.ways import Prepares, Way

ROUNDS = 10
"""A result is off by no more than rounding where it is within so many times what PyTorch's own float32 is off."""


FIRST = 8
"""So many values are computed anew at first, and twice as many each further time: the first is most often the one."""
PORTION = 64 * 2**20
"""Bytes of values that are computed anew at once."""


@dataclass(frozen=True, slots=True)
class Own:
    """How far a step is off, given its operands."""

    error: Difference
    """Of what it gave from what float64 makes of the same operands."""
    rounding: float
    """The relative error of PyTorch's own float32 of the same operands."""

    def beyond(self, tolerance: float) -> bool:
        """Whether the step is off by more than the tolerance, and by more than rounding."""
        return self.error.exceeds(max(tolerance, ROUNDS * self.rounding))


@dataclass(frozen=True, slots=True)
class Exact:
    """What is right: a network in float64, by a backend that has it."""

    backend: Prepares
    graph: Graph
    arrays: Made

    def roundings(self, inputs: Inputs) -> dict[str, float]:
        """The relative error of float32 in each output; raises MissingError, DataError."""
        exact, rounded = self._both(self.graph, inputs)
        return {name: difference(exact[name], rounded[name]).relative for name in exact}

    def gives(self, subject: Subject) -> bool:
        """Whether a subject is this network in float32, which is off by rounding alone."""
        inner = subject.subject if isinstance(subject, Remembering) else subject
        if not isinstance(inner, OfSpec) or inner.backend is not self.backend or inner.dtype != "float32":
            return False
        return inner.module.graph is self.graph and inner.way.form in ("", next(iter(self.backend.forms)))

    def own(self, subject: Subject, refs: Sequence[Ref], known: Collection[Ref], inputs: Inputs) -> dict[Ref, Own]:
        """The errors of values, of what a side has of the `known` values before them.

        Steps whose values are not known are computed with those after them. Raises MissingError, DataError.
        """
        cut, entering, named = given(self.graph, refs, known)
        found = subject.values(self.graph, [*dict.fromkeys([*refs, *entering.values()])], inputs)
        fed = {name: found[ref] for name, ref in entering.items()}
        fed |= {str(n.path): inputs[n.path] for n in cut.inputs if n.path in inputs}
        exact, rounded = self._both(cut, fed)
        noise = subject.dtype == NOISY
        return {
            ref: Own(difference(exact[name], found[ref], noise), difference(exact[name], rounded[name], noise).relative)
            for name, ref in named.items()
        }

    def _both(self, graph: Graph, inputs: Inputs) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
        """What float64 gives, and float32."""
        exact, rounded = (
            _arrays(self.backend.prepare(graph, self.arrays(), Way(dtype=dtype)).run(inputs))
            for dtype in ("float64", "float32")
        )
        return exact, rounded


@dataclass(frozen=True, slots=True)
class Off:
    """A value that a step gives otherwise than it should."""

    ref: Ref
    own: Own | None = None
    """How far it is off; None where nothing says what it should give."""
    side: str = ""
    """The subject in which it is."""


@dataclass(frozen=True, slots=True)
class Anew:
    """Two subjects whose steps are computed anew, of the values before them that are `known`."""

    exact: Exact
    subjects: Sequence[Subject]
    inputs: Inputs
    known: Collection[Ref]

    def first(self, refs: Sequence[Ref], tolerance: float) -> Off | None:
        """The first of some values whose step is off by more than the tolerance, and by more than rounding.

        Raises MissingError, DataError.
        """
        return next((off for off in self._off(refs) if off.own is not None and off.own.beyond(tolerance)), None)

    def worst(self, refs: Sequence[Ref], tolerance: float) -> Off | None:
        """That of them whose step is off by the most of these; raises MissingError, DataError."""
        found = [(off.own.error.relative, off) for off in self._off(refs) if off.own and off.own.beyond(tolerance)]
        return max(found, key=lambda one: one[0])[1] if found else None

    def _off(self, refs: Sequence[Ref]) -> Iterator[Off]:
        """How far each value is off, in that subject where it is more."""
        batch = next(iter(self.inputs.values())).shape[0]
        others = [subject for subject in self.subjects if not self.exact.gives(subject)] or self.subjects
        start, size = 0, FIRST
        while start < len(refs):
            for portion in in_portions(self.exact.graph, refs[start : start + size], batch, PORTION):
                sides = [(s.name, self.exact.own(s, portion, self.known, self.inputs)) for s in others]
                for ref in portion:
                    yield max((Off(ref, own[ref], name) for name, own in sides), key=_amount)
            start, size = start + size, 2 * size


def _amount(off: Off) -> float:
    return off.own.error.relative if off.own is not None else 0.0


def given(graph: Graph, refs: Sequence[Ref], known: Collection[Ref]) -> tuple[Graph, dict[str, Ref], dict[str, Ref]]:
    """The steps of some values, which read values that are known from further inputs, with these values as outputs.

    Also which input is which known value, and which output is which of the values.
    """
    entering, needed = dict[Ref, Ref](), set[str]()
    todo = [ref.node for ref in refs]
    while todo:
        path = todo.pop()
        if path in needed:
            continue
        needed.add(path)
        for ref in graph.nodes[path].inputs:
            if ref in known and graph.nodes[ref.node].op != "input":
                entering.setdefault(ref, Ref(free_path(graph, f"entering_{len(entering)}")))
            else:
                todo.append(ref.node)
    new = [_input(at.node, graph.shape(ref)) for ref, at in entering.items()]

    nodes: dict[str, Node] = {node.path: node for node in new}
    for node in graph.nodes.values():
        if node.op == "input":
            nodes[node.path] = node
        elif node.path in needed:
            nodes[node.path] = replace(node, inputs=tuple(entering.get(ref, ref) for ref in node.inputs))
    named = {f"value_{i}": ref for i, ref in enumerate(refs)}
    outputs = {name: Output(ref) for name, ref in named.items()}
    cut = Graph(graph.name, nodes, outputs, live_scopes(graph.scopes.values(), nodes), graph.title)
    return cut, {at.node: ref for ref, at in entering.items()}, named


def _input(name: str, shape: Shape) -> Node:
    return Node(Path(name), "input", (), {"shape": shape, "sample": "normal"}, OpResult((shape,)), Path(name))


def _arrays(found: Mapping[str, Value]) -> dict[str, np.ndarray]:
    return {name: value for name, value in found.items() if isinstance(value, np.ndarray)}
