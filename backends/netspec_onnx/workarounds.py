"""Rows that stand in place of the usual ones in files for a runtime that reads those wrongly, or not at all."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from netspec.ir.graph import Node
from netspec.ops.window import Pads
from netspec_onnx.nodes import N, Row, Shapes, floats, n
from netspec_onnx.presets import Target
from netspec_onnx.windows import end_pads, max_pool, pad


def hard_sigmoid_by_clip(node: Node, shapes: Shapes) -> list[N]:
    """Clip(x + 3, 0, 6) / 6, without the operator of its name."""
    return [
        n("Add", "x0", floats(3), out="shifted"),
        n("Clip", "shifted", floats(0), floats(6), out="clipped"),
        n("Mul", "clipped", floats(1 / 6)),
    ]


def subsample_by_pool(node: Node, shapes: Shapes) -> list[N]:
    """Every so many rows and columns, as the largest of windows of one cell."""
    return [n("MaxPool", "x0", kernel_shape=[1, 1], strides=list(node.attrs["stride"]))]


def max_by_pairs(node: Node, shapes: Shapes) -> list[N]:
    """The largest of several values, two at a time."""
    if len(shapes) == 1:
        return [n("Identity", "x0")]
    names = ["x0", *(f"largest{i}" for i in range(1, len(shapes) - 1)), "y0"]
    return [n("Max", names[i - 1], f"x{i}", out=names[i]) for i in range(1, len(shapes))]


def mean_by_sum(node: Node, shapes: Shapes) -> list[N]:
    """The sum of several values, divided."""
    if len(shapes) == 1:
        return [n("Identity", "x0")]
    return [n("Sum", *(f"x{i}" for i in range(len(shapes))), out="sum"), n("Mul", "sum", floats(1 / len(shapes)))]


def max_pool_of_padded(node: Node, shapes: Shapes) -> list[N]:
    """Pads that differ by side are cells of -inf around the map."""
    pads = end_pads(node, shapes[0], node.attrs["dilation"])
    if _even(pads):
        return max_pool(node, shapes)
    sizes = {name: list(node.attrs[key]) for name, key in (("kernel_shape", "kernel"), ("strides", "stride"))}
    return [pad(pads, -np.inf), N("MaxPool", ("padded",), attrs={**sizes, "dilations": list(node.attrs["dilation"])})]


def _even(pads: Pads) -> bool:
    return pads[0] == pads[1] and pads[2] == pads[3]


WORKAROUNDS: Mapping[Target, Mapping[str, Row]] = {
    # OpenCV 5.0.0 takes Mul(x, HardSigmoid(y)), the gate of squeeze-and-excitation, for HardSwish(y).
    "opencv": {"hard_sigmoid": hard_sigmoid_by_clip},
    # pnnx 20261020 has no words of ncnn for a Slice with steps, a Mean, a Max of three; it misreads unlike pads.
    "ncnn": {
        "subsample": subsample_by_pool,
        "mean": mean_by_sum,
        "max": max_by_pairs,
        "max_pool": max_pool_of_padded,
    },
}
"""By the runtime of `--for` and by op; what was wrong without stands above each."""
