"""One row per op: the ONNX nodes that it becomes.

A row gives a list of `N(op_type, inputs, outputs, **attributes)`. `x0`, `x1`, ... are the operands, `weight` and the
like the op's tensors, `y0`, ... its results, other words are values between the nodes; an array is a constant.
"""

from __future__ import annotations

import numpy as np
import onnx

from netspec.backend import plugin_row, row_help, takes
from netspec.diagnostics.errors import DataError, PluginError
from netspec.ir.graph import Node
from netspec_onnx.nodes import Attr, N, Row, Shapes, Value, floats, ints, n, onnx_pads, simple, tensors
from netspec_onnx.regions import deform_conv, deform_roi_avg_pool, deform_roi_pool, roi_align, roi_avg_pool
from netspec_onnx.windows import adaptive_avg_pool, avg_pool, max_pool, space


def _conv(node: Node, shapes: Shapes) -> list[N]:
    a = node.attrs
    return [
        n(
            "Conv",
            "x0",
            *tensors(node),
            kernel_shape=list(a["kernel"]),
            strides=list(a["stride"]),
            pads=onnx_pads(a["pad"]),
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
            *tensors(node),
            kernel_shape=list(a["kernel"]),
            strides=list(a["stride"]),
            pads=onnx_pads(a["pad"]),
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


def _flip(node: Node, shapes: Shapes) -> list[N]:
    axis = 2 if node.attrs["axis"] == "height" else 3
    return [n("Slice", "x0", ints(-1), ints(-(2**31)), ints(axis), ints(-1))]


def _pad_channels(node: Node, shapes: Shapes) -> list[N]:
    return [n("Pad", "x0", ints(0, 0, 0, 0, 0, node.attrs["out"] - int(shapes[0][1]), 0, 0))]


def _split(node: Node, shapes: Shapes) -> list[N]:
    parts = node.attrs["parts"]
    return [N("Split", ("x0", ints(*parts)), tuple(f"y{i}" for i in range(len(parts))), {"axis": 1})]


def _upsample(node: Node, shapes: Shapes) -> list[N]:
    """To a size the nearest pixels are gathered: Resize rounds their places in other ways than PyTorch."""
    a = node.attrs
    if "size" in a:
        if a["mode"] == "nearest":
            (high, wide), (h, w) = map(int, shapes[0][2:]), a["size"]
            rows, columns = _nearest(high, h, "row"), _nearest(wide, w, "column")
            return [
                *rows,
                *columns,
                n("Gather", "x0", "row", out="rows", axis=2),
                n("Gather", "rows", "column", axis=3),
            ]
        attrs: dict[str, Attr] = {"mode": "linear", "coordinate_transformation_mode": "half_pixel", "axes": [2, 3]}
        return [N("Resize", ("x0", "", "", ints(*a["size"])), ("y0",), attrs)]
    attrs = {"mode": "linear", "coordinate_transformation_mode": "half_pixel"}
    if a["mode"] == "nearest":
        attrs = {"mode": "nearest", "coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
    return [N("Resize", ("x0", "", floats(1, 1, *a["scale"])), ("y0",), attrs, exact=True)]


def _nearest(before: int, after: int, out: str) -> list[N]:
    """Which pixel each position of another size takes, rounded in float32 as PyTorch does.

    It is computed in the model, whose size would follow that of the map otherwise.
    """
    step = np.float32(before) / np.float32(after)
    first, count, one = (np.array(number, np.int64) for number in (0, after, 1))
    return [
        n("Range", first, count, one, out=f"{out}.position"),
        n("Cast", f"{out}.position", out=f"{out}.single", to=onnx.TensorProto.FLOAT),
        N("Mul", (f"{out}.single", np.array(step)), (f"{out}.exact",), exact=True),
        n("Floor", f"{out}.exact", out=f"{out}.whole"),
        n("Cast", f"{out}.whole", out=f"{out}.pixel", to=onnx.TensorProto.INT64),
        n("Min", f"{out}.pixel", np.array(before - 1, np.int64), out=out),
    ]


def _group_norm(node: Node, shapes: Shapes) -> list[N]:
    """InstanceNormalization of the groups: GroupNormalization has a scale of each channel from operator set 21 on."""
    a, (c, h, w) = node.attrs, map(int, shapes[0][1:])
    ones, zeros = np.ones(a["groups"], np.float32), np.zeros(a["groups"], np.float32)
    grouped = [
        n("Reshape", "x0", ints(0, a["groups"], c // a["groups"] * h * w), out="groups"),
        n("InstanceNormalization", "groups", ones, zeros, out="normed", epsilon=a["eps"]),
    ]
    if not a["affine"]:
        return [*grouped, n("Reshape", "normed", ints(0, c, h, w))]
    return [
        *grouped,
        n("Reshape", "normed", ints(0, c, h, w), out="map"),
        n("Unsqueeze", "weight", ints(1, 2), out="scale"),
        n("Mul", "map", "scale", out="scaled"),
        n("Unsqueeze", "bias", ints(1, 2), out="shift"),
        n("Add", "scaled", "shift"),
    ]


def _instance_norm(node: Node, shapes: Shapes) -> list[N]:
    c = int(node.shape[1])
    scale: tuple[Value, Value] = (
        ("weight", "bias") if node.attrs["affine"] else (np.ones(c, np.float32), np.zeros(c, np.float32))
    )
    return [n("InstanceNormalization", "x0", *scale, epsilon=node.attrs["eps"])]


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
    "linear": lambda node, shapes: [n("Gemm", "x0", *tensors(node), transB=1)],
    "batch_norm": _batch_norm,
    "layer_norm": _layer_norm,
    "channel_scale": _channel_scale,
    "l2_norm": _l2_norm,
    "group_norm": _group_norm,
    "instance_norm": _instance_norm,
    "prelu": _prelu,
    "deform_conv": deform_conv,
    "roi_align": roi_align,
    "deform_roi_pool": deform_roi_pool,
    "roi_avg_pool": roi_avg_pool,
    "deform_roi_avg_pool": deform_roi_avg_pool,
    "lrn": _lrn,
    "max_pool": max_pool,
    "avg_pool": avg_pool,
    "global_avg_pool": simple("GlobalAveragePool"),
    "global_max_pool": simple("GlobalMaxPool"),
    "adaptive_avg_pool": adaptive_avg_pool,
    "channel_mean": lambda node, shapes: [n("ReduceMean", "x0", ints(1))],
    "channel_max": lambda node, shapes: [n("ReduceMax", "x0", ints(1))],
    "relu": simple("Relu"),
    "relu6": lambda node, shapes: [n("Clip", "x0", floats(0), floats(6))],
    "sigmoid": simple("Sigmoid"),
    "tanh": simple("Tanh"),
    "silu": lambda node, shapes: [n("Sigmoid", "x0", out="gate"), n("Mul", "x0", "gate")],
    "gelu": simple("Gelu", since=20),
    "mish": simple("Mish"),
    "softplus": simple("Softplus"),
    "elu": lambda node, shapes: [n("Elu", "x0", alpha=node.attrs["alpha"])],
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
    "flip": _flip,
    "upsample": _upsample,
    "pixel_shuffle": lambda node, shapes: [n("DepthToSpace", "x0", blocksize=node.attrs["factor"], mode="CRD")],
    "pad": space,
    "concat": simple("Concat", axis=1),
    "add": _sum,
    "mean": simple("Mean"),
    "max": simple("Max"),
    "mul": _mul,
}


def rows_of(node: Node, shapes: Shapes) -> list[N]:
    """The ONNX nodes of an op, of the core or of a plug-in; raises DataError for one that has no row, PluginError."""
    row = ROWS.get(node.op) or plugin_row("onnx", node.op)
    if row is None:
        raise DataError("NS601", f"the ONNX backend has no row for '{node.op}' ({node.path})", row_help("onnx"))
    made = row(node, shapes) if callable(row) and takes(row, "node", "shapes") else None
    if not isinstance(made, list) or not all(isinstance(one, N) for one in made):
        wanted = "a function of (node, shapes) that gives a list of netspec_onnx.nodes.N"
        raise PluginError(f"the row of '{node.op}' for 'onnx' is not {wanted}")
    return made
