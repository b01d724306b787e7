"""Depth: how many layers with weights lie one behind the other."""

from __future__ import annotations

from collections.abc import Iterable

from netspec.ir.graph import Node
from netspec.ops import OPS


def layers_deep(nodes: Iterable[Node]) -> int:
    """Convolutions and linear layers on the longest path through some nodes, which come in the order of their graph.

    A path does not lead through a gate, one factor for each channel or pixel of the map that it multiplies:
    SE-ResNet-50 has 50 layers, and SENet-154 has 154 (Hu et al. 2018).
    """
    deep: dict[str, int] = {}
    known: dict[str, Node] = {}
    last: dict[str, int] = {}  # what no other node reads: a gate ends in a shorter path than it is itself
    for node in nodes:
        op, read = OPS[node.op], [ref for ref in node.inputs if ref.node in deep]
        for ref in read:
            last.pop(ref.node, None)
        if op.gates:
            read = [ref for ref in read if known[ref.node].shapes[ref.out] == node.shape] or read
        deep[node.path] = (op.kind == "weights") + max((deep[ref.node] for ref in read), default=0)
        known[node.path], last[node.path] = node, deep[node.path]
    return max(last.values(), default=0)
