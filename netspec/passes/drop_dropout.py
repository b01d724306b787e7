"""Removes what is the identity at inference.

Case 1: the readers of `dropout`, `drop_path` and the like read their operand.
Case 2: an output that names such a node names its operand instead; a scope that held nothing else goes.
"""

from __future__ import annotations

from dataclasses import replace

from netspec.ir.graph import Graph, Ref
from netspec.ops import OPS
from netspec.passes.scopes import carried


def drop_dropout(graph: Graph) -> Graph:
    """The graph without dropout and drop_path; itself where it has none."""
    if not any(OPS[node.op].only_in_training for node in graph.nodes.values()):
        return graph
    source: dict[Ref, Ref] = {}
    nodes = []
    for node in graph.nodes.values():
        inputs = tuple(source.get(ref, ref) for ref in node.inputs)
        if OPS[node.op].only_in_training:
            source[Ref(node.path)] = inputs[0]
        else:
            nodes.append(node if inputs == node.inputs else replace(node, inputs=inputs))
    outputs = {name: replace(o, ref=source.get(o.ref, o.ref)) for name, o in graph.outputs.items()}

    scopes = carried(graph.scopes.values(), {n.path for n in nodes}, source)
    return Graph(graph.name, nodes, outputs, scopes, graph.title)
