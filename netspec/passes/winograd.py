"""Computes 3x3 convolutions by tiles of 4x4 pixels, with a quarter of the multiplications (Winograd's algorithm).

F(4x4, 3x3) of Lavin and Gray 2016 (section 4.3): a tile is Y = A' [(G g G') * (B' d B)] A of a 6x6 square d of the map
and a kernel g, where * multiplies numbers, summed over the input channels: 36 multiplications for 16 x 9. Their
points 0, 1, -1, 2, -2 round five times as much as these, 0, sqrt(1/2), -sqrt(1/2), sqrt(2), -sqrt(2).
Case 1: a dense `conv` of 3x3, stride 1, of at least 256 x 512 channels, on a map of at least 24 x 24, is
`NAME_squares`, a convolution of 6x6 with stride 4 that gives the 36 numbers B' d B of each channel; `NAME_products`, a
1x1 convolution of 36 groups, one for each of the numbers, from all channels to all; `NAME_tiles`, which gives the 16
pixels of A' m A of each channel; and a `pixel_shuffle`, with shuffles of channels between them. What a last tile has
beyond the map is cut by a `crop`. The last step keeps the name of the convolution.
On fewer channels the transforms of the map, on a smaller one the tiles at its end cost what the products save.
Left alone: layers that share weights. The last tile makes its pads and its crop those of one height and width, and the
sums of its transforms take several times the precision of a direct convolution in 16 bits, and ten times in int8: no
level has it there.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from netspec.ir.graph import Graph, Node, Ref
from netspec.ir.module import Module, Stored, Weight
from netspec.ops import Tensor
from netspec.passes.base import Stage, graph_pass, within
from netspec.passes.merging import weight_of
from netspec.passes.rewriter import free_path, new_node, rewrite, sharing

if TYPE_CHECKING:
    import numpy as np

TILE, SQUARE = 4, 6
"""The side of a tile of the result, and of the square of the map that it reads."""
NUMBERS, PIXELS = SQUARE * SQUARE, TILE * TILE
KERNELS, SIDE = 256 * 512, 24
"""The fewest kernels, channels in times channels out, and the smallest side of a map."""
ROWS = 16
"""Of how many channels kernels are made at once: those of 2,048 x 2,048 would take 1.2 GB."""
H, R = 2**-0.5, 2**0.5
OF_MAP = (
    (1, 0, -2.5, 0, 1, 0),
    (0, -R, -2, H, 1, 0),
    (0, R, -2, -H, 1, 0),
    (0, -H, -0.5, R, 1, 0),
    (0, H, -0.5, -R, 1, 0),
    (0, 1, 0, -2.5, 0, 1),
)
"""B': row i has the coefficients of the product of all x - p but that of point i, the last of all of them."""
OF_KERNEL = (
    (1, 0, 0),
    (-2 / 3, -2 / 3 * H, -1 / 3),
    (-2 / 3, 2 / 3 * H, -1 / 3),
    (1 / 6, 1 / 6 * R, 1 / 3),
    (1 / 6, -1 / 6 * R, 1 / 3),
    (0, 0, 1),
)
"""G: the powers 0 to 2 of each point, by the product of its differences from the others."""
OF_PRODUCTS = ((1, 1, 1, 1, 1, 0), (0, H, -H, R, -R, 0), (0, 0.5, 0.5, 2, 2, 0), (0, H / 2, -H / 2, 2 * R, -2 * R, 1))
"""A': the powers 0 to 3 of each point."""


@graph_pass(stage=Stage.INFERENCE, named=True, placed=True, needs=("float32", "fixed"))
def winograd(module: Module, only: Collection[str] | None = None) -> Module:
    """Computes 3x3 convolutions of many channels by tiles of 4x4 pixels, with a quarter of the multiplications."""
    graph, owners = module.graph, sharing(module.graph)
    before: dict[str, list[Node]] = {}
    weights: dict[str, Mapping[str, Weight]] = {}
    for node in graph.nodes.values():
        if node.op == "conv" and within(node.path, only) and owners[node.weights_at] == 1 and _fits(graph, node):
            before[node.path] = steps = _steps(graph, node)
            weights |= _weights(module, node, steps)

    def visit(node: Node, operands: Sequence[Tensor]) -> Node:
        if node.path not in before:
            return node
        value, size = (Ref(before[node.path][-1].path),), tuple(map(int, node.shape[2:]))
        if any(side % TILE for side in size):
            return replace(node, op="crop", inputs=value, attrs={"offset": (0, 0), "size": size})
        return replace(node, op="pixel_shuffle", inputs=value, attrs={"factor": TILE})

    return rewrite(module, visit, weights=weights, before=before, times=len(before))


