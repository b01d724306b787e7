"""Writes HardSwish as x * HardSigmoid(x), which some runtimes compute faster than the operator.

x * relu6(x + 3) / 6 is x times the hard sigmoid of x (Howard et al. 2019, section 5.2).
Case 1: each `hard_swish` is a `mul` of the same name, which reads its operand and a new `hard_sigmoid` of that.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace

from netspec.ir.graph import Node, Ref
from netspec.ir.module import Module
from netspec.ops import Tensor
from netspec.passes.base import Stage, graph_pass, within
from netspec.passes.rewriter import free_path, new_node, rewrite


@graph_pass(stage=Stage.INFERENCE, named=True, placed=True)
def hard_swish_as_mul(module: Module, only: Collection[str] | None = None) -> Module:
    """Writes each `hard_swish` as its operand times the `hard_sigmoid` of it."""
    graph = module.graph
    gates = {
        node.path: new_node(free_path(graph, f"{node.path}_gate"), "hard_sigmoid", node.inputs, {}, node)
        for node in graph.nodes.values()
        if node.op == "hard_swish" and within(node.path, only)
    }

    def visit(node: Node, operands: Sequence[Tensor]) -> Node:
        if node.path not in gates:
            return node
        return replace(node, op="mul", inputs=(*node.inputs, Ref(gates[node.path].path)), attrs={})

    return rewrite(module, visit, before={path: [gate] for path, gate in gates.items()}, times=len(gates))
