"""One row per op: the layer of torch.nn that it becomes, or the expression.

A layer is a class with its arguments; an expression is text over `{0}`, `{1}`, ... for the operands. Where an op has
both, the layer stands in chains and the expression in `forward`. What PyTorch lacks is in `helpers` and is
written into the source where used.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from netspec.backend import lowerings
from netspec.diagnostics.errors import DataError
from netspec.ir.graph import Node
from netspec.ops import Shape
from netspec_torch.quote import literal

Shapes = Sequence[Shape]


@dataclass(frozen=True, slots=True)
class Arg:
    """An argument of a layer; one that equals its default is not written."""

    key: str
    value: object
    default: object = None
    positional: bool = False


@dataclass(frozen=True, slots=True)
class Layer:
    """A class with its arguments."""

    cls: str
    args: tuple[Arg, ...] = ()


@dataclass(frozen=True, slots=True)
class Row:
    """How one op is written; each takes the node and the shapes of its operands."""

    layer: Callable[[Node, Shapes], Layer | None] | None = None
    call: Callable[[Node, Shapes], str] | None = None
    before: Callable[[Node, Shapes], str] | None = None
    """What is done to the operand before the layer: padding that the layer cannot do."""
    after: Callable[[Node, Shapes], str] | None = None
    """What is done to the layer's result."""
    layer_in_chains_alone: bool = False
    """Whether `forward` has the expression although the layer takes arguments; without arguments it always has."""
    counters: tuple[str, ...] = ()
    """Integers that the layer keeps in its state dict next to the statistics of the op, after the last of these."""
    helpers: Mapping[str, str] = field(default_factory=dict)
    """Of a plug-in: what PyTorch lacks, as source by name, as in `netspec_torch.helpers`."""


def one(pair: tuple[int, int]) -> int | tuple[int, int]:
    """A pair of equal numbers as one number."""
    return pair[0] if pair[0] == pair[1] else pair


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


def _sides(pads: tuple[int, int, int, int]) -> str:
    """Four sides as F.pad takes them, written."""
    return literal(torch_pads(pads))


def positional(*values: tuple[str, object]) -> tuple[Arg, ...]:
    """Arguments that are written without their names."""
    return tuple(Arg(key, value, positional=True) for key, value in values)


def _window(node: Node, names: Mapping[str, int | None], pads: bool) -> tuple[Arg, ...]:
    """stride, padding, dilation as PyTorch names them, with their defaults; `pads` says whether the layer pads."""
    a = node.attrs
    pad = (a["pad"][0], a["pad"][2]) if pads else (0, 0)
    found = {"stride": one(a["stride"]), "padding": one(pad)}
    if "dilation" in a:
        found["dilation"] = one(a["dilation"])
    return tuple(Arg(k, found[k], default) for k, default in names.items())


def _conv(node: Node, shapes: Shapes) -> Layer:
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


def _conv_transpose(node: Node, shapes: Shapes) -> Layer:
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


def _deform_conv(node: Node, shapes: Shapes) -> Layer:
    return Layer("DeformConv2d", _conv(node, shapes).args)


def _roi_pool(name: str) -> Callable[[Node, Shapes], str]:
    def call(node: Node, shapes: Shapes) -> str:
        a = node.attrs
        gamma = f", {{2}}, gamma={literal(a['gamma'])}" if "gamma" in a else ""
        given = ", ".join(f"{key}={literal(a[key])}" for key in ("size", "scale", "samples"))
        return f"{name}({{0}}, {{1}}{gamma}, {given})"

    return call


def _crop_after(node: Node, shapes: Shapes) -> str:
    """Unequal padding of a transposed convolution is cut off its result."""
    return "{0}" if layer_pads(node) else f"F.pad({{0}}, {literal(tuple(-p for p in torch_pads(node.attrs['pad'])))})"


def _linear(node: Node, shapes: Shapes) -> Layer:
    return Layer(
        "nn.Linear",
        (
            *positional(("in_features", shapes[0][1]), ("out_features", node.attrs["out"])),
            Arg("bias", node.attrs["bias"], True),
        ),
    )


def _batch_norm(node: Node, shapes: Shapes) -> Layer:
    a = node.attrs
    return Layer(
        f"nn.BatchNorm{2 if len(shapes[0]) == 4 else 1}d",
        (
            *positional(("num_features", shapes[0][1])),
            Arg("eps", a["eps"], 1e-5),
            Arg("momentum", a["momentum"], 0.1),
            Arg("affine", a["affine"], True),
        ),
    )


