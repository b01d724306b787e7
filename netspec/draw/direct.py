"""Concatenations as arrows: from each value that one joins to each step that reads it."""

from __future__ import annotations

from dataclasses import replace

from netspec.diagnostics.errors import UsageError
from netspec.ir.graph import Graph, Ref

# A block of 64 layers has some thousand; a spec that joins joins could ask for any number.
MOST_ARROWS = 100_000


def direct(graph: Graph) -> Graph:
    """A graph for drawing, without concatenations but those that are outputs; raises UsageError for too many arrows."""
    ends = {output.ref.node for output in graph.outputs.values()}
    joined: dict[Ref, tuple[Ref, ...]] = {}
    nodes, arrows = [], 0
    for node in graph.nodes.values():
        inputs = tuple(dict.fromkeys(source for ref in node.inputs for source in joined.get(ref, (ref,))))
        arrows += len(inputs)
        if arrows > MOST_ARROWS:
            raise UsageError(f"--direct would draw more than {MOST_ARROWS:,} arrows")
        if node.op == "concat" and node.path not in ends:
            joined[Ref(node.path)] = inputs
        else:
            nodes.append(replace(node, inputs=inputs) if any(ref in joined for ref in node.inputs) else node)
    return Graph(graph.name, nodes, graph.outputs, graph.scopes, graph.title)
