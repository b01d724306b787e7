"""Removes steps from which no output is computed.

Case 1: a step that no output of the network depends on; a scope that held nothing else goes.
Left alone: the inputs of the network, which its callers give.
"""

from __future__ import annotations

from collections.abc import Sequence

from netspec.ir.graph import Node
from netspec.ir.module import Module
from netspec.ops import Tensor
from netspec.passes.base import Stage, graph_pass
from netspec.passes.rewriter import rewrite


@graph_pass(stage=Stage.INFERENCE, named=True, level=1)
def drop_dead(module: Module) -> Module:
    """Leaves out steps that no output of the network depends on."""
    needed = module.graph.above(output.ref.node for output in module.graph.outputs.values())

    def visit(node: Node, operands: Sequence[Tensor]) -> Node | None:
        return node if node.path in needed or node.op == "input" else None

    return rewrite(module, visit)
