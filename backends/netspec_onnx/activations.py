"""Rows of activations that older operator sets write out."""

from __future__ import annotations

from netspec.ir.graph import Node
from netspec_onnx.nodes import N, Shapes, floats, n, newer


def gelu(node: Node, shapes: Shapes) -> list[N]:
    """x * Phi(x), an operator from operator set 20 on."""
    written_out = [
        n("Div", "x0", floats(2**0.5), out="scaled"),
        n("Erf", "scaled", out="erf"),
        n("Add", "erf", floats(1), out="sum"),
        n("Mul", "x0", "sum", out="product"),
        n("Mul", "product", floats(0.5)),
    ]
    return [newer(n("Gelu", "x0"), 20, *written_out)]


def mish(node: Node, shapes: Shapes) -> list[N]:
    """x * tanh(softplus(x)), an operator from operator set 18 on."""
    written_out = [n("Softplus", "x0", out="soft"), n("Tanh", "soft", out="gate"), n("Mul", "x0", "gate")]
    return [newer(n("Mish", "x0"), 18, *written_out)]


def hard_swish(node: Node, shapes: Shapes) -> list[N]:
    """x * hard_sigmoid(x), an operator from operator set 14 on."""
    written_out = [n("HardSigmoid", "x0", out="gate", alpha=1 / 6, beta=0.5), n("Mul", "x0", "gate")]
    return [newer(n("HardSwish", "x0"), 14, *written_out)]


def softmax(node: Node, shapes: Shapes) -> list[N]:
    """Over the channels; before operator set 13 over all axes from one on, so that they have to be the last."""
    if len(node.shape) == 2:
        return [n("Softmax", "x0", axis=1)]
    to_the_end = [0, *range(2, len(node.shape)), 1]
    back = [0, len(node.shape) - 1, *range(1, len(node.shape) - 1)]
    moved = [
        n("Transpose", "x0", out="last", perm=to_the_end),
        n("Softmax", "last", out="shares", axis=len(node.shape) - 1),
        n("Transpose", "shares", perm=back),
    ]
    return [newer(n("Softmax", "x0", axis=1), 13, *moved)]