def _layer_norm(node: Node, shapes: Shapes) -> Layer:
    a = node.attrs
    return Layer(
        "nn.LayerNorm" if len(shapes[0]) == 2 else "LayerNorm2d",
        (
            *positional(("channels", shapes[0][1])),
            Arg("eps", a["eps"], 1e-5),
            Arg("elementwise_affine", a["affine"], True),
        ),
    )


def _group_norm(node: Node, shapes: Shapes) -> Layer:
    a = node.attrs
    return Layer(
        "nn.GroupNorm",
        (
            *positional(("num_groups", a["groups"]), ("num_channels", shapes[0][1])),
            Arg("eps", a["eps"], 1e-5),
            Arg("affine", a["affine"], True),
        ),
    )


def _instance_norm(node: Node, shapes: Shapes) -> Layer:
    a = node.attrs
    return Layer(
        "nn.InstanceNorm2d",
        (*positional(("num_features", shapes[0][1])), Arg("eps", a["eps"], 1e-5), Arg("affine", a["affine"], False)),
    )


def _lrn(node: Node, shapes: Shapes) -> Layer:
    a = node.attrs
    return Layer(
        "nn.LocalResponseNorm",
        (
            *positional(("size", a["size"])),
            Arg("alpha", a["alpha"], 1e-4),
            Arg("beta", a["beta"], 0.75),
            Arg("k", a["k"], 1.0),
        ),
    )


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


def _max_pool(node: Node, shapes: Shapes) -> Layer:
    a = node.attrs
    return Layer(
        "nn.MaxPool2d",
        (
            Arg("kernel_size", one(a["kernel"]), positional=True),
            *_window(node, {"stride": None, "padding": 0, "dilation": 1}, max_pool_pads(node)),
            Arg("ceil_mode", a["ceil"] and max_pool_pads(node), False),
        ),
    )


def _max_pool_pad(node: Node, shapes: Shapes) -> str:
    if max_pool_pads(node):
        return "{0}"
    return f"F.pad({{0}}, {_sides(_end_pads(node, shapes[0]))}, value=float('-inf'))"


def _avg_pool(node: Node, shapes: Shapes) -> Layer | None:
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


def _avg_pool_call(node: Node, shapes: Shapes) -> str:
    """Sides that are padded unlike: counted zeros are padded first, uncounted ones left out of the divisor."""
    a = node.attrs
    return (
        f"avg_pool_uneven({{0}}, {literal(a['kernel'])}, {literal(a['stride'])}, {_sides(a['pad'])}, "
        f"{_sides(_end_pads(node, shapes[0]))}, count_pad={literal(a['count_pad'])})"
    )


def act(cls: str, call: str) -> Row:
    """An elementwise function: a layer without arguments, and its expression."""
    return Row(lambda node, shapes: Layer(cls), lambda node, shapes: call)


def _operands(shapes: Shapes) -> str:
    return ", ".join(f"{{{i}}}" for i in range(len(shapes)))


def _affine(node: Node, shapes: Shapes) -> str:
    a, text = node.attrs, "{0}"
    text += f" ** {literal(a['power'])}" if a["power"] != 1 else ""
    text = f"{literal(a['scale'])} * {text}" if a["scale"] != 1 else text
    return f"{text} + {literal(a['shift'])}" if a["shift"] != 0 else text


def _split(node: Node, shapes: Shapes) -> str:
    """torch.split gives a tuple whatever the count; one part is the whole."""
    parts = list(node.attrs["parts"])
    return f"torch.split({{0}}, {literal(parts)}, dim=1)" if len(parts) > 1 else "{0}"


def _upsample(node: Node, shapes: Shapes) -> str:
    a = node.attrs
    more = ", align_corners=False" if a["mode"] == "bilinear" else ""
    to = f"size={literal(a['size'])}" if "size" in a else f"scale_factor={literal(tuple(map(float, a['scale'])))}"
    return f"F.interpolate({{0}}, {to}, mode={literal(a['mode'])}{more})"


PADS = {"zeros": "nn.ZeroPad2d", "reflect": "nn.ReflectionPad2d", "replicate": "nn.ReplicationPad2d"}


def _pad(node: Node, shapes: Shapes) -> Layer:
    sides = torch_pads(node.attrs["pad"])
    return Layer(PADS[node.attrs["pad_mode"]], positional(("padding", sides[0] if len({*sides}) == 1 else sides)))


def _crop(node: Node, shapes: Shapes) -> str:
    (top, left), (h, w) = node.attrs["offset"], node.attrs["size"]
    return f"{{0}}[:, :, {literal(top)}:{literal(top + h)}, {literal(left)}:{literal(left + w)}]"


