"""A graph that shows values between its steps: they are outputs, and what they do not need is left out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from math import prod

from netspec.ir.graph import Graph, Node, Output, Ref
from netspec.ir.module import Module
from netspec.ops import Tensor
from netspec.passes.rewriter import rewrite

NUMBER = 4
"""Bytes of a number: values are compared in float32."""


def values(graph: Graph) -> list[Ref]:
    """Every value that a step computes, in the order of the spec."""
    return [Ref(n.path, i) for n in graph.nodes.values() if n.op != "input" for i in range(len(n.shapes))]


def showing(graph: Graph, refs: Sequence[Ref]) -> tuple[Graph, dict[str, Ref]]:
    """The graph with these values as its outputs, without what none of them needs, and which output is which."""
    taken, named = {str(node.path) for node in graph.inputs}, dict[str, Ref]()
    for i, ref in enumerate(refs):
        name = f"value_{i}"
        while name in taken:
            name += "_"
        named[name] = ref
    needed = graph.above(ref.node for ref in refs)

    def visit(node: Node, operands: Sequence[Tensor]) -> Node | None:
        return node if node.path in needed or node.op == "input" else None

    outputs = {name: Output(ref) for name, ref in named.items()}
    return rewrite(Module(graph), visit, outputs).graph, named


def in_portions(graph: Graph, refs: Iterable[Ref], batch: int, limit: int) -> Iterator[list[Ref]]:
    """Values in their order, in portions of at most so many bytes together; a larger one is alone."""
    portion, held = list[Ref](), 0
    for ref in refs:
        size = NUMBER * prod(batch if isinstance(d, str) else int(d) for d in graph.shape(ref))
        if portion and held + size > limit:
            yield portion
            portion, held = [], 0
        portion.append(ref)
        held += size
    if portion:
        yield portion
