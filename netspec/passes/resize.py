"""Gives a network another size of input: every shape follows from it by the ops' rules, arguments stay.

Only convolutional networks can take it: a `linear` would need other weights, which the proof of the weights shows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from netspec.ir.graph import Node
from netspec.ir.module import Module
from netspec.ops import Shape, Tensor
from netspec.passes.rewriter import rewrite


def resize(module: Module, shapes: Mapping[str, Shape]) -> Module:
    """The module with inputs of other shapes, by name; raises ShapeMismatch where an op cannot take them."""

    def visit(node: Node, operands: Sequence[Tensor]) -> Node:
        if node.op == "input" and node.shape != shapes[node.path]:
            return replace(node, attrs={**node.attrs, "shape": shapes[node.path]})
        return node

    return rewrite(module, visit)
