"""How the size of a map follows from a window: floor((55 - 3) / 2) + 1."""

from __future__ import annotations

from collections.abc import Sequence

from netspec.ir.graph import Graph, Node
from netspec.ops.base import pair


def size_of_window(graph: Graph, node: Node) -> list[str]:
    """The arithmetic of a convolution's or pooling's output, one line where height and width follow alike; else none.

    floor((n + pads - window) / stride) + 1 with a window of dilation * (kernel - 1) + 1, or ceil (Dumoulin and Visin
    2016, relationship 6; Caffe rounds poolings up).
    """
    if not {"kernel", "stride", "pad"} <= node.attrs.keys() or len(graph.shape(node.inputs[0])) != 4:
        return []
    kernel, stride, dilation = (pair(node.attrs.get(key, 1), key) for key in ("kernel", "stride", "dilation"))
    ceil, sides = bool(node.attrs.get("ceil")), list[str]()
    for i, (size, out) in enumerate(zip(graph.shape(node.inputs[0])[2:], node.shape[2:], strict=True)):
        window, pads = dilation[i] * (kernel[i] - 1) + 1, node.attrs["pad"][2 * i : 2 * i + 2]
        sides.append(_side(int(size), int(out), window, stride[i], pads, ceil))
    if not all(sides):
        return []
    return [f"size: {sides[0]}"] if sides[0] == sides[1] else [f"height: {sides[0]}", f"width: {sides[1]}"]


def _side(size: int, out: int, window: int, stride: int, pads: Sequence[int], ceil: bool) -> str:
    """One side, or nothing where the rule does not give it: a last window that begins in the padding is left out."""
    room = size + sum(pads) - window
    if (-(-room // stride) if ceil else room // stride) + 1 != out:
        return ""
    cells = "".join(f" + {cells}" for cells in pads if cells)
    return f"{out} = {'ceil' if ceil else 'floor'}(({size}{cells} - {window}) / {stride}) + 1"
