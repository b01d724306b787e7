"""Turns fully connected layers into convolutions, so that larger images give maps of scores.

The fully convolutional form of VGG (Simonyan and Zisserman 2014, section 3.2): the first layer becomes a convolution
whose kernel is the whole map, every later one a 1x1 convolution.
Case 1: `flatten` of C x H x W goes; a `linear` that reads it becomes a valid `conv` with an H x W kernel.
Case 2: a `linear` that reads a value which is C x 1 x 1 now becomes a 1x1 `conv`.
Case 3: elementwise ops between them keep their attributes and get new shapes.
Refused: an op between them to which the C*H*W numbers of a map are not what its C channels are (`softmax`, norms).
Weights keep their names; a checkpoint's matrix is reshaped (`reshape: true` in its rule).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from netspec.ir.graph import Node, Ref
from netspec.ir.module import Module, Weight
from netspec.ops import OPS, OpError, Tensor
from netspec.passes.base import Stage, graph_pass
from netspec.passes.rewriter import ShapeMismatch, rewrite


@graph_pass(stage=Stage.TRAINING, named=True)
def fc_to_conv(module: Module) -> Module:
    """Replaces `flatten` and `linear` by convolutions; outputs become C x H x W maps."""
    before = module.graph.nodes
    shared: dict[str, Weight] = {}
    weights: dict[str, dict[str, Weight]] = {}

    def visit(node: Node, operands: Sequence[Tensor]) -> Node | Ref:
        if node.op == "flatten" and operands[0].rank == 4:
            return node.inputs[0]
        if node.op == "linear":
            weights[node.path] = {"weight": _kernel(node, operands[0], module, shared)}
            return _convolution(node, operands[0])
        if not OPS[node.op].same_when_flattened and any(
            operand.rank > 1 and operand.shape[1] != module.graph.shape(ref)[1]
            for operand, ref in zip(operands, before[node.path].inputs, strict=True)
        ):
            message = f"'{node.op}' reads a flattened map, whose channels are not what its numbers are"
            raise ShapeMismatch(
                node, OpError(message, "fc_to_conv takes linear layers with elementwise ops between them")
            )
        return node

    return rewrite(module, visit, weights=weights)


def _kernel(node: Node, operand: Tensor, module: Module, shared: dict[str, Weight]) -> Weight:
    """The weight of a `linear` in the shape for a map; the same one for all layers that share it."""
    key, matrix = f"{node.weights_at}.weight", node.result.weights["weight"]
    shape = matrix if operand.rank == 2 else (matrix[0], *operand.shape[1:])
    weight = shared.setdefault(key, module.weight(key, matrix).reshaped(shape))
    if weight.shape != shape:
        raise ShapeMismatch(node, OpError("layers with these weights read maps of different sizes"))
    return weight


def _convolution(node: Node, operand: Tensor) -> Node:
    """The convolution in place of a `linear` that reads a map."""
    if operand.rank == 2:
        return node
    attrs = {"out": node.attrs["out"], "kernel": operand.shape[2:], "bias": node.attrs["bias"]}
    return replace(node, op="conv", attrs=attrs)
