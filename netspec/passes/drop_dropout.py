"""Removes what is the identity at inference.

Case 1: the readers of `dropout`, `drop_path` and the like read their operand.
Case 2: an output that names such a node names its operand instead; a scope that held nothing else goes.
"""

from __future__ import annotations

from collections.abc import Sequence

from netspec.ir.graph import Node, Ref
from netspec.ir.module import Module
from netspec.ops import OPS, Tensor
from netspec.passes.base import Stage, graph_pass
from netspec.passes.rewriter import rewrite


@graph_pass(stage=Stage.INFERENCE, named=False)
def drop_dropout(module: Module) -> Module:
    """Leaves out `dropout`, `drop_path` and the like, which do nothing at inference."""

    def visit(node: Node, operands: Sequence[Tensor]) -> Node | Ref:
        return node.inputs[0] if OPS[node.op].only_in_training else node

    return rewrite(module, visit)
