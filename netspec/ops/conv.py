"""Convolutions and the linear layer."""

from __future__ import annotations

from netspec.ops.base import Applied, Attrs, Offset, OpError, OpResult, Pad, Size, Tensor, show
from netspec.ops.initialisers import input_first
from netspec.ops.memory import OPERAND, WINDOW, Memory, operand, pads_alike
from netspec.ops.moments import unit
from netspec.ops.outputs import first_axis, input_of_group, second_axis
from netspec.ops.receptive_field import own_cell, sliding_window, transposed_window
from netspec.ops.registry import Sample, Scaling, op
from netspec.ops.window import check_area, four, window

IMAGE = ((6, 11, 9),)


def _conv_label(attrs: Attrs) -> str:
    return "depthwise conv" if attrs["groups"] > 1 and attrs["groups"] == attrs["out"] else "conv"


@op(
    kind="weights",
    receptive_field=sliding_window,
    moments=unit,
    memory=WINDOW,
    by_output=first_axis,
    by_input=input_of_group,
    label=_conv_label,
    weights=("weight", "bias"),
    aliases="convolution convolution2d conv2dlayer cnn convlayer",
    told_channels={"conv2d": 0},
    near_aliases={"conv2d": "its arguments begin with out and kernel: what enters is known"},
    samples=[
        Sample({"out": 8, "kernel": 3}),
        Sample({"out": 4, "kernel": (3, 5), "stride": (2, 1), "pad": "half", "bias": False}),
        Sample({"out": 12, "kernel": 3, "pad": (1, 2, 0, 3), "dilation": 2, "groups": 3}),
        Sample({"out": 6, "kernel": 3, "stride": 2, "pad": "same_upper"}, ((6, 8, 9),)),
        Sample({"out": 6, "kernel": 3, "pad": "same_upper", "stride": 2, "dilation": 2, "groups": 6}, ((6, 8, 9),)),
        Sample({"out": 32, "kernel": 2, "groups": 4}, ((32, 3, 4),)),
        Sample({"out": 4, "kernel": (2, 4), "pad": "same_upper"}),
        Sample({"out": 4, "kernel": 3, "pad": "valid"}),
        # Both sides unlike, so that no axis can stand for the other.
        Sample({"out": 4, "kernel": (3, 5), "pad": "half", "dilation": (3, 2)}),
        Sample({"out": 4, "kernel": (2, 3), "stride": (1, 2), "pad": (0, 3), "dilation": (4, 1)}),
    ],
)
def conv(
    x: Tensor,
    /,
    out: int,
    kernel: Size,
    stride: Size = 1,
    pad: Pad = 0,
    *,
    dilation: Size = 1,
    groups: int = 1,
    bias: bool = True,
) -> OpResult:
    """2-D convolution (cross-correlation), (N, C, H, W) -> (N, out, H', W').

    H' = floor((H + top + bottom - dilation * (kernel - 1) - 1) / stride) + 1.
    The weight is out x C/groups x kh x kw. MACs are out * H' * W' * C/groups * kh * kw.
    """
    c, h, w = x.image("conv")
    _groups(c, out, groups)
    pads, (oh, ow) = window((h, w), kernel, stride, pad, dilation)
    kh, kw = kernel
    weights = {"weight": (out, c // groups, kh, kw)} | ({"bias": (out,)} if bias else {})
    return OpResult(
        ((x.shape[0], out, oh, ow),), weights, macs=out * oh * ow * (c // groups) * kh * kw, attrs={"pad": pads}
    )


def _uncropped(applied: Applied) -> int:
    """Elements of the map from which unlike padding is cut, as PyTorch's layer cuts both sides alike; else 0."""
    if pads_alike(applied):
        return 0
    top, bottom, left, right = map(int, applied.attrs["pad"])
    channels, height, width = map(int, applied.shape[1:])
    return channels * (height + top + bottom) * (width + left + right)


@op(
    kind="weights",
    receptive_field=transposed_window,
    moments=unit,
    memory=Memory(operand, _uncropped, layer=pads_alike),
    by_output=second_axis,
    scaling=lambda attrs: Scaling(up=attrs["stride"]),
    label="transposed conv",
    weights=("weight", "bias"),
    fans=input_first,
    aliases=(
        "convtranspose2d conv2dtranspose deconv deconvolution deconv2d transposedconv transposeconv transposedconv2d "
        "upconv"
    ),
    told_channels={"convtranspose2d": 0},
    samples=[
        Sample({"out": 4, "kernel": 3, "stride": 2, "pad": 1, "output_pad": 1, "groups": 2}),
        Sample({"out": 5, "kernel": (2, 3), "stride": (2, 1), "dilation": 2, "bias": False}),
        Sample({"out": 4, "kernel": 3, "stride": 2, "pad": (1, 0, 0, 1)}),
        Sample({"out": 4, "kernel": (2, 3), "stride": (3, 2), "pad": (0, 1), "dilation": (1, 2), "output_pad": (2, 0)}),
    ],
)
def conv_transpose(
    x: Tensor,
    /,
    out: int,
    kernel: Size,
    stride: Size = 1,
    pad: Pad = 0,
    *,
    output_pad: Offset = 0,
    dilation: Size = 1,
    groups: int = 1,
    bias: bool = True,
) -> OpResult:
    """Transposed 2-D convolution, (N, C, H, W) -> (N, out, H', W').

    H' = (H - 1) * stride - top - bottom + dilation * (kernel - 1) + output_pad + 1; output_pad is below the stride.
    The weight is C x out/groups x kh x kw, as in PyTorch and ONNX. MACs are C * H * W * out/groups * kh * kw.
    """
    c, h, w = x.image("conv_transpose")
    _groups(c, out, groups)
    if isinstance(pad, str):
        raise OpError("'pad' of conv_transpose is a number of cells", "an int, [h, w], or four sides", "pad")
    if any(p >= s for p, s in zip(output_pad, stride, strict=True)):
        raise OpError(f"'output_pad' {list(output_pad)} must be below the stride {list(stride)}", arg="output_pad")
    top, bottom, left, right = four(pad, (h, w), kernel, stride, dilation)
    (kh, kw), (dh, dw) = kernel, dilation
    check_area(kernel, stride)
    oh = (h - 1) * stride[0] - top - bottom + dh * (kh - 1) + output_pad[0] + 1
    ow = (w - 1) * stride[1] - left - right + dw * (kw - 1) + output_pad[1] + 1
    if oh < 1 or ow < 1:
        raise OpError(f"the padding leaves nothing: {oh}x{ow}", arg="pad")
    weights = {"weight": (c, out // groups, kh, kw)} | ({"bias": (out,)} if bias else {})
    return OpResult(
        ((x.shape[0], out, oh, ow),),
        weights,
        macs=c * h * w * (out // groups) * kh * kw,
        attrs={"pad": (top, bottom, left, right)},
    )


@op(
    kind="weights",
    receptive_field=own_cell,
    moments=unit,
    memory=OPERAND,
    by_output=first_axis,
    by_input=input_of_group,
    weights=("weight", "bias"),
    aliases="dense fc fullyconnected innerproduct gemm lin lazylinear",
    told_channels={"linear": 0},
    samples=[Sample({"out": 6}, ((6,),)), Sample({"out": 3, "bias": False}, ((7,),))],
)
def linear(x: Tensor, /, out: int, *, bias: bool = True) -> OpResult:
    """Fully connected layer, (N, F) -> (N, out).

    The weight is out x F. MACs are F * out.
    """
    if x.rank != 2:
        raise OpError(f"'linear' expects a value of shape N x F, got {show(x.shape)}", "put `flatten` before it")
    f = x.features
    if out < 1:
        raise OpError(f"'out' must be at least 1, got {out}", arg="out")
    return OpResult(((x.shape[0], out),), {"weight": (out, f)} | ({"bias": (out,)} if bias else {}), macs=f * out)


def _groups(c: int, out: int, groups: int) -> None:
    """Refuses channels that cannot be split into groups."""
    if out < 1:
        raise OpError(f"'out' must be at least 1, got {out}", arg="out")
    if groups < 1 or c % groups or out % groups:
        raise OpError(f"{c} input and {out} output channels cannot be split into {groups} groups", arg="groups")
