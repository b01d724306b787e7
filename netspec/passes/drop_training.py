"""Drops what only training needs.

Case 1: an output marked `training_only` goes, with the nodes that serve nothing else.
Case 2: `dropout` and `drop_path` are the identity at inference: their readers read their operand.
Case 3: an output that names such a node names its operand instead.
"""

from __future__ import annotations

from dataclasses import replace

import networkx as nx

from netspec.graph import Graph, Ref

IDENTITY_AT_INFERENCE = ("dropout", "drop_path")


def drop_training(graph: Graph) -> Graph:
    """The graph without training-only outputs, dropout and drop_path."""
    outputs = {name: o for name, o in graph.outputs.items() if not o.training_only}
    needed = {o.ref.node for o in outputs.values()}
    for path in list(needed):
        needed |= nx.ancestors(graph.nx, path)
    source: dict[Ref, Ref] = {}
    nodes = []
    for node in graph.nodes.values():
        if node.path not in needed and node.op != "input":
            continue
        inputs = tuple(source.get(ref, ref) for ref in node.inputs)
        if node.op in IDENTITY_AT_INFERENCE:
            source[Ref(node.path)] = inputs[0]
        else:
            nodes.append(node if inputs == node.inputs else replace(node, inputs=inputs))
    kept = {name: replace(o, ref=source.get(o.ref, o.ref)) for name, o in outputs.items()}
    return Graph(graph.name, nodes, kept, graph.scopes, graph.title)
