"""Rows of normalisations."""

from __future__ import annotations

import numpy as np

from netspec.ir.graph import Node
from netspec_onnx.nodes import N, Shapes, Value, floats, free, ints, n, newer, reduce, unsqueeze


def batch_norm(node: Node, shapes: Shapes) -> list[N]:
    c = int(node.shape[1])
    scale: tuple[Value, Value] = (
        ("weight", "bias") if node.attrs["affine"] else (np.ones(c, np.float32), np.zeros(c, np.float32))
    )
    return [n("BatchNormalization", "x0", *scale, "running_mean", "running_var", epsilon=node.attrs["eps"])]


def layer_norm(node: Node, shapes: Shapes) -> list[N]:
    """Over the channels of each pixel: they are moved to the end and back."""
    scale: list[Value] = ["weight", "bias"] if node.attrs["affine"] else [np.ones(int(node.shape[1]), np.float32)]
    if len(node.shape) == 2:
        return [_normed("x0", scale, node.attrs["eps"], "y0")]
    return [
        n("Transpose", "x0", out="last", perm=[0, 2, 3, 1]),
        _normed("last", scale, node.attrs["eps"], "normed"),
        n("Transpose", "normed", perm=[0, 3, 1, 2]),
    ]


def _normed(value: str, scale: list[Value], eps: float, out: str) -> N:
    """LayerNormalization over the last axis, from operator set 17 on; before it is written out."""
    last = f"{out}.scaled" if len(scale) == 2 else out
    return newer(
        n("LayerNormalization", value, *scale, out=out, axis=-1, epsilon=eps),
        17,
        reduce("ReduceMean", value, -1, out=f"{out}.mean"),
        n("Sub", value, f"{out}.mean", out=f"{out}.centred"),
        n("Mul", f"{out}.centred", f"{out}.centred", out=f"{out}.squares"),
        reduce("ReduceMean", f"{out}.squares", -1, out=f"{out}.variance"),
        n("Add", f"{out}.variance", floats(eps), out=f"{out}.sum"),
        n("Sqrt", f"{out}.sum", out=f"{out}.deviation"),
        n("Div", f"{out}.centred", f"{out}.deviation", out=f"{out}.unit"),
        n("Mul", f"{out}.unit", scale[0], out=last),
        *(n("Add", last, shift, out=out) for shift in scale[1:]),
    )


def l2_norm(node: Node, shapes: Shapes) -> list[N]:
    """Not LpNormalization: it divides by zero where a vector is zero."""
    return [
        reduce("ReduceL2", "x0", 1, out="norm"),
        n("Max", "norm", floats(node.attrs["eps"]), out="size"),
        n("Div", "x0", "size"),
    ]


def group_norm(node: Node, shapes: Shapes) -> list[N]:
    """InstanceNormalization of the groups: GroupNormalization has a scale of each channel from operator set 21 on."""
    a, (c, h, w) = node.attrs, map(int, shapes[0][1:])
    ones, zeros = np.ones(a["groups"], np.float32), np.zeros(a["groups"], np.float32)
    is_free = free(shapes[0])
    grouped = [
        n("Reshape", "x0", ints(0, a["groups"], -1 if is_free else c // a["groups"] * h * w), out="groups"),
        n("InstanceNormalization", "groups", ones, zeros, out="normed", epsilon=a["eps"]),
        *([n("Shape", "x0", out="shape")] if is_free else []),
        n("Reshape", "normed", "shape" if is_free else ints(0, c, h, w), out="map" if a["affine"] else "y0"),
    ]
    if not a["affine"]:
        return grouped
    return [
        *grouped,
        unsqueeze("weight", 1, 2, out="scale"),
        n("Mul", "map", "scale", out="scaled"),
        unsqueeze("bias", 1, 2, out="shift"),
        n("Add", "scaled", "shift"),
    ]


def instance_norm(node: Node, shapes: Shapes) -> list[N]:
    c = int(node.shape[1])
    scale: tuple[Value, Value] = (
        ("weight", "bias") if node.attrs["affine"] else (np.ones(c, np.float32), np.zeros(c, np.float32))
    )
    return [n("InstanceNormalization", "x0", *scale, epsilon=node.attrs["eps"])]


def lrn(node: Node, shapes: Shapes) -> list[N]:
    """The operator, or its definition where the squares weigh more than `k`.

    onnxruntime keeps a running sum of squares, whose rounding shows where `k` does not hide it.
    """
    a, (_, c, h, w) = node.attrs, map(int, (0, *shapes[0][1:]))
    if a["alpha"] <= 0.1 * a["k"]:
        return [n("LRN", "x0", size=a["size"], alpha=a["alpha"], beta=a["beta"], bias=a["k"])]
    half, is_free = a["size"] // 2, free(shapes[0])
    return [
        n("Mul", "x0", "x0", out="squares"),
        n("Reshape", "squares", ints(0, 1, c, -1 if is_free else h * w), out="rows"),
        n(
            "AveragePool",
            "rows",
            out="means",
            kernel_shape=[a["size"], 1],
            pads=[half, 0, half, 0],
            count_include_pad=1,
        ),
        *([n("Shape", "x0", out="shape")] if is_free else []),
        n("Reshape", "means", "shape" if is_free else ints(0, c, h, w), out="mean"),
        n("Mul", "mean", floats(a["alpha"]), out="scaled"),
        n("Add", "scaled", floats(a["k"]), out="sum"),
        n("Pow", "sum", floats(a["beta"]), out="size"),
        n("Div", "x0", "size"),
    ]
