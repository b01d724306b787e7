"""How large values become on their way through a graph: a guess, for weights that keep them from vanishing."""

from __future__ import annotations

from collections.abc import Sequence

from netspec.ir.graph import Graph, Node
from netspec.ops import OPS
from netspec.ops.base import Applied
from netspec.ops.moments import Signal


def passed(graph: Graph, node: Node, entering: Sequence[Signal]) -> Signal:
    """What a node makes of its operands, with weights as `weights.initialise.draw` gives them."""
    applied = Applied(node.attrs, [graph.shape(ref) for ref in node.inputs], node.result)
    return OPS[node.op].moments(entering, applied)
