"""Rows of ops that slide a window over a map: convolutions and pools, and what pads for them."""

from __future__ import annotations

from collections.abc import Mapping

from netspec.ir.graph import Node
from netspec.ops import Shape
from netspec_torch.quote import literal
from netspec_torch.rows import Arg, Layer, Shapes, one, positional


def layer_pads(node: Node) -> bool:
    """Whether PyTorch's layer can pad: both sides alike."""
    top, bottom, left, right = node.attrs["pad"]
    return bool(top == bottom and left == right)


def max_pool_pads(node: Node) -> bool:
    """Whether nn.MaxPool2d can pad: both sides alike, by half its kernel at most (undilated)."""
    (top, _, left, _), (kh, kw) = node.attrs["pad"], node.attrs["kernel"]
    return layer_pads(node) and bool(top <= kh // 2 and left <= kw // 2)


def torch_pads(pads: tuple[int, int, int, int]) -> tuple[int, int, int, int]:
    """top, bottom, left, right -> F.pad's order, the last axis first."""
    return pads[2], pads[3], pads[0], pads[1]


def four_sides(pads: tuple[int, int, int, int]) -> str:
    """Four sides as F.pad takes them, written."""
    return literal(torch_pads(pads))


def _window(node: Node, names: Mapping[str, int | None], pads: bool) -> tuple[Arg, ...]:
    """stride, padding, dilation as PyTorch names them, with their defaults; `pads` says whether the layer pads."""
    a = node.attrs
    pad = (a["pad"][0], a["pad"][2]) if pads else (0, 0)
    found = {"stride": one(a["stride"]), "padding": one(pad)}
    if "dilation" in a:
        found["dilation"] = one(a["dilation"])
    return tuple(Arg(k, found[k], default) for k, default in names.items())


def conv(node: Node, shapes: Shapes) -> Layer:
    a = node.attrs
    return Layer(
        "nn.Conv2d",
        (
            *positional(("in_channels", shapes[0][1]), ("out_channels", a["out"])),
            Arg("kernel_size", one(a["kernel"])),
            *_window(node, {"stride": 1, "padding": 0, "dilation": 1}, layer_pads(node)),
            Arg("groups", a["groups"], 1),
            Arg("bias", a["bias"], True),
        ),
    )


def conv_transpose(node: Node, shapes: Shapes) -> Layer:
    a = node.attrs
    return Layer(
        "nn.ConvTranspose2d",
        (
            *positional(("in_channels", shapes[0][1]), ("out_channels", a["out"])),
            Arg("kernel_size", one(a["kernel"])),
            *_window(node, {"stride": 1, "padding": 0, "dilation": 1}, layer_pads(node)),
            Arg("output_padding", one(a["output_pad"]), 0),
            Arg("groups", a["groups"], 1),
            Arg("bias", a["bias"], True),
        ),
    )


def deform_conv(node: Node, shapes: Shapes) -> Layer:
    return Layer("DeformConv2d", conv(node, shapes).args)


def crop_after(node: Node, shapes: Shapes) -> str:
    """Unequal padding of a transposed convolution is cut off its result."""
    return "{0}" if layer_pads(node) else f"F.pad({{0}}, {literal(tuple(-p for p in torch_pads(node.attrs['pad'])))})"


def _end_pads(node: Node, shape: Shape) -> tuple[int, int, int, int]:
    """The pads after which floor mode gives the number of windows of ceil mode."""
    top, bottom, left, right = node.attrs["pad"]
    if not node.attrs["ceil"]:
        return top, bottom, left, right
    ends = []
    for axis, before in ((0, top), (1, left)):
        d = node.attrs.get("dilation", (1, 1))[axis]
        reach = (int(node.shape[2 + axis]) - 1) * node.attrs["stride"][axis] + d * (node.attrs["kernel"][axis] - 1) + 1
        ends.append(max(0, reach - int(shape[2 + axis]) - before))
    return top, ends[0], left, ends[1]


def max_pool(node: Node, shapes: Shapes) -> Layer:
    a = node.attrs
    return Layer(
        "nn.MaxPool2d",
        (
            Arg("kernel_size", one(a["kernel"]), positional=True),
            *_window(node, {"stride": None, "padding": 0, "dilation": 1}, max_pool_pads(node)),
            Arg("ceil_mode", a["ceil"] and max_pool_pads(node), False),
        ),
    )


def max_pool_pad(node: Node, shapes: Shapes) -> str:
    if max_pool_pads(node):
        return "{0}"
    return f'F.pad({{0}}, {four_sides(_end_pads(node, shapes[0]))}, value=float("-inf"))'


def avg_pool(node: Node, shapes: Shapes) -> Layer | None:
    a = node.attrs
    if not layer_pads(node):
        return None
    return Layer(
        "nn.AvgPool2d",
        (
            Arg("kernel_size", one(a["kernel"]), positional=True),
            *_window(node, {"stride": None, "padding": 0}, pads=True),
            Arg("ceil_mode", a["ceil"], False),
            Arg("count_include_pad", a["count_pad"], True),
        ),
    )


def avg_pool_call(node: Node, shapes: Shapes) -> str:
    """Sides that are padded unlike: counted zeros are padded first, uncounted ones left out of the divisor."""
    a = node.attrs
    return (
        f"avg_pool_uneven({{0}}, {literal(a['kernel'])}, {literal(a['stride'])}, {four_sides(a['pad'])}, "
        f"{four_sides(_end_pads(node, shapes[0]))}, count_pad={literal(a['count_pad'])})"
    )
