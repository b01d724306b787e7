"""Convolutions and the linear layer."""

from __future__ import annotations

from netspec.ops.base import OpError, Pad, Rule, Size, Tensor, op
from netspec.ops.window import window


@op(weights=("weight", "bias"))
def conv(x: Tensor, /, out: int, kernel: Size, stride: Size = 1, pad: Pad = 0, *, dilation: Size = 1,
         groups: int = 1, bias: bool = True) -> Rule:
    """2-D convolution (cross-correlation), (N, C, H, W) -> (N, out, H', W').

    H' = floor((H + top + bottom - dilation * (kernel - 1) - 1) / stride) + 1.
    MACs are out * H' * W' * (C / groups) * kernel area.
    """
    c, h, w = x.image("conv")
    if groups < 1 or c % groups or out % groups:
        raise OpError(f"{c} input and {out} output channels cannot be split into {groups} groups", arg="groups")
    pads, (oh, ow) = window(h, w, kernel, stride, pad, dilation)
    kh, kw = kernel
    weights = {"weight": (out, c // groups, kh, kw)} | ({"bias": (out,)} if bias else {})
    return Rule(((x.shape[0], out, oh, ow),), weights, macs=out * oh * ow * (c // groups) * kh * kw,
                attrs={"pad": pads})
