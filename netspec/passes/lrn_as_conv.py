"""Writes local response normalisation with a 1x1 convolution of the squares.

x / (k + alpha / size * sum of x^2 over `size` channels)^beta: the sum is a 1x1 convolution of x^2 whose weight is a
band, and k its bias, so that the runtime's matrix product does what its LRN does channel by channel.
Case 1: each `lrn` is a `mul` of the same name, which reads its operand and the new steps: the squares, the
convolution with the band, and the power. The convolution has C^2 weights and C^2 multiply-accumulates for each pixel.
Case 2: beta is 0.75, as in all papers: the power is s^-0.75 = 1 / (r r^0.5) with r = s^0.5, since runtimes have fast
square roots, while a power takes longer than the convolution. No step of it is larger than s, which float16 holds.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from netspec.ir.graph import Graph, Node, Ref
from netspec.ir.module import Module, Stored, Weight
from netspec.ops import Tensor
from netspec.passes.base import Stage, graph_pass, within
from netspec.passes.rewriter import free_path, new_node, rewrite

if TYPE_CHECKING:
    import numpy as np

THREE_QUARTERS = 0.75
"""The power of Krizhevsky et al. 2012 (section 3.3)."""


@graph_pass(stage=Stage.INFERENCE, named=True, placed=True)
def lrn_as_conv(module: Module, only: Collection[str] | None = None) -> Module:
    """Writes each `lrn` as a 1x1 convolution of the squares, a power and a product."""
    before: dict[str, list[Node]] = {}
    weights: dict[str, dict[str, Weight]] = {}
    for node in module.graph.nodes.values():
        if node.op == "lrn" and within(node.path, only):
            before[node.path] = _factor(module.graph, node)
            weights[before[node.path][1].path] = _band(node)

    def visit(node: Node, operands: Sequence[Tensor]) -> Node:
        if node.path not in before:
            return node
        return replace(node, op="mul", inputs=(*node.inputs, Ref(before[node.path][-1].path)), attrs={})

    return rewrite(module, visit, weights=weights, before=before, times=len(before))


def _factor(graph: Graph, node: Node) -> list[Node]:
    """The squares, what they are divided by, and its power."""
    names = ("squares", "sum", "power", "root", "fourth_root", "product")
    squares, total, power, root, fourth, product = (free_path(graph, f"{node.path}_{name}") for name in names)
    (x,), channels, beta = node.inputs, int(node.shape[1]), node.attrs["beta"]
    new = [
        new_node(squares, "mul", [x, x], {}, node),
        new_node(total, "conv", [Ref(squares)], {"out": channels, "kernel": 1}, node),
    ]
    if beta != THREE_QUARTERS:
        return [*new, new_node(power, "affine", [Ref(total)], {"power": -beta}, node)]
    return [
        *new,
        new_node(root, "affine", [Ref(total)], {"power": 0.5}, node),
        new_node(fourth, "affine", [Ref(root)], {"power": 0.5}, node),
        new_node(product, "mul", [Ref(root), Ref(fourth)], {}, node),
        new_node(power, "affine", [Ref(product)], {"power": -1.0}, node),
    ]


def _band(node: Node) -> dict[str, Weight]:
    """The weight and the bias of the convolution: alpha / size for near channels, and k."""
    channels = int(node.shape[1])
    return {
        "weight": Weight((channels, channels, 1, 1), partial(_near, channels, node.attrs["size"], node.attrs["alpha"])),
        "bias": Weight((channels,), partial(_constant, channels, node.attrs["k"])),
    }


def _near(channels: int, size: int, alpha: float, stored: Stored) -> np.ndarray:
    import numpy as np

    place = np.arange(channels)
    near = abs(place[:, None] - place) <= size // 2
    return (near * np.float32(alpha / size)).astype(np.float32).reshape(channels, channels, 1, 1)


def _constant(channels: int, value: float, stored: Stored) -> np.ndarray:
    import numpy as np

    return np.full(channels, value, np.float32)
