"""Depth: how many layers with weights lie one behind the other."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from netspec.ir.graph import Node, Ref
from netspec.ops import OPS

MOST_STEPS = 64
"""So many steps a gate is computed in at most, which bounds the search for what it is computed of."""
_SQUEEZES = {"global_avg_pool", "global_max_pool", "adaptive_avg_pool", "channel_mean", "channel_max"}


def layers_deep(nodes: Iterable[Node]) -> int:
    """Convolutions and linear layers on the longest path through some nodes, which come in the order of their graph.

    A path does not lead through a gate, which is computed of a pool of the map that it multiplies, over its pixels or
    its channels: SE-ResNet-50 has 50 layers, and SENet-154 has 154 (Hu et al. 2018), whatever the size of the input.
    """
    deep: dict[str, int] = {}
    known: dict[str, Node] = {}
    last: dict[str, int] = {}  # what no other node reads: a gate ends in a shorter path than it is itself
    for node in nodes:
        op, read = OPS[node.op], [ref for ref in node.inputs if ref.node in deep]
        for ref in read:
            last.pop(ref.node, None)
        if op.gates:
            read = [ref for ref in read if not any(_gates(ref, by, known) for by in node.inputs if by != ref)] or read
        deep[node.path] = (op.kind == "weights") + max((deep[ref.node] for ref in read), default=0)
        known[node.path], last[node.path] = node, deep[node.path]
    return max(last.values(), default=0)


def _gates(gate: Ref, by: Ref, known: Mapping[str, Node]) -> bool:
    """Whether a value is computed of a pool of another one, or of that where it is such a pool itself."""
    pooled = by.node in known and known[by.node].op in _SQUEEZES
    todo, seen = [(gate, False)], {(gate, False)}
    while todo and len(seen) <= MOST_STEPS:
        ref, squeezed = todo.pop(0)
        if ref == by:
            if squeezed or pooled:
                return True
            continue
        node = known.get(ref.node)
        for read in node.inputs if node is not None else ():
            found = (read, squeezed or (node is not None and node.op in _SQUEEZES))
            if found not in seen:
                seen.add(found)
                todo.append(found)
    return False
