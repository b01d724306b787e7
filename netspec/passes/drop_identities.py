"""Removes steps that give their operand as it is.

Case 1: `identity`, and any op whose facts say that with these attributes and this operand it does nothing
(`does_nothing`): a join of one value, a split into one part, a pool of single cells, a padding of no cells.
Left alone: what does nothing at this size alone, as a global pool of one cell: the network is that of others too.
Case 2: outputs and names that a block gives name the operand instead; a scope that held nothing else goes.
"""

from __future__ import annotations

from collections.abc import Sequence

from netspec.ir.graph import Node, Ref
from netspec.ir.module import Module
from netspec.ops import OPS, Tensor
from netspec.ops.base import Applied, OpError
from netspec.passes.base import Stage, graph_pass
from netspec.passes.rewriter import rewrite


@graph_pass(stage=Stage.INFERENCE, named=True, level=1)
def drop_identities(module: Module) -> Module:
    """Leaves out steps that give their operand as it is: `identity`, joins of one value, pools of single cells."""

    def visit(node: Node, operands: Sequence[Tensor]) -> Node | Ref:
        rule, applied = OPS[node.op], Applied(node.attrs, [tensor.shape for tensor in operands], node.result)
        return node.inputs[0] if rule.does_nothing(applied) and _at_other_sizes(node, operands) else node

    return rewrite(module, visit)


def _at_other_sizes(node: Node, operands: Sequence[Tensor]) -> bool:
    """Whether a step that does nothing does nothing to larger maps either."""
    grown = [Tensor((*t.shape[:2], int(t.shape[2]) + 8, int(t.shape[3]) + 16)) if t.rank == 4 else t for t in operands]
    if grown == [*operands]:
        return True
    rule = OPS[node.op]
    try:
        result = rule.infer(grown, node.attrs)
    except OpError:
        return False
    return rule.does_nothing(Applied(node.attrs, [tensor.shape for tensor in grown], result))
