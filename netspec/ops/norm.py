"""Normalisation and learned scales."""

from __future__ import annotations

import math
from collections.abc import Sequence

from netspec.ops.base import Applied, OpError, OpResult, Tensor
from netspec.ops.memory import OPERAND, Kept, Memory, elements, never, operand
from netspec.ops.moments import Signal, elementwise, normalised, scaled
from netspec.ops.receptive_field import own_cell, whole_map
from netspec.ops.registry import Sample, op


@op(
    kind="norm",
    receptive_field=own_cell,
    moments=scaled(math.log(3)),  # E[1 / variance], which is drawn from 0.5 to 1.5
    memory=OPERAND,
    weights=("weight", "bias"),
    aliases="bn batchnorm2d batchnorm1d batchnormalization batchnormalisation syncbatchnorm",
    told_channels={"batchnorm2d": 0, "batchnorm1d": 0, "syncbatchnorm": 0},
    samples=[Sample({"eps": 0.1}), Sample({"affine": False, "momentum": 0.3}, ((5,),))],
)
def batch_norm(x: Tensor, /, *, eps: float = 1e-5, momentum: float = 0.1, affine: bool = True) -> OpResult:
    """Batch normalisation (Ioffe and Szegedy 2015), the shape stays.

    y = (x - running_mean) / sqrt(running_var + eps) * weight + bias, for each channel or feature.
    `momentum` is PyTorch's: the share of the new value (TensorFlow and ONNX count the old: 0.9).
    `eps` is 1e-5 in PyTorch, 1e-3 in TensorFlow's networks. Without `affine` there is no weight and no bias.
    """
    c = _channels(x, "batch_norm")
    _eps(eps)
    if not 0 <= momentum <= 1:
        raise OpError(f"'momentum' is between 0 and 1, got {momentum}", arg="momentum")
    weights = {"weight": (c,), "bias": (c,)} if affine else {}
    return OpResult((x.shape,), weights, {"running_mean": (c,), "running_var": (c,)})


@op(
    kind="norm",
    receptive_field=own_cell,
    moments=normalised,
    memory=OPERAND,
    weights=("weight", "bias"),
    aliases="layernorm2d",
    near_aliases=dict.fromkeys(("ln", "layernormalization"), "over the channels of each pixel"),
    samples=[Sample(), Sample({"eps": 0.1}), Sample({"affine": False, "eps": 0.1}, ((5,),))],
)
def layer_norm(x: Tensor, /, *, eps: float = 1e-6, affine: bool = True) -> OpResult:
    """Layer normalisation over the channels of each pixel (ConvNeXt's form), the shape stays.

    y = (x - mean) / sqrt(var + eps) * weight + bias, mean and variance over the channels.
    """
    c = _channels(x, "layer_norm")
    _eps(eps)
    return OpResult((x.shape,), {"weight": (c,), "bias": (c,)} if affine else {})


