"""Rows of ops that read a map between its pixels: deformable convolution, pooling of regions of interest."""

from __future__ import annotations

import numpy as np
import onnx

from netspec.ir.graph import Node
from netspec_onnx.nodes import N, Shapes, Value, floats, ints, n, onnx_pads


def deform_conv(node: Node, shapes: Shapes) -> list[N]:
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
            pads=onnx_pads(a["pad"]),
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


def roi_align(node: Node, shapes: Shapes) -> list[N]:
    return [
        n("Slice", "x1", ints(0), ints(1), ints(1), out="first"),
        n("Squeeze", "first", ints(1), out="image"),
        n("Cast", "image", out="index", to=onnx.TensorProto.INT64),
        n("Slice", "x1", ints(1), ints(5), ints(1), out="boxes"),
        _roi_boxes("index", "boxes", node, node.attrs["size"], "y0"),
    ]


def deform_roi_pool(node: Node, shapes: Shapes) -> list[N]:
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
