"""Drops outputs marked `training_only`, with the nodes that serve nothing else."""

from __future__ import annotations

from collections.abc import Sequence

from netspec.ir.graph import Graph, Node
from netspec.ir.module import Module
from netspec.ops import Tensor
from netspec.passes.base import Stage, graph_pass
from netspec.passes.rewriter import rewrite


def without_heads(graph: Graph) -> Graph:
    """The graph without auxiliary heads; itself where it has none."""
    return drop_heads.run(Module(graph)).graph


@graph_pass(stage=Stage.INFERENCE, named=False)
def drop_heads(module: Module) -> Module:
    """Leaves out the auxiliary heads: outputs of training alone, and what serves nothing else."""
    outputs = {name: o for name, o in module.graph.outputs.items() if not o.training_only}
    needed = module.graph.above(o.ref.node for o in outputs.values())

    def visit(node: Node, operands: Sequence[Tensor]) -> Node | None:
        return node if node.path in needed or node.op == "input" else None

    return rewrite(module, visit, outputs)
