"""Computes once what several steps compute alike.

Case 1: a step of the same op, attributes, operands and weights as one before it; its readers read that one, and so
what follows both alike is shared as well.
Left alone: inputs, ops of several results, and a value that a block gives by name, which is made inside the block.
"""

from __future__ import annotations

from collections.abc import Sequence

from netspec.ir.graph import Node, Ref
from netspec.ir.module import Module
from netspec.ops import Tensor
from netspec.passes.base import Stage, graph_pass
from netspec.passes.rewriter import rewrite


@graph_pass(stage=Stage.INFERENCE, named=True, level=1)
def share_duplicates(module: Module) -> Module:
    """Computes once what several steps compute alike: the same op of the same operands, with the same weights."""
    named = {ref for scope in module.graph.scopes.values() for ref in scope.outs.values()}
    first: dict[tuple[object, ...], Ref] = {}

    def visit(node: Node, operands: Sequence[Tensor]) -> Node | Ref:
        if node.op == "input" or len(node.shapes) != 1:
            return node
        weights = node.weights_at if node.result.weights or node.result.stats else ""
        same = first.setdefault((node.op, node.inputs, weights, tuple(sorted(node.attrs.items()))), Ref(node.path))
        return node if same.node == node.path or Ref(node.path) in named else same

    return rewrite(module, visit)
