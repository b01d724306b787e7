"""One row per op: the ONNX nodes that it becomes.

A row gives a list of `N(op_type, inputs, outputs, **attributes)`. `x0`, `x1`, ... are the operands, `weight` and the
like the op's tensors, `y0`, ... its results, other words are values between the nodes; an array is a constant.
Each node says the operator set that it needs, and what stands in its place in an older one where there is such.
"""

from __future__ import annotations

from netspec.backend import plugin_row, row_help, takes
from netspec.diagnostics.errors import DataError, PluginError
from netspec.ir.graph import Node
from netspec.ops import Shape
from netspec_onnx.activations import gelu, hard_swish, mish, softmax
from netspec_onnx.nodes import (
    Attr,
    Free,
    N,
    Row,
    Shapes,
    floats,
    free,
    ints,
    n,
    newer,
    onnx_pads,
    reduce,
    simple,
    spread,
    tensors,
    unsqueeze,
)
from netspec_onnx.norms import batch_norm, group_norm, instance_norm, l2_norm, layer_norm, lrn
from netspec_onnx.presets import Target
from netspec_onnx.regions import deform_conv, deform_roi_avg_pool, deform_roi_pool, roi_align, roi_avg_pool
from netspec_onnx.resizing import upsample
from netspec_onnx.windows import adaptive_avg_pool, avg_pool, max_pool, space
from netspec_onnx.workarounds import NODES, WORKAROUNDS


def _conv(node: Node, shapes: Shapes) -> list[N]:
    return [N("Conv", ("x0", *tensors(node)), attrs=_sliding(node))]


def _conv_transpose(node: Node, shapes: Shapes) -> list[N]:
    attrs = {**_sliding(node), "output_padding": list(node.attrs["output_pad"])}
    return [N("ConvTranspose", ("x0", *tensors(node)), attrs=attrs)]


def _sliding(node: Node) -> dict[str, Attr]:
    """How the kernel of a convolution goes over a map."""
    a = node.attrs
    sizes: dict[str, Attr] = {"kernel_shape": list(a["kernel"]), "strides": list(a["stride"])}
    return {**sizes, "pads": onnx_pads(a["pad"]), **spread(a["dilation"], a["groups"])}


def _prelu(node: Node, shapes: Shapes) -> list[N]:
    """ONNX broadcasts the slopes from the right: they must be C x 1 x 1, or as many ones as the value has sizes."""
    if len(node.shape) == 2:
        return [n("PRelu", "x0", "weight")]
    return [unsqueeze("weight", *range(1, len(node.shape) - 1), out="slope"), n("PRelu", "x0", "slope")]


def _channel_scale(node: Node, shapes: Shapes) -> list[N]:
    if len(node.shape) == 2:
        return [n("Mul", "x0", "weight")]
    return [unsqueeze("weight", 1, 2, out="scale"), n("Mul", "x0", "scale")]


_ROOTS = {0.5: ("Sqrt",), -0.5: ("Sqrt", "Reciprocal"), -1.0: ("Reciprocal",)}
"""Powers that have operators of their own, which take a fraction of the time of Pow in onnxruntime."""


def _affine(node: Node, shapes: Shapes) -> list[N]:
    a, steps, value = node.attrs, [], "x0"
    for op_type in _ROOTS.get(a["power"], ()):
        steps.append(n(op_type, value, out=op_type.lower()))
        value = op_type.lower()
    for op_type, key, neutral in (("Pow", "power", 1), ("Mul", "scale", 1), ("Add", "shift", 0)):
        if a[key] != neutral and not (key == "power" and steps):
            steps.append(n(op_type, value, floats(a[key]), out=key))
            value = key
    return [*steps, n("Identity", value)]


