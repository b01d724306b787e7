"""One row per op: the ONNX nodes that it becomes.

A row gives a list of `N(op_type, inputs, outputs, **attributes)`. `x0`, `x1`, ... are the operands, `weight` and the
like the op's tensors, `y0`, ... its results, other words are values between the nodes; an array is a constant.
Sizes are known, so pads are always explicit: onnxruntime and ONNX disagree about automatic ones.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx

from netspec.backend import lowerings
from netspec.diagnostics.errors import DataError
from netspec.ir.graph import Node
from netspec.ops import Shape
from netspec.ops.window import Pads

Value = str | np.ndarray


@dataclass(frozen=True, slots=True)
class N:
    """One ONNX node."""

    op_type: str
    inputs: tuple[Value, ...]
    outputs: tuple[str, ...] = ("y0",)
    attrs: dict[str, Any] = field(default_factory=dict)
    since: int = 18
    """The operator set that first has it as used here."""
    exact: bool = False
    """Its constants are float32 whatever the model computes in."""


Shapes = Sequence[Shape]
Row = Callable[[Node, Shapes], list[N]]
"""(node, shapes of its operands) -> ONNX nodes."""


def n(op_type: str, *inputs: Value, out: str = "y0", since: int = 18, **attrs: Any) -> N:
    """A node with one output."""
    return N(op_type, inputs, (out,), attrs, since)


def ints(*values: int) -> np.ndarray:
    """A constant of integers."""
    return np.array(values, np.int64)


def floats(*values: float) -> np.ndarray:
    """A constant of numbers; a single one is a scalar."""
    return np.array(values[0] if len(values) == 1 else values, np.float32)


def simple(op_type: str, since: int = 18, **attrs: Any) -> Row:
    """An op that is one ONNX operator on its operands."""
    return lambda node, shapes: [n(op_type, *(f"x{i}" for i in range(len(shapes))), since=since, **attrs)]


def _tensors(node: Node) -> list[str]:
    return [name for name in ("weight", "bias") if name in node.rule.weights]


def _onnx_pads(pads: Pads) -> list[int]:
    """top, bottom, left, right -> all begins, then all ends."""
    return [pads[0], pads[2], pads[1], pads[3]]


def _conv(node: Node, shapes: Shapes) -> list[N]:
    a = node.attrs
    return [
        n(
            "Conv",
            "x0",
            *_tensors(node),
            kernel_shape=list(a["kernel"]),
            strides=list(a["stride"]),
            pads=_onnx_pads(a["pad"]),
            dilations=list(a["dilation"]),
            group=a["groups"],
        )
    ]


def _conv_transpose(node: Node, shapes: Shapes) -> list[N]:
    a = node.attrs
    return [
        n(
            "ConvTranspose",
            "x0",
            *_tensors(node),
            kernel_shape=list(a["kernel"]),
            strides=list(a["stride"]),
            pads=_onnx_pads(a["pad"]),
            dilations=list(a["dilation"]),
            group=a["groups"],
            output_padding=list(a["output_pad"]),
        )
    ]


def _batch_norm(node: Node, shapes: Shapes) -> list[N]:
    c = int(node.shape[1])
    scale: tuple[Value, Value] = (
        ("weight", "bias") if node.attrs["affine"] else (np.ones(c, np.float32), np.zeros(c, np.float32))
    )
    return [n("BatchNormalization", "x0", *scale, "running_mean", "running_var", epsilon=node.attrs["eps"])]


def _layer_norm(node: Node, shapes: Shapes) -> list[N]:
    """Over the channels of each pixel: they are moved to the end and back."""
    scale: list[Value] = ["weight", "bias"] if node.attrs["affine"] else [np.ones(int(node.shape[1]), np.float32)]
    if len(node.shape) == 2:
        return [n("LayerNormalization", "x0", *scale, axis=-1, epsilon=node.attrs["eps"])]
    return [
        n("Transpose", "x0", out="last", perm=[0, 2, 3, 1]),
        n("LayerNormalization", "last", *scale, out="normed", axis=-1, epsilon=node.attrs["eps"]),
        n("Transpose", "normed", perm=[0, 3, 1, 2]),
    ]


def _l2_norm(node: Node, shapes: Shapes) -> list[N]:
    """Not LpNormalization: it divides by zero where a vector is zero."""
    return [
        n("ReduceL2", "x0", ints(1), out="norm"),
        n("Max", "norm", floats(node.attrs["eps"]), out="size"),
        n("Div", "x0", "size"),
    ]


def _prelu(node: Node, shapes: Shapes) -> list[N]:
    """ONNX broadcasts the slopes from the right: they must be C x 1 x 1, or as many ones as the value has sizes."""
    if len(node.shape) == 2:
        return [n("PRelu", "x0", "weight")]
    return [n("Unsqueeze", "weight", ints(*range(1, len(node.shape) - 1)), out="slope"), n("PRelu", "x0", "slope")]


def _channel_scale(node: Node, shapes: Shapes) -> list[N]:
    if len(node.shape) == 2:
        return [n("Mul", "x0", "weight")]
    return [n("Unsqueeze", "weight", ints(1, 2), out="scale"), n("Mul", "x0", "scale")]


def _end_pads(node: Node, shape: Shape, dilation: tuple[int, int]) -> Pads:
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


def _max_pool(node: Node, shapes: Shapes) -> list[N]:
    """Pads as large as the kernel, which dilation allows, are cells of -inf: onnxruntime refuses them in MaxPool."""
    a = node.attrs
    pads = _end_pads(node, shapes[0], a["dilation"])
    (kh, kw), (top, bottom, left, right) = a["kernel"], pads
    sizes: dict[str, Any] = {"kernel_shape": [kh, kw], "strides": list(a["stride"]), "dilations": list(a["dilation"])}
    if max(top, bottom) < kh and max(left, right) < kw:
        return [n("MaxPool", "x0", **sizes, pads=_onnx_pads(pads))]
    return [_pad(pads, -np.inf), n("MaxPool", "padded", **sizes)]


def _pad(pads: Pads, value: float = 0.0) -> N:
    """Cells of a value around a map, with named axes: onnxruntime up to 1.21 merges a Pad without into a pool, wrongly.

    It names all four, since ONNX's shape inference loses the batch's symbol otherwise.
    """
    top, bottom, left, right = pads
    return n("Pad", "x0", ints(0, 0, top, left, 0, 0, bottom, right), floats(value), ints(0, 1, 2, 3), out="padded")


def _avg_pool(node: Node, shapes: Shapes) -> list[N]:
    """What lies outside the padded input never counts; padding itself does under `count_pad`.

    With `ceil` and counted padding the zeros are put there first, so that the end pads can stay uncounted; with
    unlike sides too: onnxruntime before 1.25 counts them wrongly from operator set 19 on (onnxruntime#26708).
    """
    a = node.attrs
    pads, written = _end_pads(node, shapes[0], (1, 1)), a["pad"]
    sizes: dict[str, Any] = {"kernel_shape": list(a["kernel"]), "strides": list(a["stride"])}
    uneven = written[0] != written[1] or written[2] != written[3]
    if not (a["count_pad"] and (a["ceil"] or uneven)):
        return [n("AveragePool", "x0", **sizes, pads=_onnx_pads(pads), count_include_pad=int(a["count_pad"]))]
    rest = (0, max(0, pads[1] - written[1]), 0, max(0, pads[3] - written[3]))
    pool = n("AveragePool", "padded" if any(written) else "x0", **sizes, pads=_onnx_pads(rest), count_include_pad=0)
    if not any(written):
        return [pool]
    return [_pad(written), pool]


def _adaptive_avg_pool(node: Node, shapes: Shapes) -> list[N]:
    """Equal windows are an average pool; others a product with a matrix of means on each side."""
    sizes = [int(d) for d in shapes[0][2:]]
    out = list(node.attrs["size"])
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


def _affine(node: Node, shapes: Shapes) -> list[N]:
    a, steps, value = node.attrs, [], "x0"
    for op_type, key, neutral in (("Pow", "power", 1), ("Mul", "scale", 1), ("Add", "shift", 0)):
        if a[key] != neutral:
            steps.append(n(op_type, value, floats(a[key]), out=key))
            value = key
    return [*steps, n("Identity", value)]


def _channel_shuffle(node: Node, shapes: Shapes) -> list[N]:
    _, c, h, w = map(int, (0, *shapes[0][1:]))
    g = node.attrs["groups"]
    return [
        n("Reshape", "x0", ints(0, g, c // g, h, w), out="groups"),
        n("Transpose", "groups", out="mixed", perm=[0, 2, 1, 3, 4]),
        n("Reshape", "mixed", ints(0, c, h, w)),
    ]


def _subsample(node: Node, shapes: Shapes) -> list[N]:
    h, w = map(int, shapes[0][2:])
    return [n("Slice", "x0", ints(0, 0), ints(h, w), ints(2, 3), ints(*node.attrs["stride"]))]


def _crop(node: Node, shapes: Shapes) -> list[N]:
    (top, left), (h, w) = node.attrs["offset"], node.attrs["size"]
    return [n("Slice", "x0", ints(top, left), ints(top + h, left + w), ints(2, 3))]


def _pad_channels(node: Node, shapes: Shapes) -> list[N]:
    return [n("Pad", "x0", ints(0, 0, 0, 0, 0, node.attrs["out"] - int(shapes[0][1]), 0, 0))]


def _split(node: Node, shapes: Shapes) -> list[N]:
    parts = node.attrs["parts"]
    return [N("Split", ("x0", ints(*parts)), tuple(f"y{i}" for i in range(len(parts))), {"axis": 1})]


def _upsample(node: Node, shapes: Shapes) -> list[N]:
    attrs = {"mode": "linear", "coordinate_transformation_mode": "half_pixel"}
    if node.attrs["mode"] == "nearest":
        attrs = {"mode": "nearest", "coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
    return [N("Resize", ("x0", "", floats(1, 1, *node.attrs["scale"])), ("y0",), attrs, exact=True)]


def _deform_conv(node: Node, shapes: Shapes) -> list[N]:
    a = node.attrs
    (kh, kw), bias = a["kernel"], ["bias"] if a["bias"] else []
    return [
        n(
            "DeformConv",
            "x0",
            "weight",
            "x1",
            *bias,
            since=19,
            kernel_shape=[kh, kw],
            strides=list(a["stride"]),
            pads=_onnx_pads(a["pad"]),
            dilations=list(a["dilation"]),
            group=a["groups"],
            offset_group=int(shapes[1][1]) // (2 * kh * kw),
        )
    ]


def _roi_boxes(index: Value, boxes: Value, node: Node, size: tuple[int, int], out: str) -> N:
    """RoiAlign with pixels that cover i to i + 1."""
    return n(
        "RoiAlign",
        "x0",
        boxes,
        index,
        out=out,
        mode="avg",
        coordinate_transformation_mode="half_pixel",
        output_height=size[0],
        output_width=size[1],
        sampling_ratio=node.attrs["samples"],
        spatial_scale=node.attrs["scale"],
    )


def _roi_align(node: Node, shapes: Shapes) -> list[N]:
    return [
        n("Slice", "x1", ints(0), ints(1), ints(1), out="first"),
        n("Squeeze", "first", ints(1), out="image"),
        n("Cast", "image", out="index", to=onnx.TensorProto.INT64),
        n("Slice", "x1", ints(1), ints(5), ints(1), out="boxes"),
        _roi_boxes("index", "boxes", node, node.attrs["size"], "y0"),
    ]


def _deform_roi_pool(node: Node, shapes: Shapes) -> list[N]:
    """A bin of a region is a region of one bin, shifted: the B bins of R regions are R * B boxes."""
    (h, w), c = node.attrs["size"], int(node.shape[1])
    corners = np.array([[j / w, i / h] for i in range(h) for j in range(w)], np.float32)[None]
    bins = h * w
    return [
        n("Slice", "x1", ints(0), ints(1), ints(1), out="first"),
        n("Cast", "first", out="image", to=onnx.TensorProto.INT64),
        n("Expand", "image", ints(1, bins), out="images"),
        n("Reshape", "images", ints(-1), out="index"),
        n("Slice", "x1", ints(1), ints(3), ints(1), out="start"),
        n("Slice", "x1", ints(3), ints(5), ints(1), out="end"),
        n("Sub", "end", "start", out="span"),
        n("Unsqueeze", "span", ints(1), out="spans"),
        n("Unsqueeze", "start", ints(1), out="starts"),
        n("Reshape", "x2", ints(0, bins, 2), out="pairs"),
        n("Gather", "pairs", ints(1, 0), out="shifts", axis=2),  # (dy, dx) -> (dx, dy)
        n("Mul", "shifts", floats(node.attrs["gamma"]), out="scaled"),
        n("Add", "scaled", corners, out="relative"),
        n("Mul", "relative", "spans", out="within"),
        n("Add", "within", "starts", out="low"),
        n("Mul", "spans", np.array([1 / w, 1 / h], np.float32), out="steps"),
        n("Add", "low", "steps", out="high"),
        n("Concat", "low", "high", out="corners", axis=2),
        n("Reshape", "corners", ints(-1, 4), out="boxes"),
        _roi_boxes("index", "boxes", node, (1, 1), "pooled"),
        n("Reshape", "pooled", ints(-1, h, w, c), out="last"),
        n("Transpose", "last", perm=[0, 3, 1, 2]),
    ]


def _lrn(node: Node, shapes: Shapes) -> list[N]:
    """The operator, or its definition where the squares weigh more than `k`.

    onnxruntime keeps a running sum of squares, whose rounding shows where `k` does not hide it.
    """
    a, (_, c, h, w) = node.attrs, map(int, (0, *shapes[0][1:]))
    if a["alpha"] <= 0.1 * a["k"]:
        return [n("LRN", "x0", size=a["size"], alpha=a["alpha"], beta=a["beta"], bias=a["k"])]
    half = a["size"] // 2
    return [
        n("Mul", "x0", "x0", out="squares"),
        n("Reshape", "squares", ints(0, 1, c, h * w), out="rows"),
        n(
            "AveragePool",
            "rows",
            out="means",
            kernel_shape=[a["size"], 1],
            pads=[half, 0, half, 0],
            count_include_pad=1,
        ),
        n("Reshape", "means", ints(0, c, h, w), out="mean"),
        n("Mul", "mean", floats(a["alpha"]), out="scaled"),
        n("Add", "scaled", floats(a["k"]), out="sum"),
        n("Pow", "sum", floats(a["beta"]), out="size"),
        n("Div", "x0", "size"),
    ]


def _mul(node: Node, shapes: Shapes) -> list[N]:
    if len(shapes) == 1:
        return [n("Identity", "x0")]
    steps, value = [], "x0"
    for i in range(1, len(shapes)):
        last = i == len(shapes) - 1
        steps.append(n("Mul", value, f"x{i}", out="y0" if last else f"product{i}"))
        value = f"product{i}"
    return steps


def _sum(node: Node, shapes: Shapes) -> list[N]:
    return [n("Add" if len(shapes) == 2 else "Sum", *(f"x{i}" for i in range(len(shapes))))]


ROWS: dict[str, Row] = {
    "conv": _conv,
    "conv_transpose": _conv_transpose,
    "linear": lambda node, shapes: [n("Gemm", "x0", *_tensors(node), transB=1)],
    "batch_norm": _batch_norm,
    "layer_norm": _layer_norm,
    "channel_scale": _channel_scale,
    "l2_norm": _l2_norm,
    "prelu": _prelu,
    "deform_conv": _deform_conv,
    "roi_align": _roi_align,
    "deform_roi_pool": _deform_roi_pool,
    "lrn": _lrn,
    "max_pool": _max_pool,
    "avg_pool": _avg_pool,
    "global_avg_pool": simple("GlobalAveragePool"),
    "global_max_pool": simple("GlobalMaxPool"),
    "adaptive_avg_pool": _adaptive_avg_pool,
    "relu": simple("Relu"),
    "relu6": lambda node, shapes: [n("Clip", "x0", floats(0), floats(6))],
    "sigmoid": simple("Sigmoid"),
    "tanh": simple("Tanh"),
    "silu": lambda node, shapes: [n("Sigmoid", "x0", out="gate"), n("Mul", "x0", "gate")],
    "gelu": simple("Gelu", since=20),
    "hard_sigmoid": simple("HardSigmoid", alpha=1 / 6, beta=0.5),
    "hard_swish": simple("HardSwish"),
    "softmax": simple("Softmax", axis=1),
    "leaky_relu": lambda node, shapes: [n("LeakyRelu", "x0", alpha=node.attrs["slope"])],
    "flatten": simple("Flatten", axis=1),
    "identity": simple("Identity"),
    "dropout": simple("Identity"),
    "drop_path": simple("Identity"),
    "split": _split,
    "affine": _affine,
    "channel_shuffle": _channel_shuffle,
    "subsample": _subsample,
    "pad_channels": _pad_channels,
    "crop": _crop,
    "upsample": _upsample,
    "concat": simple("Concat", axis=1),
    "add": _sum,
    "mean": simple("Mean"),
    "max": simple("Max"),
    "mul": _mul,
}


def rows_of(node: Node, shapes: Shapes) -> list[N]:
    """The ONNX nodes of an op, of the core or of a plug-in; raises DataError for one that has no row."""
    row = ROWS.get(node.op) or lowerings("onnx").get(node.op)
    if not callable(row):
        raise DataError("NS601", f"the ONNX backend has no row for '{node.op}' ({node.path})")
    return list(row(node, shapes))
