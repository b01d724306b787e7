"""Convolutions and the linear layer."""

from __future__ import annotations

from netspec.ops.base import OpError, Pad, Rule, Size, Tensor, op, show
from netspec.ops.window import check_area, four, window


@op(weights=("weight", "bias"))
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
) -> Rule:
    """2-D convolution (cross-correlation), (N, C, H, W) -> (N, out, H', W').

    H' = floor((H + top + bottom - dilation * (kernel - 1) - 1) / stride) + 1.
    The weight is out x C/groups x kh x kw. MACs are out * H' * W' * C/groups * kh * kw.
    """
    c, h, w = x.image("conv")
    _groups(c, out, groups)
    pads, (oh, ow) = window(h, w, kernel, stride, pad, dilation)
    kh, kw = kernel
    weights = {"weight": (out, c // groups, kh, kw)} | ({"bias": (out,)} if bias else {})
    return Rule(
        ((x.shape[0], out, oh, ow),), weights, macs=out * oh * ow * (c // groups) * kh * kw, attrs={"pad": pads}
    )


@op(weights=("weight", "bias"))
def conv_transpose(
    x: Tensor,
    /,
    out: int,
    kernel: Size,
    stride: Size = 1,
    pad: Pad = 0,
    *,
    output_pad: Size = 0,
    dilation: Size = 1,
    groups: int = 1,
    bias: bool = True,
) -> Rule:
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
    return Rule(
        ((x.shape[0], out, oh, ow),),
        weights,
        macs=c * h * w * (out // groups) * kh * kw,
        attrs={"pad": (top, bottom, left, right)},
    )


@op(weights=("weight", "bias"))
def linear(x: Tensor, /, out: int, *, bias: bool = True) -> Rule:
    """Fully connected layer, (N, F) -> (N, out).

    The weight is out x F. MACs are F * out.
    """
    if x.rank != 2:
        raise OpError(f"'linear' expects a value of shape N x F, got {show(x.shape)}", "put `flatten` before it")
    f = x.features
    if out < 1:
        raise OpError(f"'out' must be at least 1, got {out}", arg="out")
    return Rule(((x.shape[0], out),), {"weight": (out, f)} | ({"bias": (out,)} if bias else {}), macs=f * out)


def _groups(c: int, out: int, groups: int) -> None:
    """Refuses channels that cannot be split into groups."""
    if out < 1:
        raise OpError(f"'out' must be at least 1, got {out}", arg="out")
    if groups < 1 or c % groups or out % groups:
        raise OpError(f"{c} input and {out} output channels cannot be split into {groups} groups", arg="groups")