ROWS: dict[str, Row] = {
    "conv": Row(
        _conv,
        before=lambda node, shapes: "{0}" if layer_pads(node) else f"F.pad({{0}}, {_sides(node.attrs['pad'])})",
    ),
    "conv_transpose": Row(_conv_transpose, after=_crop_after),
    "deform_conv": Row(
        _deform_conv,
        before=lambda node, shapes: (
            "{0}, {1}" if layer_pads(node) else f"F.pad({{0}}, {_sides(node.attrs['pad'])}), {{1}}"
        ),
    ),
    "linear": Row(_linear),
    "batch_norm": Row(_batch_norm, counters=("num_batches_tracked",)),
    "layer_norm": Row(_layer_norm),
    "group_norm": Row(_group_norm),
    "instance_norm": Row(_instance_norm),
    "channel_scale": Row(lambda node, shapes: Layer("ChannelScale", positional(("channels", shapes[0][1])))),
    "l2_norm": Row(call=lambda node, shapes: f"F.normalize({{0}}, dim=1, eps={literal(node.attrs['eps'])})"),
    "lrn": Row(_lrn),
    "max_pool": Row(_max_pool, before=_max_pool_pad),
    "avg_pool": Row(_avg_pool, _avg_pool_call),
    "global_avg_pool": Row(lambda node, shapes: Layer("nn.AdaptiveAvgPool2d", positional(("output_size", 1)))),
    "global_max_pool": Row(lambda node, shapes: Layer("nn.AdaptiveMaxPool2d", positional(("output_size", 1)))),
    "adaptive_avg_pool": Row(
        lambda node, shapes: Layer("nn.AdaptiveAvgPool2d", positional(("output_size", one(node.attrs["size"]))))
    ),
    "channel_mean": Row(call=lambda node, shapes: "{0}.mean(1, keepdim=True)"),
    "channel_max": Row(call=lambda node, shapes: "{0}.amax(1, keepdim=True)"),
    "relu": act("nn.ReLU", "F.relu({0})"),
    "relu6": act("nn.ReLU6", "F.relu6({0})"),
    "sigmoid": act("nn.Sigmoid", "torch.sigmoid({0})"),
    "tanh": act("nn.Tanh", "torch.tanh({0})"),
    "silu": act("nn.SiLU", "F.silu({0})"),
    "gelu": act("nn.GELU", "F.gelu({0})"),
    "mish": act("nn.Mish", "F.mish({0})"),
    "softplus": act("nn.Softplus", "F.softplus({0})"),
    "elu": Row(lambda node, shapes: Layer("nn.ELU", (Arg("alpha", node.attrs["alpha"], 1.0),))),
    "hard_sigmoid": act("nn.Hardsigmoid", "F.hardsigmoid({0})"),
    "hard_swish": act("nn.Hardswish", "F.hardswish({0})"),
    "softmax": Row(
        lambda node, shapes: Layer("nn.Softmax", (Arg("dim", 1),)),
        lambda node, shapes: "F.softmax({0}, dim=1)",
        layer_in_chains_alone=True,
    ),
    "leaky_relu": Row(lambda node, shapes: Layer("nn.LeakyReLU", (Arg("negative_slope", node.attrs["slope"], 0.01),))),
    "prelu": Row(lambda node, shapes: Layer("nn.PReLU", positional(("num_parameters", shapes[0][1])))),
    "roi_align": Row(call=_roi_pool("roi_align")),
    "deform_roi_pool": Row(call=_roi_pool("deform_roi_pool")),
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
    "upsample": Row(call=_upsample),
    "pixel_shuffle": Row(
        lambda node, shapes: Layer("nn.PixelShuffle", positional(("upscale_factor", node.attrs["factor"])))
    ),
    "pad": Row(_pad),
    "concat": Row(call=lambda node, shapes: f"torch.cat([{_operands(shapes)}], dim=1)"),
    "add": Row(call=lambda node, shapes: _operands(shapes).replace(", ", " + ")),
    "mul": Row(call=lambda node, shapes: _operands(shapes).replace(", ", " * ")),
    "mean": Row(call=lambda node, shapes: f"({_operands(shapes).replace(', ', ' + ')}) / {len(shapes)}"),
    "max": Row(call=lambda node, shapes: f"torch.stack([{_operands(shapes)}]).amax(0)"),
}


def row_of(node: Node) -> Row:
    """How an op is written, of the core or of a plug-in; raises DataError for one that has no row."""
    row = ROWS.get(node.op) or lowerings("torch").get(node.op)
    if not isinstance(row, Row):
        raise DataError("NS601", f"the torch backend has no row for '{node.op}' ({node.path})")
    return row
