"""Inputs, and ops that rearrange values."""

from __future__ import annotations

from typing import Literal

from netspec.expressions.identifiers import Kind, why_not
from netspec.ops.base import Applied, Offset, OpError, OpResult, Parts, Size, Tensor, show
from netspec.ops.moments import kept, side_by_side, unit
from netspec.ops.receptive_field import (
    Sampling,
    interpolated,
    own_cell,
    repeated,
    sliding_window,
    whole_map,
)
from netspec.ops.registry import Sample, Scaling, by_size, op

MAX_PARTS = 10_000


@op(
    kind="input",
    receptive_field=own_cell,
    moments=unit,
    label=lambda attrs: f"input {show(attrs['shape'])}",
    samples=[],
)
def input_(shape: list, *, sample: Literal["normal", "rois"] = "normal") -> OpResult:  # type: ignore[type-arg]
    """An input of the network; its first size is a symbol, N for the batch.

    `sample` says what `run` and tests draw: normal values, or `rois` of shape R x 5 (image index, x1, y1, x2, y2).
    """
    if sample == "rois" and (len(shape) != 2 or shape[1] != 5):
        raise OpError(f"'sample: rois' goes with the shape [R, 5], got {list(shape)}")
    for d in shape:
        if type(d) is not int and (not isinstance(d, str) or why_not(d, Kind.SYMBOL)):
            raise OpError(f"a size is an integer or a name, got {d!r}", arg="shape")
    return OpResult((tuple(shape),))


@op(
    kind="other",
    receptive_field=whole_map,
    moments=kept,
    scaling=by_size,
    aliases="reshape view squeeze flat",
    samples=[Sample()],
)
def flatten(x: Tensor, /) -> OpResult:
    """(N, C, H, W) -> (N, C * H * W)."""
    if x.rank < 2:
        raise OpError(f"'flatten' expects a value with channels or features, this is {show(x.shape)}")
    return OpResult(((x.shape[0], x.features),))


@op(
    kind="other",
    receptive_field=own_cell,
    moments=kept,
    aliases="chunk splitchannels slice",
    samples=[Sample({"parts": 3}), Sample({"parts": (1, 5)})],
)
def split(x: Tensor, /, parts: Parts) -> OpResult:
    """Cuts the channels into parts: a count of equal ones, or a list of sizes that covers them."""
    if x.rank < 2:
        raise OpError(f"'split' expects a value with channels or features, got {show(x.shape)}")
    c = int(x.shape[1])
    if isinstance(parts, int):
        if parts < 1 or c % parts:
            raise OpError(f"{c} channels cannot be cut into {parts} equal parts", "list the sizes", "parts")
        if parts > MAX_PARTS:
            raise OpError(f"limit exceeded: at most {MAX_PARTS:,} parts", arg="parts")
        sizes: tuple[int, ...] = (c // parts,) * parts
    elif all(type(p) is int for p in parts):
        sizes = parts
    else:
        raise OpError(f"'parts' is a count or a list of sizes, got {list(parts)!r}", arg="parts")
    if min(sizes, default=0) < 1 or sum(sizes) != c:
        raise OpError(f"the parts {list(sizes)} do not cover the {c} channels", arg="parts")
    return OpResult(tuple((x.shape[0], size, *x.shape[2:]) for size in sizes), attrs={"parts": sizes})


@op(
    kind="other",
    receptive_field=own_cell,
    moments=kept,
    aliases="shuffle shufflechannels",
    samples=[Sample({"groups": 3}, ((6, 4, 4),))],
)
def channel_shuffle(x: Tensor, /, groups: int) -> OpResult:
    """Output channel k * groups + j is input channel j * (C / groups) + k (ShuffleNet, Zhang et al. 2017)."""
    c, _, _ = x.image("channel_shuffle")
    if groups < 1 or c % groups:
        raise OpError(f"{c} channels cannot be split into {groups} groups", arg="groups")
    return OpResult((x.shape,))


@op(
    kind="pool",
    receptive_field=sliding_window,
    moments=kept,
    samples=[Sample({"stride": (2, 3)})],
)
def subsample(x: Tensor, /, stride: Size) -> OpResult:
    """Keeps every s-th pixel, (N, C, H, W) -> (N, C, ceil(H / s), ceil(W / s))."""
    c, h, w = x.image("subsample")
    return OpResult(((x.shape[0], c, -(-h // stride[0]), -(-w // stride[1])),))


@op(
    kind="other",
    receptive_field=own_cell,
    moments=side_by_side,
    samples=[Sample({"out": 10})],
)
def pad_channels(x: Tensor, /, out: int) -> OpResult:
    """Appends zero channels, (N, C, H, W) -> (N, out, H, W) (ResNet's shortcut option A with `subsample`)."""
    c, h, w = x.image("pad_channels")
    if out < c:
        raise OpError(f"'out' is {out}, there are {c} channels already", arg="out")
    return OpResult(((x.shape[0], out, h, w),))


@op(
    kind="pool",
    receptive_field=own_cell,
    moments=kept,
    scaling=by_size,
    aliases="cropping2d centercrop",
    samples=[Sample({"offset": (2, 1), "size": (5, 6)})],
)
def crop(x: Tensor, /, offset: Offset, size: Size) -> OpResult:
    """The rectangle of a size at an offset, (N, C, H, W) -> (N, C, *size)."""
    c, h, w = x.image("crop")
    if offset[0] + size[0] > h or offset[1] + size[1] > w:
        raise OpError(f"{size[0]}x{size[1]} at {list(offset)} does not lie inside {h}x{w}", arg="size")
    return OpResult(((x.shape[0], c, *size),))


def _resized(applied: Applied, axis: int) -> Sampling | None:
    return (repeated if applied.attrs["mode"] == "nearest" else interpolated)(applied, axis)


@op(
    kind="pool",
    receptive_field=_resized,
    moments=kept,
    scaling=lambda attrs: Scaling(up=attrs["scale"]),
    aliases="interpolate resize up upsampling upsampling2d upsample2d",
    samples=[Sample({"scale": (3, 2), "mode": "nearest"}), Sample({"scale": 3, "mode": "bilinear"})],
)
def upsample(x: Tensor, /, scale: Size, mode: Literal["nearest", "bilinear"]) -> OpResult:
    """Enlarges a map, (N, C, H, W) -> (N, C, scale * H, scale * W).

    `nearest` repeats pixels; `bilinear` interpolates with pixel centres at half (PyTorch's align_corners=False).
    """
    c, h, w = x.image("upsample")
    return OpResult(((x.shape[0], c, h * scale[0], w * scale[1]),))
