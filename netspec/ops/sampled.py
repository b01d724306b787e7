"""Ops that read a map between its pixels: deformable convolution, pooling of regions of interest."""

from __future__ import annotations

import math

from netspec.ops.base import Applied, Attrs, OpError, OpResult, Pad, Shape, Size, Tensor, pair, show
from netspec.ops.conv import conv
from netspec.ops.memory import Kept, Memory, elements, never
from netspec.ops.moments import kept, unit
from netspec.ops.outputs import first_axis
from netspec.ops.receptive_field import whole_map
from netspec.ops.registry import OPS, ROIS, Sample, by_size, op

BETWEEN_PIXELS = 1e-4
"""The tolerance of reads at computed places, whose rounding is multiplied by the slope of the map."""
IMAGE = (6, 11, 9)


def _offsets(attrs: Attrs, x: Shape) -> tuple[tuple[int, ...]] | None:
    """The offsets of a deformable convolution: one group of them, of its result's size."""
    try:
        result = OPS["conv"].infer([Tensor(x)], attrs)
    except OpError:
        return None
    _, _, height, width = result.shapes[0]
    return ((2 * math.prod(result.attrs["kernel"]), int(height), int(width)),)


def _shifts(attrs: Attrs, x: Shape) -> tuple[tuple[int, ...], ...] | None:
    """Regions, and the offsets of their bins."""
    try:
        return ROIS, (2 * math.prod(pair(attrs["size"], "size")),)
    except OpError:
        return None


def _taps(applied: Applied) -> int:
    """What is read for all taps of all outputs, of every channel."""
    return int(applied.operands[0][1]) * math.prod(applied.attrs["kernel"]) * math.prod(map(int, applied.shape[2:]))


def _taps_scratch(applied: Applied) -> int:
    """The sum over corners of pixels before and after one of them, and what this one adds."""
    return 3 * _taps(applied)


def _taps_keep(applied: Applied) -> Kept:
    """What is read at each of the four corners, its sum, and eight numbers for each place and corner."""
    return Kept(more=5 * _taps(applied) + 4 * 4 * elements(applied.operands[1]))


def _points(applied: Applied) -> int:
    """The points of all bins of a region, of every channel."""
    return elements(applied.shape) * int(applied.attrs["samples"]) ** 2


def _bins_scratch(applied: Applied) -> int:
    return 3 * _points(applied)


