"""Elementwise functions, softmax, dropout."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from netspec.ops.base import Applied, Attrs, OpError, OpResult, Tensor, check_probability
from netspec.ops.memory import OPERAND, RESULT, VIEW, Kept, Memory, always, elements, never, nothing, operand
from netspec.ops.moments import Signal, elementwise, kept
from netspec.ops.receptive_field import own_cell
from netspec.ops.registry import Registers, Sample, op


def activation(
    function: Callable[[float], float], label: str = "", aliases: str = "", memory: Memory = OPERAND
) -> Registers:
    """The facts about an elementwise function without parameters."""
    return op(
        kind="other",
        receptive_field=own_cell,
        moments=elementwise(lambda x, attrs: function(x)),
        memory=memory,
        same_when_flattened=True,
        label=label,
        aliases=aliases,
        samples=[Sample()],
    )


def _sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x)) if x > -700 else 0.0


def _softplus(x: float) -> float:
    return max(x, 0.0) + math.log1p(math.exp(-abs(x)))


@activation(lambda x: max(x, 0.0), "ReLU", "rectify rectifiedlinear", RESULT)
def relu(x: Tensor, /) -> OpResult:
    """max(x, 0), the shape stays."""
    return OpResult((x.shape,))


@activation(lambda x: min(max(x, 0.0), 6.0), "ReLU6")
def relu6(x: Tensor, /) -> OpResult:
    """min(max(x, 0), 6), the shape stays."""
    return OpResult((x.shape,))


@activation(_sigmoid, aliases="logistic sigm", memory=RESULT)
def sigmoid(x: Tensor, /) -> OpResult:
    """1 / (1 + exp(-x)), the shape stays."""
    return OpResult((x.shape,))


@activation(math.tanh, memory=RESULT)
def tanh(x: Tensor, /) -> OpResult:
    """The hyperbolic tangent, the shape stays."""
    return OpResult((x.shape,))


@activation(lambda x: x * _sigmoid(x), "SiLU", "swish sigmoidlinearunit")
def silu(x: Tensor, /) -> OpResult:
    """x * sigmoid(x), also called swish, the shape stays."""
    return OpResult((x.shape,))


@activation(lambda x: x * (1 + math.erf(x / math.sqrt(2))) / 2, "GELU")
def gelu(x: Tensor, /) -> OpResult:
    """x * Phi(x) with the exact normal distribution function (not the tanh form), the shape stays."""
    return OpResult((x.shape,))


@activation(lambda x: x * math.tanh(_softplus(x)), "Mish")
def mish(x: Tensor, /) -> OpResult:
    """x * tanh(log(1 + exp(x))) (Misra 2019), the shape stays."""
    return OpResult((x.shape,))


@activation(_softplus)
def softplus(x: Tensor, /) -> OpResult:
    """log(1 + exp(x)), the shape stays."""
    return OpResult((x.shape,))


@op(
    kind="other",
    receptive_field=own_cell,
    same_when_flattened=True,
    moments=elementwise(lambda x, attrs: x if x > 0 else attrs["alpha"] * math.expm1(x)),
    memory=OPERAND,
    label="ELU",
    samples=[Sample(), Sample({"alpha": 0.3})],
)
def elu(x: Tensor, /, *, alpha: float = 1.0) -> OpResult:
    """x where it is positive, alpha * (exp(x) - 1) elsewhere (Clevert et al. 2015), the shape stays."""
    return OpResult((x.shape,))


@activation(lambda x: min(max(x + 3, 0.0), 6.0) / 6, aliases="hsigmoid")
def hard_sigmoid(x: Tensor, /) -> OpResult:
    """relu6(x + 3) / 6, as in PyTorch and MobileNetV3 (ONNX's own default has slope 0.2), the shape stays."""
    return OpResult((x.shape,))


@activation(lambda x: x * min(max(x + 3, 0.0), 6.0) / 6, aliases="hswish hardsilu")
def hard_swish(x: Tensor, /) -> OpResult:
    """x * relu6(x + 3) / 6, the shape stays."""
    return OpResult((x.shape,))


@op(
    kind="other",
    receptive_field=own_cell,
    same_when_flattened=True,
    moments=elementwise(lambda x, attrs: x if x > 0 else attrs["slope"] * x),
    memory=OPERAND,
    aliases="lrelu leaky",
    samples=[Sample({"slope": 0.2}), Sample({"slope": 0.01})],
)
def leaky_relu(x: Tensor, /, slope: float) -> OpResult:
    """x where it is positive, slope * x elsewhere; frameworks disagree on a default, so there is none."""
    return OpResult((x.shape,))


@op(
    kind="other",
    receptive_field=own_cell,
    moments=kept,  # slopes are drawn around 1
    memory=OPERAND,
    label="PReLU",
    weights=("weight",),
    init={"weight": 0.25},
    aliases="parametricrelu",
    told_channels={"prelu": 0},
    samples=[Sample(), Sample({}, ((6, 5, 6),)), Sample({}, ((5,),))],  # ONNX would take (6,) for the width
)
def prelu(x: Tensor, /) -> OpResult:
    """x where it is positive, a learned slope for each channel elsewhere (He et al. 2015, Delving Deep, equation 1).

    The slopes are called `weight`, as in PyTorch, and begin at 0.25.
    """
    if x.rank < 2:
        raise OpError("'prelu' expects a value with channels or features")
    return OpResult((x.shape,), {"weight": (int(x.shape[1]),)})


def _shares(entering: Sequence[Signal], applied: Applied) -> Signal:
    """One of C numbers that add up to 1."""
    channels = int(applied.shape[1])
    return Signal(1 / channels, 1 / channels**2)


@op(
    kind="other",
    in_tables=True,
    receptive_field=own_cell,
    moments=_shares,
    memory=RESULT,
    aliases="softmax2d",
    near_aliases={"softmaxwithloss": "a spec has no loss"},
    samples=[Sample(), Sample({}, ((5,),))],
)
def softmax(x: Tensor, /) -> OpResult:
    """exp(x) / sum(exp(x)) over the channels or features, the shape stays."""
    if x.rank < 2:
        raise OpError("'softmax' expects a value with channels or features")
    return OpResult((x.shape,))


@op(
    kind="other",
    receptive_field=own_cell,
    same_when_flattened=True,
    moments=kept,
    memory=VIEW,
    does_nothing=always,
    aliases="noop passthrough linearactivation",
    samples=[Sample()],
)
def identity(x: Tensor, /) -> OpResult:
    """The value itself."""
    return OpResult((x.shape,))


def _affine_keeps(applied: Applied) -> Kept:
    return operand(applied) if applied.attrs["power"] != 1 else nothing(applied)


def _affine_does_nothing(applied: Applied) -> bool:
    return bool((applied.attrs["power"], applied.attrs["scale"], applied.attrs["shift"]) == (1, 1, 0))


def _affine_scratch(applied: Applied) -> int:
    """The value between two of power, factor and sum."""
    a = applied.attrs
    steps = (a["power"] != 1) + (a["scale"] != 1) + (a["shift"] != 0)
    return elements(applied.shape) if steps > 1 else 0


def _affine_label(attrs: Attrs) -> str:
    """`x 0.5`, `1 - x`, or the whole of it."""
    scale, shift = attrs["scale"], attrs["shift"]
    if attrs.get("power", 1) != 1:
        return "affine"
    if shift == 0:
        return f"\u00d7 {scale:g}"
    return f"{shift:g} \u2212 x" if scale == -1 else f"{scale:g} x + {shift:g}"


@op(
    kind="other",
    receptive_field=own_cell,
    same_when_flattened=True,
    moments=elementwise(lambda x, attrs: attrs["scale"] * math.pow(x, attrs["power"]) + attrs["shift"]),
    memory=Memory(_affine_keeps, _affine_scratch, _affine_does_nothing, never),
    does_nothing=_affine_does_nothing,
    label=_affine_label,
    aliases="rescaling rescale power pow",
    samples=[
        Sample({"scale": 2.0, "shift": -0.5}),
        Sample({"scale": 0.5, "power": 3.0}),
        Sample({"scale": 3.0}),
        Sample(),
        Sample({"scale": -2.0, "power": 2.0, "shift": 1.0}),
    ],
)
def affine(x: Tensor, /, *, scale: float = 1.0, power: float = 1.0, shift: float = 0.0) -> OpResult:
    """scale * x ^ power + shift with constants, elementwise (not Caffe's (shift + scale * x) ^ power)."""
    return OpResult((x.shape,))


def _mask(applied: Applied) -> Kept:
    """The factors of all elements, as floats: 0, or what scales them."""
    return Kept(more=elements(applied.shape))


@op(
    kind="other",
    receptive_field=own_cell,
    same_when_flattened=True,
    moments=kept,
    memory=Memory(_mask),
    label=lambda attrs: f"dropout {attrs['p']:g}",
    only_in_training=True,
    aliases="dropout1d",
    near_aliases=dict.fromkeys(
        ("dropout2d", "spatialdropout2d", "featuredropout"), "it zeroes single elements, not whole channels"
    ),
    samples=[Sample({"p": 0.5})],
)
def dropout(x: Tensor, /, p: float) -> OpResult:
    """Zeroes elements with probability p in training and scales the rest by 1 / (1 - p); the identity at inference."""
    check_probability("p", p)
    return OpResult((x.shape,))


@op(
    kind="other",
    receptive_field=own_cell,
    same_when_flattened=True,
    moments=kept,
    memory=Memory(nothing),
    only_in_training=True,
    varying=("p",),  # stochastic depth drops more the deeper a layer lies
    aliases="stochasticdepth droppath dropconnect",
    samples=[Sample({"p": 0.5})],
)
def drop_path(x: Tensor, /, p: float) -> OpResult:
    """Zeroes whole items with probability p in training (stochastic depth, Huang et al. 2016) and scales the others.

    The scale is 1 / (1 - p); at inference it is the identity.
    """
    check_probability("p", p)
    return OpResult((x.shape,))