def _fits(graph: Graph, node: Node) -> bool:
    """Whether a convolution is of the form that the algorithm takes, and large enough for it."""
    a, (out, into) = node.attrs, map(int, node.result.weights["weight"][:2])
    form = (tuple(a["kernel"]), tuple(a["stride"]), tuple(a["dilation"]), a["groups"])
    return form == ((3, 3), (1, 1), (1, 1), 1) and out * into >= KERNELS and min(map(int, node.shape[2:])) >= SIDE


def _steps(graph: Graph, node: Node) -> list[Node]:
    """The steps before the last one: the squares, their products and the tiles, which are shuffled where it crops."""
    names = ("squares", "by_number", "products", "by_channel", "tiles", "map")
    squares, numbers, products, channels, tiles, whole = (free_path(graph, f"{node.path}_{name}") for name in names)
    (value,), (out, into) = node.inputs, map(int, node.result.weights["weight"][:2])
    top, _, left, _ = node.attrs["pad"]
    ends = [-(-int(side) // TILE) * TILE + 2 for side in node.shape[2:]]
    height, width = map(int, graph.shape(value)[2:])
    pad = (top, ends[0] - height - top, left, ends[1] - width - left)
    read = {"out": into * NUMBERS, "kernel": SQUARE, "stride": TILE, "pad": pad, "groups": into, "bias": False}
    dense = {"out": out * NUMBERS, "kernel": 1, "groups": NUMBERS, "bias": False}
    steps = [
        new_node(squares, "conv", [value], read, node),
        new_node(numbers, "channel_shuffle", [Ref(squares)], {"groups": into}, node),
        new_node(products, "conv", [Ref(numbers)], dense, node),
        new_node(channels, "channel_shuffle", [Ref(products)], {"groups": NUMBERS}, node),
        new_node(tiles, "conv", [Ref(channels)], {"out": out * PIXELS, "kernel": 1, "groups": out}, node),
    ]
    if any(int(side) % TILE for side in node.shape[2:]):
        steps.append(new_node(whole, "pixel_shuffle", [Ref(tiles)], {"factor": TILE}, node))
    return steps


def _weights(module: Module, node: Node, steps: Sequence[Node]) -> dict[str, Mapping[str, Weight]]:
    """The constants of the squares and the tiles, and the kernels as the products take them."""
    squares, _, products, _, tiles, *_ = steps
    out, into = map(int, node.result.weights["weight"][:2])
    kernels, bias = weight_of(module, node), weight_of(module, node, "bias")
    return {
        squares.path: {"weight": Weight((into * NUMBERS, 1, SQUARE, SQUARE), partial(_of_map, into))},
        products.path: {"weight": Weight((out * NUMBERS, into, 1, 1), partial(_of_kernels, kernels))},
        tiles.path: {
            "weight": Weight((out * PIXELS, NUMBERS, 1, 1), partial(_of_products, out)),
            "bias": Weight((out * PIXELS,), partial(_of_pixels, bias)),
        },
    }


def _of_map(channels: int, stored: Stored) -> np.ndarray:
    """B' d B of each channel as a convolution: its kernel for number (a, b) is the product of rows a and b of B'."""
    import numpy as np

    rows = np.array(OF_MAP, np.float32)
    kernels = np.einsum("ai,bj->abij", rows, rows).reshape(NUMBERS, 1, SQUARE, SQUARE)
    return np.tile(kernels, (channels, 1, 1, 1))


def _of_kernels(kernels: Weight, stored: Stored) -> np.ndarray:
    """G g G' of each kernel, in float64, as 36 matrices of out x C one below the other; some rows at a time."""
    import numpy as np

    rows, small = np.array(OF_KERNEL), kernels.make(stored)
    out, into = small.shape[:2]
    found = np.empty((SQUARE, SQUARE, out, into), np.float32)
    for start in range(0, out, ROWS):
        part = slice(start, start + ROWS)
        found[:, :, part] = np.einsum("ai,kcij,bj->abkc", rows, small[part].astype(np.float64), rows, optimize=True)
    return found.reshape(-1, into, 1, 1)


def _of_products(channels: int, stored: Stored) -> np.ndarray:
    """A' m A of each channel as a 1x1 convolution: for pixel (i, j) the product of rows i and j of A'."""
    import numpy as np

    rows = np.array(OF_PRODUCTS, np.float32)
    matrix = np.einsum("ia,jb->ijab", rows, rows).reshape(PIXELS, NUMBERS, 1, 1)
    return np.tile(matrix, (channels, 1, 1, 1))


def _of_pixels(bias: Weight, stored: Stored) -> np.ndarray:
    """The bias of each channel for its 16 pixels."""
    import numpy as np

    return np.repeat(bias.make(stored), PIXELS)
