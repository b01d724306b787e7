"""Removes what is the identity at inference.

Case 1: the readers of `dropout`, `drop_path` and the like read their operand; a join takes all of its operands.
Case 2: an output that names such a node names its operand instead; a scope that held nothing else goes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from netspec.ir.graph import Node, Ref
from netspec.ir.module import Module
from netspec.ops import OPS, Tensor
from netspec.passes.base import Stage, graph_pass
from netspec.passes.rewriter import rewrite


@graph_pass(stage=Stage.INFERENCE, named=False)
def drop_dropout(module: Module) -> Module:
    """Leaves out `dropout`, `drop_path` and the like, which do nothing at inference, and drop-path of a join."""

    def visit(node: Node, operands: Sequence[Tensor]) -> Node | Ref:
        op = OPS[node.op]
        if op.only_in_training:
            return node.inputs[0]
        if not op.acts_in_training(node.attrs):
            return node
        return replace(node, attrs={name: v for name, v in node.attrs.items() if name not in op.training_attrs})

    return rewrite(module, visit)
