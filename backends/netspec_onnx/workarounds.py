"""Rows that stand in place of the usual ones in files for a runtime that reads those wrongly, or not at all."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial

import numpy as np

from netspec.ir.graph import Node
from netspec.ops.window import Pads
from netspec_onnx.nodes import Attr, N, Row, Shapes, floats, free, ints, n
from netspec_onnx.presets import Target
from netspec_onnx.regions import deform_roi_avg_pool, roi_avg_pool
from netspec_onnx.resizing import upsample_without_lines
from netspec_onnx.windows import avg_pool, end_pads, max_pool, pad


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


def max_pool_of_slices(node: Node, shapes: Shapes) -> list[N]:
    """With a dilation, the largest of the cells at each place of the windows, which are slices of the padded map."""
    dilation, stride = node.attrs["dilation"], node.attrs["stride"]
    if dilation == (1, 1) or free(shapes[0]):
        return max_pool(node, shapes)
    pads, (rows, columns) = end_pads(node, shapes[0], dilation), map(int, node.shape[2:])
    map_, found = ("padded", [pad(pads, float(LOWEST_FLOAT))]) if any(pads) else ("x0", [])
    last = ((rows - 1) * stride[0] + 1, (columns - 1) * stride[1] + 1)
    names = []
    for i, j in np.ndindex(*node.attrs["kernel"]):
        top, left = i * dilation[0], j * dilation[1]
        sides = ints(top, left), ints(top + last[0], left + last[1]), ints(2, 3), ints(*stride)
        names.append(f"cell{i}_{j}")
        found.append(n("Slice", map_, *sides, out=names[-1]))
    if len(names) == 1:
        return [*found, n("Identity", *names)]
    largest = [names[0], *(f"largest{i}" for i in range(1, len(names) - 1)), "y0"]
    return [*found, *(n("Max", largest[i - 1], name, out=largest[i]) for i, name in enumerate(names) if i)]


def avg_pool_of_padded(node: Node, shapes: Shapes) -> list[N]:
    """Pads that differ by side are zeros around the map; the mean of a window is scaled to that of what counts of it.

    What counts is the map, and the written pads where padding does.
    """
    pads = end_pads(node, shapes[0], (1, 1))
    if free(shapes[0]) or _even(pads) and not (node.attrs["count_pad"] and pads != node.attrs["pad"]):
        return avg_pool(node, shapes)
    (kh, kw), (sh, sw) = node.attrs["kernel"], node.attrs["stride"]
    written: Pads = node.attrs["pad"] if node.attrs["count_pad"] else (0, 0, 0, 0)
    (h, w), (rows, columns) = map(int, shapes[0][2:]), map(int, node.shape[2:])
    down = _counted(rows, kh, sh, pads[0], (-written[0], h + written[1]))
    across = _counted(columns, kw, sw, pads[2], (-written[2], w + written[3]))
    scale = (kh * kw / np.outer(down, across)).astype(np.float32)
    sizes: dict[str, Attr] = {"kernel_shape": [kh, kw], "strides": [sh, sw]}
    if (scale == 1).all():
        return [pad(pads), N("AveragePool", ("padded",), attrs=sizes)]
    return [pad(pads), N("AveragePool", ("padded",), ("means",), sizes), n("Mul", "means", scale[None])]


def _counted(windows: int, kernel: int, stride: int, before: int, counts: tuple[int, int]) -> np.ndarray:
    """How many cells of each window of an axis lie within bounds; the first window begins so many cells `before` 0."""
    starts = np.arange(windows) * stride - before
    return np.minimum(starts + kernel, counts[1]) - np.maximum(starts, counts[0])


def spelled_out(node: N) -> N:
    """A Pad with its mode, without which pnnx leaves it as it is, and with a number in place of -inf."""
    if node.op_type != "Pad":
        return node
    inputs = tuple(
        np.asarray(np.maximum(x, LOWEST_FLOAT)) if isinstance(x, np.ndarray) and x.dtype == np.float32 else x
        for x in node.inputs
    )
    return replace(
        node, inputs=inputs, attrs={"mode": "constant", **node.attrs}, older=tuple(map(spelled_out, node.older))
    )


LOWEST_FLOAT = np.finfo(np.float32).min
"""In place of -inf, which ncnn's files do not have as a number."""


def _even(pads: Pads) -> bool:
    return pads[0] == pads[1] and pads[2] == pads[3]


WORKAROUNDS: Mapping[Target, Mapping[str, Row]] = {
    # OpenCV 5.0.0 takes Mul(x, HardSigmoid(y)), the gate of squeeze-and-excitation, for HardSwish(y).
    # It gives wrong numbers for a Mean of four and more, and for a linear Resize of a map of one cell that a Conv gives
    # what its memory held before.
    "opencv": {"hard_sigmoid": hard_sigmoid_by_clip, "mean": mean_by_sum, "upsample": upsample_without_lines},
    # MNN 3.6 loses the output of a Mean of several, and multiplies by 1 / 7 for a division by 7, so that 21 / 7 is
    # 3.0000002, and its ceiling 4. It takes no notice of the dilations of a MaxPool.
    "mnn": {
        "max_pool": max_pool_of_slices,
        "mean": mean_by_sum,
        "roi_avg_pool": partial(roi_avg_pool, slack=0.5),
        "deform_roi_avg_pool": partial(deform_roi_avg_pool, slack=0.5),
    },
    # pnnx 20261020 has no words of ncnn for a Slice with steps, a Mean, a Max of three; it misreads unlike pads of a
    # MaxPool, and has no words for those of an AveragePool.
    "ncnn": {
        "subsample": subsample_by_pool,
        "mean": mean_by_sum,
        "max": max_by_pairs,
        "max_pool": max_pool_of_padded,
        "avg_pool": avg_pool_of_padded,
    },
}
"""By the runtime of `--for` and by op; what was wrong without stands above each."""

NODES: Mapping[Target, Callable[[N], N]] = {"ncnn": spelled_out}
"""By the runtime of `--for`: what becomes of each node of a row, whichever op it is of."""
