"""Pooling."""

from __future__ import annotations

from netspec.ops.base import Applied, OpError, OpResult, Pad, Size, Tensor, keeps_shape
from netspec.ops.memory import (
    COPY,
    MOVED,
    OPERAND,
    WINDOW,
    Kept,
    Memory,
    elements,
    everything,
    never,
    padded_elements,
    padding_of,
)
from netspec.ops.moments import kept
from netspec.ops.receptive_field import own_cell, sliding_window, whole_map
from netspec.ops.registry import Sample, by_size, op
from netspec.ops.window import Pads, only_padding, window


def _padded(applied: Applied) -> int:
    """Elements of the padded operand, where PyTorch's layer cannot pad: it can by half its kernel, undilated."""
    (top, _, left, _), (height, width) = applied.attrs["pad"], applied.attrs["kernel"]
    return padding_of(applied) or (padded_elements(applied) if top > height // 2 or left > width // 2 else 0)


def _places(applied: Applied) -> int:
    """Where each largest value was, in 64 bits."""
    return 2 * elements(applied.shape)


def _max_keeps(applied: Applied) -> Kept:
    padded = _padded(applied)
    return Kept(more=padded + _places(applied)) if padded else Kept((0,), more=_places(applied))


def _of_single_cells(applied: Applied) -> bool:
    return all(applied.attrs[name] == (1, 1) for name in ("kernel", "stride")) and not any(applied.attrs["pad"])


MAX_POOL = Memory(_max_keeps, lambda a: _padded(a) + _places(a), layer=lambda a: not _padded(a))
GLOBAL_MAX_POOL = Memory(lambda a: Kept((0,), more=_places(a)), _places)


@op(
    kind="pool",
    receptive_field=sliding_window,
    moments=kept,
    memory=MAX_POOL,
    does_nothing=_of_single_cells,
    aliases="maxpool2d maxpooling2d maxpooling mp",
    samples=[
        Sample({"kernel": 3, "stride": 2}),
        Sample({"kernel": 3, "stride": 2, "ceil": True}, ((6, 12, 10),)),
        # One window that sticks out of the whole map: ceil mode keeps it, since it begins inside.
        Sample({"kernel": 3, "stride": 2, "ceil": True}, ((6, 2, 2),)),
        Sample({"kernel": 2, "stride": 3, "pad": 1, "ceil": True}),
        Sample({"kernel": 3, "stride": 2, "pad": (0, 1, 0, 1)}, ((6, 8, 8),)),
        Sample({"kernel": 2, "stride": 1, "dilation": 2, "ceil": True}),
        Sample({"kernel": 2, "stride": 4, "dilation": 3, "ceil": True}, ((6, 9, 9),)),
        Sample({"kernel": 2, "stride": 1, "dilation": 3, "pad": 2}),
        Sample({"kernel": 3, "stride": 2, "pad": (0, 1, 1, 0), "ceil": True}, ((6, 8, 10),)),
        Sample({"kernel": (2, 3), "stride": (2, 1), "pad": (0, 1), "dilation": (1, 2)}),
        Sample({"kernel": 3, "stride": 1, "pad": "half", "dilation": (1, 2)}),
    ],
)
def max_pool(
    x: Tensor, /, kernel: Size, stride: Size, pad: Pad = 0, *, ceil: bool = False, dilation: Size = 1
) -> OpResult:
    """The largest value of each window, (N, C, H, W) -> (N, C, H', W').

    H' = floor((H + top + bottom - dilation * (kernel - 1) - 1) / stride) + 1. With `ceil` it is rounded up, but the
    last window begins inside the input or its left padding (PyTorch and ONNX; Caffe's nets need it). Padding is -inf.
    """
    _, h, w = x.image("max_pool")
    pads, (oh, ow) = window((h, w), kernel, stride, pad, dilation, ceil)
    _limit(pads, kernel, dilation)
    for axis, (n, out) in enumerate(((h, oh), (w, ow))):
        if only_padding(n, kernel[axis], stride[axis], pads[2 * axis], out, dilation[axis]):
            raise OpError(
                f"a window holds padding alone: its taps are {dilation[axis]} cells apart, the map has {n}",
                "a smaller dilation, or less padding",
                "pad",
            )
    return OpResult(((*x.shape[:2], oh, ow),), attrs={"pad": pads})


@op(
    kind="pool",
    receptive_field=sliding_window,
    moments=kept,
    memory=WINDOW,
    does_nothing=_of_single_cells,
    label="average pool",
    aliases="avgpool2d averagepool averagepooling averagepooling2d meanpool",
    samples=[
        Sample({"kernel": 3, "stride": 2, "ceil": True}, ((6, 2, 2),)),
        Sample({"kernel": 3, "stride": 2, "pad": 1}),
        Sample({"kernel": 3, "stride": 2, "pad": 1, "count_pad": False}),
        *(
            Sample({"kernel": k, "stride": s, "pad": p, "ceil": True, "count_pad": count}, ((6, size, 10),))
            for k, s, p, size in ((3, 2, 1, 8), (3, 2, 0, 8), (2, 3, 1, 9), (5, 3, 2, 12), (3, 4, 1, 7))
            for count in (True, False)
        ),
        Sample({"kernel": 3, "stride": 2, "pad": "same_upper"}, ((6, 8, 8),)),
        Sample({"kernel": 3, "stride": 1, "pad": (0, 1, 1, 0), "count_pad": False}),
        *(Sample({"kernel": (2, 3), "stride": (1, 2), "pad": (1, 0), "ceil": ceil}) for ceil in (False, True)),
    ],
)
def avg_pool(
    x: Tensor, /, kernel: Size, stride: Size, pad: Pad = 0, *, ceil: bool = False, count_pad: bool = True
) -> OpResult:
    """The mean of each window, (N, C, H, W) -> (N, C, H', W').

    `count_pad` counts the zeros of the padding (PyTorch's default; TensorFlow and Inception v4 in timm do not).
    With `ceil` the part of a window outside the padded input never counts.
    """
    _, h, w = x.image("avg_pool")
    pads, (oh, ow) = window((h, w), kernel, stride, pad, ceil=ceil)
    _limit(pads, kernel, (1, 1))
    return OpResult(((*x.shape[:2], oh, ow),), attrs={"pad": pads})


@op(
    kind="pool",
    receptive_field=whole_map,
    moments=kept,
    memory=COPY,
    does_nothing=keeps_shape,
    scaling=by_size,
    label="global average pool",
    aliases="gap globalaveragepool globalaveragepooling globalaveragepooling2d globalavgpool2d reducemean",
    samples=[Sample()],
)
def global_avg_pool(x: Tensor, /) -> OpResult:
    """The mean of each channel, (N, C, H, W) -> (N, C, 1, 1)."""
    x.image("global_avg_pool")
    return OpResult(((*x.shape[:2], 1, 1),))


@op(
    kind="pool",
    receptive_field=whole_map,
    moments=kept,
    memory=GLOBAL_MAX_POOL,
    does_nothing=keeps_shape,
    scaling=by_size,
    aliases="gmp globalmaxpooling globalmaxpooling2d globalmaxpool2d reducemax",
    samples=[Sample()],
)
def global_max_pool(x: Tensor, /) -> OpResult:
    """The largest value of each channel, (N, C, H, W) -> (N, C, 1, 1)."""
    x.image("global_max_pool")
    return OpResult(((*x.shape[:2], 1, 1),))


@op(
    kind="pool",
    receptive_field=whole_map,
    moments=kept,
    memory=OPERAND,
    does_nothing=keeps_shape,
    scaling=by_size,
    aliases="adaptiveaveragepool adaptivepool",
    near_aliases={"adaptiveavgpool2d": "`global_avg_pool` is the one of size 1"},
    samples=[Sample({"size": size}, ((6, 12, 10),)) for size in ((4, 5), (7, 3), (6, 7), (13, 1))],
)
def adaptive_avg_pool(x: Tensor, /, size: Size) -> OpResult:
    """The mean of a grid of windows, (N, C, H, W) -> (N, C, *size).

    Window i of o covers the rows floor(i * H / o) to ceil((i + 1) * H / o), as in PyTorch.
    """
    x.image("adaptive_avg_pool")
    return OpResult(((*x.shape[:2], *size),))


@op(
    kind="pool",
    in_tables=False,
    receptive_field=own_cell,
    moments=kept,
    memory=MOVED,
    aliases="channelavg channelaverage",
    samples=[Sample()],
)
def channel_mean(x: Tensor, /) -> OpResult:
    """The mean of the channels of each pixel, (N, C, H, W) -> (N, 1, H, W) (CBAM's spatial attention)."""
    _, h, w = x.image("channel_mean")
    return OpResult(((x.shape[0], 1, h, w),))


@op(
    kind="pool",
    in_tables=False,
    receptive_field=own_cell,
    moments=kept,
    memory=Memory(everything, layer=never),
    aliases="channelmaximum",
    samples=[Sample()],
)
def channel_max(x: Tensor, /) -> OpResult:
    """The largest of the channels of each pixel, (N, C, H, W) -> (N, 1, H, W) (CBAM's spatial attention)."""
    _, h, w = x.image("channel_max")
    return OpResult(((x.shape[0], 1, h, w),))


def _limit(pads: Pads, kernel: tuple[int, int], dilation: tuple[int, int]) -> None:
    """Padding is at most half the window: PyTorch's rule, which keeps a real cell in every window."""
    for (before, after), k, d in zip((pads[:2], pads[2:]), kernel, dilation, strict=True):
        if max(before, after) > (d * (k - 1) + 1) // 2:
            raise OpError(f"'pad' {list(pads)} is more than half the window", arg="pad")
