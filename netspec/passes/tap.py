"""Other outputs: the values of steps in place of what the network gives, without what serves nothing else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from netspec.ir.graph import Node, Output, Ref
from netspec.ir.module import Module
from netspec.ops import Tensor
from netspec.passes.base import Pass, Stage
from netspec.passes.rewriter import rewrite


def tap(values: Mapping[str, Ref]) -> Pass:
    """The pass that makes these values the outputs, in this order; weights keep their keys.

    An input of which none of them is computed goes too.
    """

    def run(module: Module) -> Module:
        """Makes the values of some steps the outputs."""
        needed = module.graph.above(ref.node for ref in values.values())

        def visit(node: Node, operands: Sequence[Tensor]) -> Node | None:
            return node if node.path in needed else None

        return rewrite(module, visit, {name: Output(ref) for name, ref in values.items()})

    return Pass("tap", run, Stage.TRAINING, named=False, keeps=False)
