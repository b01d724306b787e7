"""Rows of the op `upsample`: by factors, or to a size."""

from __future__ import annotations

import numpy as np
import onnx

from netspec.ir.graph import Node
from netspec_onnx.nodes import Attr, N, Shapes, floats, free, ints, n, newer


def upsample(node: Node, shapes: Shapes) -> list[N]:
    """To a size the nearest pixels are gathered: Resize rounds their places in other ways than PyTorch.

    Where the size of the map is free and the other one a multiple of it, this is a scale.
    """
    a, (before, after) = node.attrs, (shapes[0][2:], node.shape[2:])
    multiple = all(int(new) % int(old) == 0 for old, new in zip(before, after, strict=True))
    if "size" in a and free(shapes[0]) and multiple:
        scales = [int(new) // int(old) for old, new in zip(before, after, strict=True)]
        return [_resize(floats(1, 1, *scales), _NEAREST if a["mode"] == "nearest" else _LINEAR)]
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
        factors = map(_factor, map(int, shapes[0][2:]), a["size"])
        return [
            newer(
                N("Resize", ("x0", "", "", ints(*a["size"])), attrs={**_LINEAR, "axes": [2, 3]}),
                18,
                _resize(floats(1, 1, *factors), _LINEAR),
            )
        ]
    return [_resize(floats(1, 1, *a["scale"]), _NEAREST if a["mode"] == "nearest" else _LINEAR)]


def upsample_without_lines(node: Node, shapes: Shapes) -> list[N]:
    """A map of one cell is repeated, which is what linear interpolation makes of it; others as usual."""
    if free(shapes[0]) or [int(size) for size in shapes[0][2:]] != [1, 1]:
        return upsample(node, shapes)
    return [_resize(floats(1, 1, *map(float, node.shape[2:])), _NEAREST)]


_LINEAR: dict[str, Attr] = {"mode": "linear", "coordinate_transformation_mode": "half_pixel"}
_NEAREST: dict[str, Attr] = {
    "mode": "nearest",
    "coordinate_transformation_mode": "asymmetric",
    "nearest_mode": "floor",
}


def _resize(scales: np.ndarray, attrs: dict[str, Attr]) -> N:
    """A map times these scales; before operator set 13 a region that nothing reads had to be given."""
    before = N("Resize", ("x0", np.zeros(0, np.float32), scales), attrs=attrs, exact=True)
    return newer(N("Resize", ("x0", "", scales), attrs=attrs, exact=True), 13, before)


def _factor(before: int, after: int) -> float:
    """The scale from one size to another: the product is rounded down, of float32 or, in ONNX's own rule, of double."""
    factor = np.float32(after) / np.float32(before)
    while before * float(factor) < after:
        factor = np.nextafter(factor, np.float32(np.inf))
    return float(factor)


def _nearest(before: int, after: int, out: str) -> list[N]:
    """Which pixel each position of another size takes, rounded in float32 as PyTorch does.

    It is computed in the model, whose size would follow that of the map otherwise.
    """
    step = np.float32(before) / np.float32(after)
    first, count, one, last = (np.array(number, np.int64) for number in (0, after, 1, before - 1))
    return [
        n("Range", first, count, one, out=f"{out}.position"),
        n("Cast", f"{out}.position", out=f"{out}.single", to=onnx.TensorProto.FLOAT),
        N("Mul", (f"{out}.single", np.array(step)), (f"{out}.exact",), exact=True),
        n("Floor", f"{out}.exact", out=f"{out}.whole"),
        n("Cast", f"{out}.whole", out=f"{out}.pixel", to=onnx.TensorProto.INT64),
        newer(
            n("Min", f"{out}.pixel", last, out=out),
            12,
            n("Less", f"{out}.pixel", last, out=f"{out}.inside"),
            n("Where", f"{out}.inside", f"{out}.pixel", last, out=out),
        ),
    ]
