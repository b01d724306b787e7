"""One row per op: the layer of torch.nn that it becomes, or the expression.

A layer is a class with its arguments; an expression is text over `{0}`, `{1}`, ... for the operands. Where an op has
both, the layer stands in chains and the expression in `forward`. What PyTorch lacks is in `helpers` and is
written into the source where used.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence

from netspec.backend import plugin_row, row_help
from netspec.diagnostics.errors import DataError, PluginError
from netspec.ir.graph import Node
from netspec.ops import Shape
from netspec_torch.norms import batch_norm, group_norm, instance_norm, layer_norm, lrn
from netspec_torch.quote import literal
from netspec_torch.rows import Arg, Layer, Row, Shapes, act, one, positional
from netspec_torch.windows import (
    avg_pool,
    avg_pool_call,
    conv,
    conv_transpose,
    crop_after,
    deform_conv,
    four_sides,
    layer_pads,
    max_pool,
    max_pool_pad,
    torch_pads,
)

MOST_TERMS = 500
"""Terms of a sum or product that are written side by side: Python compiles about a thousand."""


def _roi_pool(name: str) -> Callable[[Node, Shapes], str]:
    def call(node: Node, shapes: Shapes) -> str:
        a = node.attrs
        gamma = f", {{2}}, gamma={literal(a['gamma'])}" if "gamma" in a else ""
        given = ", ".join(f"{key}={literal(a[key])}" for key in ("size", "scale", "samples") if key in a)
        return f"{name}({{0}}, {{1}}{gamma}, {given})"

    return call


def _linear(node: Node, shapes: Shapes) -> Layer:
    return Layer(
        "nn.Linear",
        (
            *positional(("in_features", shapes[0][1]), ("out_features", node.attrs["out"])),
            Arg("bias", node.attrs["bias"], True),
        ),
    )


def _operands(shapes: Shapes) -> str:
    return ", ".join(f"{{{i}}}" for i in range(len(shapes)))


def _joined(shapes: Shapes, sign: str) -> str:
    """The operands with a sign between them; of many, parts are joined, as Python nests each sign in the one before.

    There are three parts at least: a formatter breaks two brackets otherwise.
    """
    terms = _operands(shapes).split(", ")
    while len(terms) > MOST_TERMS:
        size = min(MOST_TERMS, -(-len(terms) // 3))
        parts = [terms[i : i + size] for i in range(0, len(terms), size)]
        terms = [f"({f' {sign} '.join(part)})" if len(part) > 1 else part[0] for part in parts]
    return f" {sign} ".join(terms)


def _mean_of_paths(node: Node, shapes: Shapes) -> Layer | None:
    """What leaves out paths in training; an expression does for a mean of all."""
    p = node.attrs.get("drop_paths")
    return Layer("MeanOfPaths", positional(("p", p))) if p else None


def _affine(node: Node, shapes: Shapes) -> str:
    a, text = node.attrs, "{0}"
    text += f"**{literal(a['power'])}" if a["power"] != 1 else ""
    text = f"{literal(a['scale'])} * {text}" if a["scale"] != 1 else text
    return f"{text} + {literal(a['shift'])}" if a["shift"] != 0 else text


def _split(node: Node, shapes: Shapes) -> str:
    """torch.split gives a tuple whatever the count; one part is the whole, and parts that are alike say how many."""
    parts = list(node.attrs["parts"])
    if len(parts) == 1:
        return "{0}"
    return (
        f"torch.chunk({{0}}, {len(parts)}, dim=1)"
        if len({*parts}) == 1
        else f"torch.split({{0}}, {literal(parts)}, dim=1)"
    )


def _repeats_exactly(scale: int) -> bool:
    """Whether PyTorch's interpolation repeats each pixel so often: it multiplies places by 1 / scale in float32.

    Where that is rounded down by 2^-25 or more, the product of a multiple of the scale can fall below its pixel.
    """
    (inverse,) = struct.unpack("f", struct.pack("f", 1 / scale))
    return bool(1 - scale * inverse < 2**-25)


def _upsample(node: Node, shapes: Shapes) -> str:
    a = node.attrs
    if a["mode"] == "nearest" and "scale" in a and not all(map(_repeats_exactly, a["scale"])):
        high, wide = (literal(int(scale)) for scale in a["scale"])
        return f"{{0}}.repeat_interleave({high}, 2).repeat_interleave({wide}, 3)"
    more = ", align_corners=False" if a["mode"] == "bilinear" else ""
    scale = a["scale"] if "size" not in a else _doubled(a["size"], shapes[0]) if a["mode"] == "nearest" else None
    to = f"scale_factor={literal(tuple(map(float, scale)))}" if scale else f"size={literal(a['size'])}"
    return f"F.interpolate({{0}}, {to}, mode={literal(a['mode'])}{more})"


def _doubled(size: Sequence[int], shape: Shape) -> tuple[int, ...] | None:
    """How often each pixel is repeated to a size, where that is a power of two, which PyTorch counts exactly.

    None elsewhere. The levels of a pyramid so share a class: they differ in nothing but their sizes.
    """
    scale = [n // int(before) for n, before in zip(size, shape[2:], strict=True)]
    exact = all(n == s * int(before) for n, s, before in zip(size, scale, shape[2:], strict=True))
    return tuple(scale) if exact and all(s and not s & (s - 1) for s in scale) else None


PADS = {"zeros": "nn.ZeroPad2d", "reflect": "nn.ReflectionPad2d", "replicate": "nn.ReplicationPad2d"}


def _pad(node: Node, shapes: Shapes) -> Layer:
    sides = torch_pads(node.attrs["pad"])
    return Layer(PADS[node.attrs["pad_mode"]], positional(("padding", sides[0] if len({*sides}) == 1 else sides)))


def _crop(node: Node, shapes: Shapes) -> str:
    places = zip(node.attrs["offset"], node.attrs["size"], shapes[0][2:], strict=True)
    parts = [f"{literal(at) if at else ''}:{literal(at + n) if at + n != whole else ''}" for at, n, whole in places]
    return f"{{0}}[:, :, {', '.join(parts)}]"


ROWS: dict[str, Row] = {
    "conv": Row(
        conv,
        before=lambda node, shapes: "{0}" if layer_pads(node) else f"F.pad({{0}}, {four_sides(node.attrs['pad'])})",
    ),
    "conv_transpose": Row(conv_transpose, after=crop_after),
    "deform_conv": Row(
        deform_conv,
        before=lambda node, shapes: (
            "{0}, {1}" if layer_pads(node) else f"F.pad({{0}}, {four_sides(node.attrs['pad'])}), {{1}}"
        ),
    ),
    "linear": Row(_linear),
    "batch_norm": Row(batch_norm, counters=("num_batches_tracked",)),
    "layer_norm": Row(layer_norm),
    "group_norm": Row(group_norm),
    "instance_norm": Row(instance_norm),
    "channel_scale": Row(lambda node, shapes: Layer("ChannelScale", positional(("channels", shapes[0][1])))),
    "l2_norm": Row(call=lambda node, shapes: f"F.normalize({{0}}, dim=1, eps={literal(node.attrs['eps'])})"),
    "lrn": Row(lrn),
    "max_pool": Row(max_pool, before=max_pool_pad),
    "avg_pool": Row(avg_pool, avg_pool_call),
    "global_avg_pool": Row(lambda node, shapes: Layer("nn.AdaptiveAvgPool2d", positional(("output_size", 1)))),
    "global_max_pool": Row(lambda node, shapes: Layer("nn.AdaptiveMaxPool2d", positional(("output_size", 1)))),
    "adaptive_avg_pool": Row(
        lambda node, shapes: Layer("nn.AdaptiveAvgPool2d", positional(("output_size", one(node.attrs["size"]))))
    ),
    "channel_mean": Row(call=lambda node, shapes: "{0}.mean(1, keepdim=True)"),
    "channel_max": Row(call=lambda node, shapes: "{0}.amax(1, keepdim=True)"),
    "relu": act("nn.ReLU", "F.relu({0})", in_place=True),
    "relu6": act("nn.ReLU6", "F.relu6({0})", in_place=True),
    "sigmoid": act("nn.Sigmoid", "torch.sigmoid({0})"),
    "tanh": act("nn.Tanh", "torch.tanh({0})"),
    "silu": act("nn.SiLU", "F.silu({0})", in_place=True),
    "gelu": act("nn.GELU", "F.gelu({0})"),
    "mish": act("nn.Mish", "F.mish({0})"),
    "softplus": act("nn.Softplus", "F.softplus({0})"),
    "elu": Row(lambda node, shapes: Layer("nn.ELU", (Arg("alpha", node.attrs["alpha"], 1.0),))),
    "hard_sigmoid": act("nn.Hardsigmoid", "F.hardsigmoid({0})"),
    "hard_swish": act("nn.Hardswish", "F.hardswish({0})", in_place=True),
    "softmax": Row(
        lambda node, shapes: Layer("nn.Softmax", (Arg("dim", 1),)),
        lambda node, shapes: "F.softmax({0}, dim=1)",
        layer_in_chains_alone=True,
    ),
    "leaky_relu": Row(
        lambda node, shapes: Layer("nn.LeakyReLU", (Arg("negative_slope", node.attrs["slope"], 0.01),)), in_place=True
    ),
    "prelu": Row(lambda node, shapes: Layer("nn.PReLU", positional(("num_parameters", shapes[0][1])))),
    "roi_align": Row(call=_roi_pool("roi_align")),
    "deform_roi_pool": Row(call=_roi_pool("deform_roi_pool")),
    "roi_avg_pool": Row(call=_roi_pool("roi_avg_pool")),
    "deform_roi_avg_pool": Row(call=_roi_pool("deform_roi_avg_pool")),
    "flatten": Row(lambda node, shapes: Layer("nn.Flatten"), lambda node, shapes: "torch.flatten({0}, 1)"),
    "identity": Row(lambda node, shapes: Layer("nn.Identity"), lambda node, shapes: "{0}"),
    "dropout": Row(lambda node, shapes: Layer("nn.Dropout", positional(("p", node.attrs["p"])))),
    "drop_path": Row(lambda node, shapes: Layer("DropPath", positional(("p", node.attrs["p"])))),
    "split": Row(call=_split),
    "affine": Row(call=_affine),
    "channel_shuffle": Row(
        call=lambda node, shapes: (
            f"{{0}}.unflatten(1, ({literal(node.attrs['groups'])}, -1)).transpose(1, 2).flatten(1, 2)"
        )
    ),
    "subsample": Row(call=lambda node, shapes: "{{0}}[:, :, ::{}, ::{}]".format(*map(literal, node.attrs["stride"]))),
    "pad_channels": Row(
        call=lambda node, shapes: f"F.pad({{0}}, (0, 0, 0, 0, 0, {literal(node.attrs['out'] - int(shapes[0][1]))}))"
    ),
    "crop": Row(call=_crop),
    "flip": Row(call=lambda node, shapes: f"{{0}}.flip({2 if node.attrs['axis'] == 'height' else 3})"),
    "upsample": Row(call=_upsample),
    "pixel_shuffle": Row(
        lambda node, shapes: Layer("nn.PixelShuffle", positional(("upscale_factor", node.attrs["factor"])))
    ),
    "pad": Row(_pad),
    "concat": Row(call=lambda node, shapes: f"torch.cat([{_operands(shapes)}], dim=1)"),
    "add": Row(call=lambda node, shapes: _joined(shapes, "+")),
    "mul": Row(call=lambda node, shapes: _joined(shapes, "*")),
    "mean": Row(
        _mean_of_paths,
        lambda node, shapes: f"({_joined(shapes, '+')}) / {len(shapes)}",
        before=lambda node, shapes: f"[{_operands(shapes)}]",
    ),
    "max": Row(call=lambda node, shapes: f"torch.stack([{_operands(shapes)}]).amax(0)"),
}


def row_of(node: Node) -> Row:
    """How an op is written, of the core or of a plug-in; raises DataError for one that has no row, PluginError."""
    row = ROWS.get(node.op) or plugin_row("torch", node.op)
    if row is None:
        raise DataError("NS601", f"the torch backend has no row for '{node.op}' ({node.path})", row_help("torch"))
    if not isinstance(row, Row):
        raise PluginError(f"the row of '{node.op}' for 'torch' is a {type(row).__name__}, not a netspec_torch.rows.Row")
    return row
