"""How ONNX models have the two ops."""

from __future__ import annotations

from netspec_onnx.nodes import N, Shapes, floats, n

from netspec.backend import lowering
from netspec.ir.graph import Node


def _hard_mish(node: Node, shapes: Shapes) -> list[N]:
    return [
        n("Add", "x0", floats(2), out="up"),
        n("Clip", "up", floats(0), floats(2), out="gate"),
        n("Mul", "x0", "gate", out="twice"),
        n("Mul", "twice", floats(0.5)),
    ]


def _gem_pool(node: Node, shapes: Shapes) -> list[N]:
    return [
        n("Max", "x0", floats(node.attrs["eps"]), out="positive"),
        n("Pow", "positive", "weight", out="powers"),
        n("GlobalAveragePool", "powers", out="mean"),
        n("Reciprocal", "weight", out="root"),
        n("Pow", "mean", "root"),
    ]


lowering("onnx", "hard_mish", _hard_mish)
lowering("onnx", "gem_pool", _gem_pool)