def _channel_shuffle(node: Node, shapes: Shapes) -> list[N]:
    _, c, h, w = map(int, (0, *shapes[0][1:]))
    g = node.attrs["groups"]
    if free(shapes[0]):
        return [
            n("Reshape", "x0", ints(0, g, c // g, -1), out="groups"),
            n("Transpose", "groups", out="mixed", perm=[0, 2, 1, 3]),
            n("Shape", "x0", out="shape"),
            n("Reshape", "mixed", "shape"),
        ]
    return [
        n("Reshape", "x0", ints(0, g, c // g, h, w), out="groups"),
        n("Transpose", "groups", out="mixed", perm=[0, 2, 1, 3, 4]),
        n("Reshape", "mixed", ints(0, c, h, w)),
    ]


def _subsample(node: Node, shapes: Shapes) -> list[N]:
    ends = _to_the_end(shapes[0], (0, 0))
    return [n("Slice", "x0", ints(0, 0), ints(*ends), ints(2, 3), ints(*node.attrs["stride"]))]


def _crop(node: Node, shapes: Shapes) -> list[N]:
    (top, left), (h, w) = node.attrs["offset"], node.attrs["size"]
    rows, columns = map(int, shapes[0][2:])
    ends = _to_the_end(shapes[0], (rows - top - h, columns - left - w))
    return [n("Slice", "x0", ints(top, left), ints(*ends), ints(2, 3))]


def _to_the_end(shape: Shape, but: tuple[int, int]) -> list[int]:
    """Where a slice of rows and columns ends, so many before the end of a map; a free end is counted from there."""
    return [
        (-left_out if left_out else 2**31 - 1) if isinstance(size, Free) else int(size) - left_out
        for size, left_out in zip(shape[2:], but, strict=True)
    ]


def _flip(node: Node, shapes: Shapes) -> list[N]:
    axis = 2 if node.attrs["axis"] == "height" else 3
    return [n("Slice", "x0", ints(-1), ints(-(2**31)), ints(axis), ints(-1))]


def _pad_channels(node: Node, shapes: Shapes) -> list[N]:
    return [n("Pad", "x0", ints(0, 0, 0, 0, 0, node.attrs["out"] - int(shapes[0][1]), 0, 0), floats(0))]


def _split(node: Node, shapes: Shapes) -> list[N]:
    parts = node.attrs["parts"]
    results = tuple(f"y{i}" for i in range(len(parts)))
    before = N("Split", ("x0",), results, {"axis": 1, "split": list(parts)})
    return [newer(N("Split", ("x0", ints(*parts)), results, {"axis": 1}), 13, before)]


def _in_turn(op_type: str, partial: str) -> Row:
    """An operator on two operands after the other: onnxruntime fuses an Add into a convolution, but no Sum of three."""

    def row(node: Node, shapes: Shapes) -> list[N]:
        if len(shapes) == 1:
            return [n("Identity", "x0")]
        steps, value = [], "x0"
        for i in range(1, len(shapes)):
            last = i == len(shapes) - 1
            steps.append(n(op_type, value, f"x{i}", out="y0" if last else f"{partial}{i}"))
            value = f"{partial}{i}"
        return steps

    return row


def _joined(op_type: str) -> Row:
    """A join as one operator, of one operand the identity: MNN 3.6 and pnnx crash on a sum of one."""
    return lambda node, shapes: [n(op_type if len(shapes) > 1 else "Identity", *(f"x{i}" for i in range(len(shapes))))]


ROWS: dict[str, Row] = {
    "conv": _conv,
    "conv_transpose": _conv_transpose,
    "linear": lambda node, shapes: [n("Gemm", "x0", *tensors(node), transB=1)],
    "batch_norm": batch_norm,
    "layer_norm": layer_norm,
    "channel_scale": _channel_scale,
    "l2_norm": l2_norm,
    "group_norm": group_norm,
    "instance_norm": instance_norm,
    "prelu": _prelu,
    "deform_conv": deform_conv,
    "roi_align": roi_align,
    "deform_roi_pool": deform_roi_pool,
    "roi_avg_pool": roi_avg_pool,
    "deform_roi_avg_pool": deform_roi_avg_pool,
    "lrn": lrn,
    "max_pool": max_pool,
    "avg_pool": avg_pool,
    "global_avg_pool": simple("GlobalAveragePool"),
    "global_max_pool": simple("GlobalMaxPool"),
    "adaptive_avg_pool": adaptive_avg_pool,
    "channel_mean": lambda node, shapes: [reduce("ReduceMean", "x0", 1)],
    "channel_max": lambda node, shapes: [reduce("ReduceMax", "x0", 1)],
    "relu": simple("Relu"),
    "relu6": lambda node, shapes: [n("Clip", "x0", floats(0), floats(6))],
    "sigmoid": simple("Sigmoid"),
    "tanh": simple("Tanh"),
    "silu": lambda node, shapes: [n("Sigmoid", "x0", out="gate"), n("Mul", "x0", "gate")],
    "gelu": gelu,
    "mish": mish,
    "softplus": simple("Softplus"),
    "elu": lambda node, shapes: [n("Elu", "x0", alpha=node.attrs["alpha"])],
    "hard_sigmoid": simple("HardSigmoid", alpha=1 / 6, beta=0.5),
    "hard_swish": hard_swish,
    "softmax": softmax,
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
    "upsample": upsample,
    "pixel_shuffle": lambda node, shapes: [n("DepthToSpace", "x0", blocksize=node.attrs["factor"], mode="CRD")],
    "pad": space,
    "concat": simple("Concat", axis=1),
    "add": _in_turn("Add", "sum"),
    "mean": _joined("Mean"),
    "max": _joined("Max"),
    "mul": _in_turn("Mul", "product"),
}


def rows_of(node: Node, shapes: Shapes, target: Target | None = None) -> list[N]:
    """The ONNX nodes of an op, of the core or of a plug-in, for a runtime of `--for` where it needs others.

    Raises DataError for an op that has no row, PluginError.
    """
    own = WORKAROUNDS.get(target, {}).get(node.op) if target else None
    row = own or ROWS.get(node.op) or plugin_row("onnx", node.op)
    if row is None:
        raise DataError("NS601", f"the ONNX backend has no row for '{node.op}' ({node.path})", row_help("onnx"))
    made = row(node, shapes) if callable(row) and takes(row, "node", "shapes") else None
    if not isinstance(made, list) or not all(isinstance(one, N) for one in made):
        expected = "a function of (node, shapes) that gives a list of netspec_onnx.nodes.N"
        raise PluginError(f"the row of '{node.op}' for 'onnx' is not {expected}")
    return [NODES[target](one) for one in made] if target and target in NODES else made
