"""Pooling."""

from __future__ import annotations

from netspec.ops.base import OpError, Pad, Rule, Size, Tensor, op
from netspec.ops.window import Pads, only_padding, window


@op()
def max_pool(x: Tensor, /, kernel: Size, stride: Size, pad: Pad = 0, *, ceil: bool = False, dilation: Size = 1) -> Rule:
    """The largest value of each window, (N, C, H, W) -> (N, C, H', W').

    H' = floor((H + top + bottom - dilation * (kernel - 1) - 1) / stride) + 1. With `ceil` it is rounded up, but the
    last window begins inside the input or its left padding (PyTorch and ONNX; Caffe's nets need it). Padding is -inf.
    """
    _, h, w = x.image("max_pool")
    pads, (oh, ow) = window(h, w, kernel, stride, pad, dilation, ceil)
    _limit(pads, kernel, dilation)
    for axis, (n, out) in enumerate(((h, oh), (w, ow))):
        if only_padding(n, kernel[axis], stride[axis], pads[2 * axis], out, dilation[axis]):
            raise OpError(
                f"a window holds padding alone: its taps are {dilation[axis]} cells apart, the map has {n}",
                "a smaller dilation, or less padding",
                "pad",
            )
    return Rule(((*x.shape[:2], oh, ow),), attrs={"pad": pads})


@op()
def avg_pool(
    x: Tensor, /, kernel: Size, stride: Size, pad: Pad = 0, *, ceil: bool = False, count_pad: bool = True
) -> Rule:
    """The mean of each window, (N, C, H, W) -> (N, C, H', W').

    `count_pad` counts the zeros of the padding (PyTorch's default; TensorFlow and Inception v4 in timm do not).
    With `ceil` the part of a window outside the padded input never counts.
    """
    _, h, w = x.image("avg_pool")
    pads, (oh, ow) = window(h, w, kernel, stride, pad, ceil=ceil)
    _limit(pads, kernel, (1, 1))
    return Rule(((*x.shape[:2], oh, ow),), attrs={"pad": pads})


@op()
def global_avg_pool(x: Tensor, /) -> Rule:
    """The mean of each channel, (N, C, H, W) -> (N, C, 1, 1)."""
    x.image("global_avg_pool")
    return Rule(((*x.shape[:2], 1, 1),))


@op()
def global_max_pool(x: Tensor, /) -> Rule:
    """The largest value of each channel, (N, C, H, W) -> (N, C, 1, 1)."""
    x.image("global_max_pool")
    return Rule(((*x.shape[:2], 1, 1),))


@op()
def adaptive_avg_pool(x: Tensor, /, size: Size) -> Rule:
    """The mean of a grid of windows, (N, C, H, W) -> (N, C, *size).

    Window i of o covers the rows floor(i * H / o) to ceil((i + 1) * H / o), as in PyTorch.
    """
    x.image("adaptive_avg_pool")
    return Rule(((*x.shape[:2], *size),))


def _limit(pads: Pads, kernel: tuple[int, int], dilation: tuple[int, int]) -> None:
    """Padding is at most half the window: PyTorch's rule, which keeps a real cell in every window."""
    for (before, after), k, d in zip((pads[:2], pads[2:]), kernel, dilation, strict=True):
        if max(before, after) > (d * (k - 1) + 1) // 2:
            raise OpError(f"'pad' {list(pads)} is more than half the window", arg="pad")
