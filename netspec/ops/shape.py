"""Inputs, and ops that rearrange values."""

from __future__ import annotations

from typing import Literal

from netspec.expressions.identifiers import Kind, why_not
from netspec.ops.base import OpError, OpResult, Parts, Tensor, keeps_shape, show
from netspec.ops.memory import COPY, CUT, MOVED, VIEW
from netspec.ops.moments import kept, unit
from netspec.ops.receptive_field import (
    own_cell,
    whole_map,
)
from netspec.ops.registry import Sample, by_size, op

MAX_PARTS = 10_000


@op(
    kind="input",
    receptive_field=own_cell,
    moments=unit,
    memory=COPY,
    label=lambda attrs: f"input {show(attrs['shape'])}",
    samples=[],
)
def input_(shape: list, *, sample: Literal["normal", "rois", "image_rois"] = "normal") -> OpResult:  # type: ignore[type-arg]
    """An input of the network; its first size is a symbol, N for the batch.

    `sample` says what `run` and tests draw: normal values, or regions of shape R x 5 (image index, x1, y1, x2, y2) of
    the first map among the inputs, which has a cell for 16 pixels with `rois` and is the image with `image_rois`.
    """
    if sample != "normal" and (len(shape) != 2 or shape[1] != 5):
        raise OpError(f"'sample: {sample}' goes with the shape [R, 5], got {list(shape)}")
    for d in shape:
        if type(d) is not int and (not isinstance(d, str) or why_not(d, Kind.SYMBOL)):
            raise OpError(f"a size is an integer or a name, got {d!r}", arg="shape")
    return OpResult((tuple(shape),))


@op(
    kind="other",
    receptive_field=whole_map,
    moments=kept,
    memory=VIEW,
    does_nothing=keeps_shape,
    scaling=by_size,
    aliases="reshape view squeeze flat",
    samples=[Sample()],
)
def flatten(x: Tensor, /) -> OpResult:
    """(N, C, H, W) -> (N, C * H * W)."""
    if x.rank < 2:
        raise OpError(f"'flatten' expects a value with channels or features, got {show(x.shape)}")
    return OpResult(((x.shape[0], x.features),))


@op(
    kind="other",
    receptive_field=own_cell,
    moments=kept,
    memory=CUT,
    does_nothing=lambda applied: len(applied.attrs["parts"]) == 1,
    gives_parts=True,
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
    memory=MOVED,
    does_nothing=lambda applied: applied.attrs["groups"] in (1, int(applied.shape[1])),
    aliases="shuffle shufflechannels",
    samples=[Sample({"groups": 3}, ((6, 4, 4),))],
)
def channel_shuffle(x: Tensor, /, groups: int) -> OpResult:
    """Output channel k * groups + j is input channel j * (C / groups) + k (ShuffleNet, Zhang et al. 2017)."""
    c, _, _ = x.image("channel_shuffle")
    if groups < 1 or c % groups:
        raise OpError(f"{c} channels cannot be split into {groups} groups", arg="groups")
    return OpResult((x.shape,))
