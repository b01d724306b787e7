"""Drops outputs marked `training_only`, with the nodes that serve nothing else."""

from __future__ import annotations

from netspec.ir.graph import Graph
from netspec.passes.scopes import carried


def drop_heads(graph: Graph) -> Graph:
    """The graph without auxiliary heads; itself where it has none."""
    outputs = {name: o for name, o in graph.outputs.items() if not o.training_only}
    needed = graph.above(o.ref.node for o in outputs.values())
    nodes = [n for n in graph.nodes.values() if n.path in needed or n.op == "input"]
    if len(nodes) == len(graph) and len(outputs) == len(graph.outputs):
        return graph
    scopes = carried(graph.scopes.values(), {n.path for n in nodes}, {})
    return Graph(graph.name, nodes, outputs, scopes, graph.title)
