"""Gives a network another size of input: every shape follows from it by the ops' rules, arguments stay.

Only convolutional networks can take it: a `linear` would need other weights, which the graph's check of shapes shows.
"""

from __future__ import annotations

from netspec.ir.graph import Graph, Node
from netspec.ops import OPS, Shape, Tensor
from netspec.ops.base import OpError


class ShapeMismatch(Exception):
    """A node cannot take the shapes that another input gives it."""

    def __init__(self, node: Node, error: OpError) -> None:
        super().__init__(str(error))
        self.node, self.error = node, error


def resize(graph: Graph, shapes: dict[str, Shape]) -> Graph:
    """The graph with inputs of other shapes, by name; raises ShapeMismatch where an op cannot take them."""
    done: dict[str, Node] = {}
    for node in graph.nodes.values():
        attrs = {**node.attrs, "shape": shapes[node.path]} if node.op == "input" else node.attrs
        try:
            rule = OPS[node.op].infer([Tensor(done[r.node].shapes[r.out]) for r in node.inputs], attrs)
        except OpError as e:
            raise ShapeMismatch(node, e) from None
        done[node.path] = Node(
            node.path, node.op, node.inputs, rule.attrs, rule, node.weights_at, node.init, node.span, node.doc
        )
    return Graph(graph.name, done, graph.outputs, graph.scopes, graph.title)
