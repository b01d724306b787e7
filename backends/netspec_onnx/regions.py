"""Rows of ops that read a map between its pixels: deformable convolution, pooling of regions of interest."""

from __future__ import annotations

import numpy as np
import onnx

from netspec.ir.graph import Node
from netspec_onnx.nodes import N, Shapes, Value, floats, ints, n, newer, onnx_pads, squeeze, unsqueeze


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
        since=16,
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
        squeeze("first", 1, out="image"),
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
        unsqueeze("span", 1, out="spans"),
        unsqueeze("start", 1, out="starts"),
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


def roi_avg_pool(node: Node, shapes: Shapes, slack: float = 0) -> list[N]:
    """With a slack between 0 and 1 it is the same where a runtime multiplies by 1 / bins in place of a division."""
    return _cells(node, shapes, [], slack)


def deform_roi_avg_pool(node: Node, shapes: Shapes, slack: float = 0) -> list[N]:
    bins = node.attrs["size"][0] * node.attrs["size"][1]
    moves = [
        n("Reshape", "x2", ints(0, bins, 2), out="pairs"),
        n("Gather", "pairs", ints(1, 0), out="shifts", axis=2),  # (dy, dx) -> (dx, dy)
        n("Mul", "shifts", floats(node.attrs["gamma"]), out="scaled"),
        n("Mul", "scaled", "spans", out="move"),
        n("Floor", "move", out="whole"),
        n("Sub", "move", "whole", out="part"),
    ]
    return _cells(node, shapes, moves, slack)


def _cells(node: Node, shapes: Shapes, moves: list[N], slack: float) -> list[N]:
    """The mean of the cells of each bin is a matrix product: each cell of a map by its part in each bin."""
    (h, w), (c, height, width) = node.attrs["size"], map(int, shapes[0][1:])
    bins, sides = np.array([w, h], np.float32), np.array([width, height], np.float32)
    bin = np.array([[j, i] for i in range(h) for j in range(w)], np.float32)[None]
    return [
        n("Slice", "x1", ints(0), ints(1), ints(1), out="first"),
        squeeze("first", 1, out="image"),
        n("Cast", "image", out="index", to=onnx.TensorProto.INT64),
        n("Slice", "x1", ints(1), ints(5), ints(1), out="boxes"),
        n("Mul", "boxes", floats(node.attrs["scale"]), out="scaled_boxes"),
        n("Round", "scaled_boxes", out="ends"),
        unsqueeze("ends", 1, out="corners"),
        n("Slice", "corners", ints(0), ints(2), ints(2), out="start"),
        n("Slice", "corners", ints(2), ints(4), ints(2), out="end"),
        n("Sub", "end", "start", out="between"),
        n("Add", "between", floats(1), out="sides"),
        n("Max", "sides", floats(1), out="spans"),
        *_bounds("low", bin, "Floor", bins, sides, slack),
        *_bounds("high", bin + 1, "Ceil", bins, sides, -slack),
        n("Sub", "high", "low", out="cells"),
        n("Max", "cells", floats(1), out="counts"),
        *moves,
        *_parts("x", 0, width, bool(moves)),
        *_parts("y", 1, height, bool(moves)),
        unsqueeze("parts_x", 2, out="across"),
        unsqueeze("parts_y", 3, out="down"),
        n("Mul", "down", "across", out="parts"),
        n("Reshape", "parts", ints(0, h * w, height * width), out="by_cell"),
        n("Transpose", "by_cell", out="by_bin", perm=[0, 2, 1]),
        n("Gather", "x0", "index", out="maps"),
        n("Reshape", "maps", ints(0, c, height * width), out="read"),
        n("MatMul", "read", "by_bin", out="means"),
        n("Reshape", "means", ints(0, c, h, w)),
    ]


def _bounds(name: str, bin: np.ndarray, rounding: str, bins: np.ndarray, sides: np.ndarray, slack: float) -> list[N]:
    """Where the bins of all regions begin or end, in cells of the map: (R, bins, 2).

    What is divided is whole numbers: with less than 1 more, floor gives the same, and ceil with less than 1 less.
    """
    product, whole = f"{name}_0", f"{name}_whole"
    return [
        n("Mul", "spans", bin, out=whole if slack else product),
        *([n("Add", whole, floats(slack), out=product)] if slack else []),
        n("Div", product, bins, out=f"{name}_1"),
        n(rounding, f"{name}_1", out=f"{name}_2"),
        n("Add", f"{name}_2", "start", out=f"{name}_3"),
        n("Max", f"{name}_3", floats(0), out=f"{name}_4"),
        n("Min", f"{name}_4", sides, out=name),
    ]


def _parts(name: str, axis: int, cells: int, moved: bool) -> list[N]:
    """The part of each cell of an axis in the mean of each bin: (R, bins, cells)."""
    cell = np.arange(cells, dtype=np.float32)

    def of(value: str) -> tuple[N, str]:
        return n("Slice", value, ints(axis), ints(axis + 1), ints(2), out=f"{value}_{name}"), f"{value}_{name}"

    def inside(low: str, high: str, out: str) -> list[N]:
        return [
            newer(
                n("GreaterOrEqual", cell, low, out=f"{out}_after"),
                12,
                n("Less", cell, low, out=f"{out}_early"),
                n("Not", f"{out}_early", out=f"{out}_after"),
            ),
            n("Less", cell, high, out=f"{out}_before"),
            n("And", f"{out}_after", f"{out}_before", out=f"{out}_both"),
            n("Where", f"{out}_both", floats(1), floats(0), out=out),
        ]

    (cut_low, low), (cut_high, high), (cut_counts, counts) = of("low"), of("high"), of("counts")
    nodes = [cut_low, cut_high, cut_counts]
    if not moved:
        return [*nodes, *inside(low, high, f"in_{name}"), n("Div", f"in_{name}", counts, out=f"parts_{name}")]
    (cut_whole, whole), (cut_part, part) = of("whole"), of("part")
    nodes += [cut_whole, cut_part]
    nodes += [n("Add", low, whole, out=f"{low}_1"), n("Add", high, whole, out=f"{high}_1")]
    nodes += [n("Add", f"{low}_1", floats(1), out=f"{low}_2"), n("Add", f"{high}_1", floats(1), out=f"{high}_2")]
    nodes += [*inside(f"{low}_1", f"{high}_1", f"near_{name}"), *inside(f"{low}_2", f"{high}_2", f"next_{name}")]
    return [
        *nodes,
        n("Sub", floats(1), part, out=f"rest_{name}"),
        n("Mul", f"near_{name}", f"rest_{name}", out=f"near_part_{name}"),
        n("Mul", f"next_{name}", part, out=f"next_part_{name}"),
        n("Add", f"near_part_{name}", f"next_part_{name}", out=f"in_{name}"),
        n("Div", f"in_{name}", counts, out=f"parts_{name}"),
    ]
