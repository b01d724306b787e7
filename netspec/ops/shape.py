"""Inputs, and ops that rearrange values."""

from __future__ import annotations

from typing import Literal

from netspec.expressions.identifiers import Kind, why_not
from netspec.ops.base import OpError, Parts, Rule, Size, Tensor, op, show

MAX_PARTS = 10_000


@op()
def input_(shape: list, *, sample: Literal["normal", "rois"] = "normal") -> Rule:  # type: ignore[type-arg]
    """An input of the network; its first size is a symbol, N for the batch.

    `sample` says what `run` and tests draw: normal values, or `rois` of shape R x 5 (image index, x1, y1, x2, y2).
    """
    if sample == "rois" and (len(shape) != 2 or shape[1] != 5):
        raise OpError(f"'sample: rois' goes with the shape [R, 5], got {list(shape)}")
    for d in shape:
        if type(d) is not int and (not isinstance(d, str) or why_not(d, Kind.SYMBOL)):
            raise OpError(f"a size is an integer or a name, got {d!r}", arg="shape")
    return Rule((tuple(shape),))


@op()
def flatten(x: Tensor, /) -> Rule:
    """(N, C, H, W) -> (N, C * H * W)."""
    if x.rank < 2:
        raise OpError(f"'flatten' expects a value with channels or features, this is {show(x.shape)}")
    return Rule(((x.shape[0], x.features),))


@op()
def split(x: Tensor, /, parts: Parts) -> Rule:
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
    return Rule(tuple((x.shape[0], size, *x.shape[2:]) for size in sizes), attrs={"parts": sizes})


@op()
def channel_shuffle(x: Tensor, /, groups: int) -> Rule:
    """Output channel k * groups + j is input channel j * (C / groups) + k (ShuffleNet, Zhang et al. 2017)."""
    c, _, _ = x.image("channel_shuffle")
    if groups < 1 or c % groups:
        raise OpError(f"{c} channels cannot be split into {groups} groups", arg="groups")
    return Rule((x.shape,))


@op()
def subsample(x: Tensor, /, stride: Size) -> Rule:
    """Keeps every s-th pixel, (N, C, H, W) -> (N, C, ceil(H / s), ceil(W / s))."""
    c, h, w = x.image("subsample")
    return Rule(((x.shape[0], c, -(-h // stride[0]), -(-w // stride[1])),))


@op()
def pad_channels(x: Tensor, /, out: int) -> Rule:
    """Appends zero channels, (N, C, H, W) -> (N, out, H, W) (ResNet's shortcut option A with `subsample`)."""
    c, h, w = x.image("pad_channels")
    if out < c:
        raise OpError(f"'out' is {out}, there are {c} channels already", arg="out")
    return Rule(((x.shape[0], out, h, w),))


@op()
def crop(x: Tensor, /, offset: Size, size: Size) -> Rule:
    """The rectangle of a size at an offset, (N, C, H, W) -> (N, C, *size)."""
    c, h, w = x.image("crop")
    if offset[0] + size[0] > h or offset[1] + size[1] > w:
        raise OpError(f"{size[0]}x{size[1]} at {list(offset)} does not lie inside {h}x{w}", arg="size")
    return Rule(((x.shape[0], c, *size),))


@op()
def upsample(x: Tensor, /, scale: Size, mode: Literal["nearest", "bilinear"]) -> Rule:
    """Enlarges a map, (N, C, H, W) -> (N, C, scale * H, scale * W).

    `nearest` repeats pixels; `bilinear` interpolates with pixel centres at half (PyTorch's align_corners=False).
    """
    c, h, w = x.image("upsample")
    return Rule(((x.shape[0], c, h * scale[0], w * scale[1]),))
