"""Rows of pools and padding; sizes are known, so pads are explicit: runtimes disagree about automatic ones."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from netspec.ir.graph import Node
from netspec.ops import Shape
from netspec.ops.window import Pads
from netspec_onnx.nodes import Attr, N, Shapes, floats, free, ints, n, newer, onnx_pads, spread


def end_pads(node: Node, shape: Shape, dilation: tuple[int, int]) -> Pads:
    """The pads that make floor mode give the rounded-up number of windows: the same at every opset and reader."""
    (kh, kw), (sh, sw) = node.attrs["kernel"], node.attrs["stride"]
    top, bottom, left, right = node.attrs["pad"]
    if not node.attrs["ceil"]:
        return top, bottom, left, right
    _, _, h, w = map(int, (0, *shape[1:]))
    _, _, oh, ow = map(int, (0, *node.shape[1:]))
    return (
        top,
        max(0, (oh - 1) * sh + dilation[0] * (kh - 1) + 1 - h - top),
        left,
        max(0, (ow - 1) * sw + dilation[1] * (kw - 1) + 1 - w - left),
    )


def max_pool(node: Node, shapes: Shapes) -> list[N]:
    """Pads as large as the kernel, which dilation allows, are cells of -inf: onnxruntime refuses them in MaxPool."""
    a = node.attrs
    pads = end_pads(node, shapes[0], a["dilation"])
    (kh, kw), (top, bottom, left, right) = a["kernel"], pads
    sizes: dict[str, Attr] = {"kernel_shape": [kh, kw], "strides": list(a["stride"]), **spread(a["dilation"])}
    if max(top, bottom) < kh and max(left, right) < kw:
        return [N("MaxPool", ("x0",), attrs={**sizes, "pads": onnx_pads(pads)})]
    return [pad(pads, -np.inf), N("MaxPool", ("padded",), attrs=sizes)]


def pad(pads: Pads, value: float = 0.0, out: str = "padded") -> N:
    """Cells of a value around a map; onnxruntime merges a Pad of 0 into the pool behind it, whose own pads are other.

    A Pad with named axes it leaves as it is. It names all four, since ONNX's shape inference loses the batch's symbol
    otherwise; before operator set 18, which has them, the cells are -0.0, which it takes for another number.
    """
    top, bottom, left, right = pads
    sides = ints(0, 0, top, left, 0, 0, bottom, right)
    before = n("Pad", "x0", sides, floats(value or -0.0), out=out)
    return newer(n("Pad", "x0", sides, floats(value), ints(0, 1, 2, 3), out=out), 18, before)


def avg_pool(node: Node, shapes: Shapes) -> list[N]:
    """What lies outside the padded input never counts; padding itself does under `count_pad`.

    With `ceil` and counted padding the zeros are put there first, so that the end pads can stay uncounted; with
    unlike sides too: onnxruntime before 1.25 counts them wrongly from operator set 19 on (onnxruntime#26708).
    """
    a = node.attrs
    pads, written = end_pads(node, shapes[0], (1, 1)), a["pad"]
    sizes: dict[str, Attr] = {"kernel_shape": list(a["kernel"]), "strides": list(a["stride"])}
    uneven = written[0] != written[1] or written[2] != written[3]
    if not (a["count_pad"] and (a["ceil"] or uneven)):
        return [_average("x0", sizes, pads, a["count_pad"])]
    rest = (0, max(0, pads[1] - written[1]), 0, max(0, pads[3] - written[3]))
    pool = _average("padded" if any(written) else "x0", sizes, rest, counted=False)
    if not any(written):
        return [pool]
    return [pad(written), pool]


def _average(value: str, sizes: Mapping[str, Attr], pads: Pads, counted: bool) -> N:
    return N("AveragePool", (value,), attrs={**sizes, "pads": onnx_pads(pads), "count_include_pad": int(counted)})


def adaptive_avg_pool(node: Node, shapes: Shapes) -> list[N]:
    """Equal windows are an average pool; others a product with a matrix of means on each side."""
    sizes = [int(d) for d in shapes[0][2:]]
    out = list(node.attrs["size"])
    if out == [1, 1] and free(shapes[0]):
        return [n("GlobalAveragePool", "x0")]
    if all(s % o == 0 for s, o in zip(sizes, out, strict=True)):
        kernel = [s // o for s, o in zip(sizes, out, strict=True)]
        return [n("AveragePool", "x0", kernel_shape=kernel, strides=kernel)]
    return [
        n("MatMul", _means(sizes[0], out[0]), "x0", out="rows"),
        n("MatMul", "rows", np.ascontiguousarray(_means(sizes[1], out[1]).T)),
    ]


def _means(size: int, out: int) -> np.ndarray:
    """out x size: row i averages the cells floor(i * size / out) to ceil((i + 1) * size / out)."""
    matrix = np.zeros((out, size), np.float32)
    for i in range(out):
        low, high = i * size // out, -(-(i + 1) * size // out)
        matrix[i, low:high] = 1 / (high - low)
    return matrix


def space(node: Node, shapes: Shapes) -> list[N]:
    """Rows and columns around a map."""
    pads, modes = node.attrs["pad"], {"reflect": "reflect", "replicate": "edge"}
    if node.attrs["pad_mode"] == "zeros":
        return [pad(pads, out="y0")]
    top, bottom, left, right = pads
    sides = ints(0, 0, top, left, 0, 0, bottom, right)
    mode = modes[node.attrs["pad_mode"]]
    before = n("Pad", "x0", sides, mode=mode)
    return [newer(n("Pad", "x0", sides, "", ints(0, 1, 2, 3), mode=mode), 18, before)]