@op(
    kind="norm",
    receptive_field=whole_map,
    moments=normalised,
    memory=OPERAND,
    weights=("weight", "bias"),
    aliases="gn groupnormalization groupnormalisation",
    told_channels={"groupnorm": 1},
    samples=[Sample({"groups": 3}), Sample({"groups": 1, "eps": 0.1}), Sample({"groups": 6, "affine": False})],
)
def group_norm(x: Tensor, /, groups: int, *, eps: float = 1e-5, affine: bool = True) -> OpResult:
    """Group normalisation (Wu and He 2018), the shape stays.

    y = (x - mean) / sqrt(var + eps) * weight + bias, mean and variance over the pixels and C / groups channels of a
    group; weight and bias are of each channel. One group normalises the whole map, C groups are `instance_norm`.
    """
    c, h, w = x.image("group_norm")
    if groups < 1 or c % groups:
        raise OpError(f"{c} channels cannot be split into {groups} groups", arg="groups")
    return _within_a_map(x, c // groups * h * w, eps, affine, "a group")


@op(
    kind="norm",
    receptive_field=whole_map,
    moments=normalised,
    memory=OPERAND,
    weights=("weight", "bias"),
    aliases="instancenorm2d instancenormalization instancenormalisation",
    told_channels={"instancenorm2d": 0},
    samples=[Sample(), Sample({"eps": 0.1, "affine": True})],
)
def instance_norm(x: Tensor, /, *, eps: float = 1e-5, affine: bool = False) -> OpResult:
    """Instance normalisation (Ulyanov et al. 2016), the shape stays.

    y = (x - mean) / sqrt(var + eps), mean and variance over the pixels of each channel, in training and after it. With
    `affine` it is scaled and shifted by a weight and a bias of each channel; without, as in PyTorch, it has none.
    """
    c, h, w = x.image("instance_norm")
    return _within_a_map(x, h * w, eps, affine, "a channel")


def _within_a_map(x: Tensor, count: int, eps: float, affine: bool, what: str) -> OpResult:
    """What a normalisation over `count` numbers of one item gives."""
    _eps(eps)
    if count == 1:
        raise OpError(f"{what} is a single number, which has no variance", "normalise a larger map, or by `batch_norm`")
    c = int(x.shape[1])
    return OpResult((x.shape,), {"weight": (c,), "bias": (c,)} if affine else {})


def _on_the_sphere(entering: Sequence[Signal], applied: Applied) -> Signal:
    """One of C numbers whose squares add up to 1."""
    return Signal(0, 1 / int(applied.shape[1]))


@op(
    kind="other",
    receptive_field=own_cell,
    moments=_on_the_sphere,
    memory=Memory(operand, layer=never),
    aliases="normalize l2normalize l2normalization lpnormalization",
    samples=[Sample(), Sample({"eps": 0.99}, ((1,),))],
)
def l2_norm(x: Tensor, /, *, eps: float = 1e-6) -> OpResult:
    """x / max(|x|, eps) with the Euclidean norm over the channels of each pixel, or over the features."""
    _channels(x, "l2_norm")
    _eps(eps)
    return OpResult((x.shape,))


@op(
    kind="norm",
    receptive_field=own_cell,
    moments=scaled(1),
    memory=OPERAND,
    weights=("weight",),
    aliases="layerscale scalechannels",
    samples=[Sample(), Sample({}, ((5,),))],
)
def channel_scale(x: Tensor, /) -> OpResult:
    """Multiplies each channel by a learned factor, the shape stays."""
    return OpResult((x.shape,), {"weight": (_channels(x, "channel_scale"),)})


def _lrn_keeps(applied: Applied) -> Kept:
    """The value, its padded squares, and the denominator before and after its power."""
    return Kept((0,), more=3 * elements(applied.shape))


def _lrn_scratch(applied: Applied) -> int:
    """The mean of squares, its factor and its sum, of which the result takes the place of one."""
    return 2 * elements(applied.shape)


@op(
    kind="norm",
    in_tables=True,
    receptive_field=own_cell,
    moments=elementwise(lambda x, attrs: x / math.pow(attrs["k"] + attrs["alpha"] * x * x, attrs["beta"])),
    memory=Memory(_lrn_keeps, _lrn_scratch),
    label="LRN",
    aliases="localresponsenorm localresponsenormalization localresponsenormalisation lrnorm",
    samples=[
        Sample({"size": 5, "alpha": 0.5, "k": 2.0}),
        Sample({"size": 3}),
        Sample({"size": 3, "alpha": 0.2, "beta": 0.5, "k": 3.0}),
    ],
)
def lrn(x: Tensor, /, size: int, *, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0) -> OpResult:
    """Local response normalisation across channels (Krizhevsky et al. 2012, section 3.3), the shape stays.

    y = x / (k + alpha / size * sum of x^2 over `size` neighbouring channels) ^ beta.
    `alpha` is divided by `size`, as in PyTorch, ONNX and Caffe; the paper's alpha is not: multiply it by `size`.
    """
    x.image("lrn")
    if size < 1 or size % 2 == 0:
        raise OpError(f"'size' is odd, got {size}", "PyTorch and ONNX mean two windows by an even one", "size")
    if alpha <= 0 or beta <= 0:
        name, value = ("alpha", alpha) if alpha <= 0 else ("beta", beta)
        raise OpError(
            f"'{name}' must be above 0, got {value}",
            "without it nothing is normalised: leave it out, or scale with `affine`",
            name,
        )
    if k < 0:
        raise OpError(f"'k' is 0 or more, got {k}", "below it the sum has no real power", "k")
    return OpResult((x.shape,))


def _channels(x: Tensor, op_name: str) -> int:
    if x.rank not in (2, 4):
        raise OpError(f"'{op_name}' expects a value of shape N x C x H x W or N x F")
    return int(x.shape[1])


def _eps(eps: float) -> None:
    if not 0 <= eps < 1:
        raise OpError(f"'eps' must be at least 0 and below 1, got {eps}", "1e-5 is usual", "eps")