def _bins_keep(applied: Applied) -> Kept:
    """At each of the four corners of a point its weight, and its place in 64 bits."""
    return Kept(more=4 * 3 * _points(applied) // int(applied.shape[1]))


def _shifted_bins_keep(applied: Applied) -> Kept:
    """What is read at each of the four corners, by which the gradients of the offsets are computed."""
    return Kept(more=4 * _points(applied))


def _cells_scratch(applied: Applied) -> int:
    """The map of each region's image, and how much of each of its cells lies in each bin."""
    channels, *sides = map(int, applied.operands[0][1:])
    return (channels + math.prod(applied.attrs["size"])) * math.prod(sides)


def _cells_keep(applied: Applied) -> Kept:
    """How much of each cell lies in each bin, by which the gradient of the map is computed."""
    return Kept(more=math.prod(applied.attrs["size"]) * math.prod(map(int, applied.operands[0][2:])))


def _moved_cells_keep(applied: Applied) -> Kept:
    """That, and the map of each region's image, by which the gradients of the offsets are."""
    return Kept(more=_cells_scratch(applied))


@op(
    kind="weights",
    receptive_field=whole_map,
    moments=unit,
    memory=Memory(_taps_keep, _taps_scratch, layer=never),
    by_output=first_axis,
    label="deformable conv",
    weights=("weight", "bias"),
    aliases="deformconv2d dcn",
    operands=_offsets,
    tolerance=BETWEEN_PIXELS,
    samples=[
        Sample({"out": 4, "kernel": 3, "pad": 1}, ((6, 5, 6), (18, 5, 6))),
        Sample(
            {"out": 4, "kernel": (3, 2), "stride": 2, "pad": 2, "dilation": 2, "groups": 2, "bias": False},
            ((8, 6, 7), (48, 3, 5)),
        ),
        Sample({"out": 2, "kernel": 2, "pad": (0, 1, 1, 0)}, ((2, 4, 4), (8, 4, 4))),
        Sample(
            {"out": 4, "kernel": (2, 3), "stride": (1, 2), "pad": (0, 2), "dilation": (3, 1)},
            ((6, 7, 6), (12, 4, 4)),
        ),
    ],
)
def deform_conv(
    x: Tensor,
    offset: Tensor,
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
    """Deformable convolution (Dai et al. 2017, equations 2 to 4), (N, C, H, W), (N, 2kG, H', W') -> (N, out, H', W').

    Each of the k = kh * kw taps of the kernel is read at its place plus an offset, between pixels by bilinear
    interpolation, 0 outside. The offset's channels are pairs (dy, dx), tap by tap, for each of G groups of channels.
    """
    c, _, _ = x.image("deform_conv")
    rule = conv(x, out, kernel, stride, pad, dilation=dilation, groups=groups, bias=bias)
    pairs, *size = offset.image("deform_conv")
    each = 2 * kernel[0] * kernel[1]
    if pairs % each or c % (pairs // each):
        raise OpError(f"the offset has {pairs} channels; expected are {each} for each group of the {c} channels")
    if tuple(size) != rule.shapes[0][2:]:
        raise OpError(
            f"the offset is {show(offset.shape)}, the result {show(rule.shapes[0])}",
            "its convolution has the same kernel, stride and pad",
        )
    return rule


@op(
    kind="other",
    in_tables=True,
    receptive_field=whole_map,
    moments=kept,
    memory=Memory(_bins_keep, _bins_scratch, layer=never),
    scaling=by_size,
    operands=lambda attrs, x: (ROIS,),
    tolerance=BETWEEN_PIXELS,
    samples=[
        Sample({"size": 3, "scale": 0.25}, (IMAGE, ROIS)),
        Sample({"size": (1, 2), "scale": 0.25, "samples": 3}, (IMAGE, ROIS)),
    ],
)
def roi_align(x: Tensor, rois: Tensor, /, size: Size, *, scale: float = 1.0, samples: int = 2) -> OpResult:
    """Averages a grid of bins in each region of interest (He et al. 2017), (N, C, H, W), (R, 5) -> (R, C, *size).

    A region is image index, x1, y1, x2, y2 in pixels; `scale` is cells of the map for a pixel. A bin is the mean of
    `samples` x `samples` bilinear samples at regular places; pixel i covers i to i + 1.
    """
    return _rois(x, rois, size, scale, samples, "roi_align")


@op(
    kind="other",
    in_tables=True,
    receptive_field=whole_map,
    moments=kept,
    memory=Memory(_shifted_bins_keep, _bins_scratch, layer=never),
    scaling=by_size,
    operands=_shifts,
    tolerance=BETWEEN_PIXELS,
    samples=[
        Sample({"size": 3, "scale": 0.25}, (IMAGE, ROIS, (18,))),
        Sample({"size": (2, 1), "scale": 0.25, "samples": 1, "gamma": 0.3}, (IMAGE, ROIS, (4,))),
    ],
)
def deform_roi_pool(
    x: Tensor, rois: Tensor, offset: Tensor, /, size: Size, *, scale: float = 1.0, samples: int = 2, gamma: float = 0.1
) -> OpResult:
    """Deformable RoI pooling (Dai et al. 2017, equations 5 and 6), (N, C, H, W), (R, 5), (R, 2B) -> (R, C, *size).

    As `roi_align`, with each of the B bins shifted by gamma * (dy * height, dx * width) of its region; the offset's
    features are pairs (dy, dx), bin by bin in rows.
    """
    return _shifted(_rois(x, rois, size, scale, samples, "deform_roi_pool"), offset, size, gamma)


@op(
    kind="other",
    receptive_field=whole_map,
    moments=kept,
    memory=Memory(_cells_keep, _cells_scratch, layer=never),
    scaling=by_size,
    operands=lambda attrs, x: (ROIS,),
    tolerance=BETWEEN_PIXELS,
    samples=[
        Sample({"size": 3, "scale": 0.25}, (IMAGE, ROIS)),
        Sample({"size": (1, 2), "scale": 0.5}, (IMAGE, ROIS)),
    ],
)
def roi_avg_pool(x: Tensor, rois: Tensor, /, size: Size, *, scale: float = 1.0) -> OpResult:
    """The mean of the cells in each bin of each region (Dai et al. 2017), (N, C, H, W), (R, 5) -> (R, C, *size).

    A region is image index, x1, y1, x2, y2 in pixels, both ends included; `scale` is cells of the map for a pixel, and
    ends are rounded to cells (half to even). Bin i of n of a side of w cells has those from floor(i w / n) to before
    ceil((i + 1) w / n), as far as they lie in the map; without any it is 0.
    """
    return _rois(x, rois, size, scale, 1, "roi_avg_pool")


@op(
    kind="other",
    receptive_field=whole_map,
    moments=kept,
    memory=Memory(_moved_cells_keep, _cells_scratch, layer=never),
    scaling=by_size,
    operands=_shifts,
    tolerance=BETWEEN_PIXELS,
    samples=[
        Sample({"size": 3, "scale": 0.25}, (IMAGE, ROIS, (18,))),
        Sample({"size": (2, 1), "scale": 0.5, "gamma": 0.3}, (IMAGE, ROIS, (4,))),
    ],
)
def deform_roi_avg_pool(
    x: Tensor, rois: Tensor, offset: Tensor, /, size: Size, *, scale: float = 1.0, gamma: float = 0.1
) -> OpResult:
    """Deformable RoI pooling of cells (Dai et al. 2017, equation 6), (N, C, H, W), (R, 5), (R, 2B) -> (R, C, *size).

    As `roi_avg_pool`, with the cells of each of the B bins read gamma * (dy * height, dx * width) of it further,
    between pixels by bilinear interpolation, 0 outside; the offset's features are pairs (dy, dx), bin by bin in rows.
    """
    return _shifted(_rois(x, rois, size, scale, 1, "deform_roi_avg_pool"), offset, size, gamma)


def _shifted(rule: OpResult, offset: Tensor, size: tuple[int, int], gamma: float) -> OpResult:
    """The rule of pooling whose bins are shifted, after the checks of what shifts them."""
    if not -1e6 < gamma < 1e6:
        raise OpError(f"'gamma' is a share of a region's size, got {gamma}", arg="gamma")
    expected = (rule.shapes[0][0], 2 * size[0] * size[1])
    if offset.shape != expected:
        raise OpError(
            f"the offset is expected as {expected[0]} x {expected[1]}, got {' x '.join(map(str, offset.shape))}"
        )
    return rule


def _rois(x: Tensor, rois: Tensor, size: tuple[int, int], scale: float, samples: int, name: str) -> OpResult:
    c, _, _ = x.image(name)
    if rois.rank != 2 or rois.shape[1] != 5:
        raise OpError(f"regions are R x 5, got {show(rois.shape)}", "`rois: {shape: [R, 5], sample: rois}`")
    if not 0 < scale < 1e6:
        raise OpError(f"'scale' is cells of the map for a pixel, got {scale}", arg="scale")
    if not 1 <= samples <= 64:
        raise OpError(f"'samples' is 1 to 64, got {samples}", arg="samples")
    return OpResult(((rois.shape[0], c, *size),))
