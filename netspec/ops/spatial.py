"""Ops that change the size of a map: cut, pad, resample."""

from __future__ import annotations

from typing import Literal

from netspec.ops.base import REQUIRED, Applied, Attrs, Offset, OpError, OpResult, Pad, Size, Tensor, keeps_shape
from netspec.ops.memory import COPY, CUT, MOVED
from netspec.ops.moments import kept, side_by_side
from netspec.ops.receptive_field import (
    Sampling,
    cut,
    interpolated,
    mirrored,
    own_cell,
    padded,
    repeated,
    sliding_window,
)
from netspec.ops.registry import Sample, Scaling, by_size, op
from netspec.ops.window import check_padded, four


@op(
    kind="pool",
    in_tables=False,
    receptive_field=sliding_window,
    moments=kept,
    memory=CUT,
    does_nothing=keeps_shape,
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
    memory=MOVED,
    does_nothing=keeps_shape,
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
    in_tables=False,
    receptive_field=cut,
    moments=kept,
    memory=CUT,
    does_nothing=keeps_shape,
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


@op(
    kind="pool",
    in_tables=False,
    receptive_field=mirrored,
    moments=kept,
    memory=MOVED,
    label="mirror",
    aliases="hflip fliplr mirror",
    samples=[Sample({"axis": "width"}), Sample({"axis": "height"}, ((3, 5, 4),))],
)
def flip(x: Tensor, /, axis: Literal["width", "height"] = "width") -> OpResult:
    """Mirrors a map, left and right or above and below, the shape stays (what ten-crop testing does with crops)."""
    x.image("flip")
    return OpResult((x.shape,))


def _resized(applied: Applied, axis: int) -> Sampling | None:
    return (repeated if applied.attrs["mode"] == "nearest" else interpolated)(applied, axis)


def _enlarged(attrs: Attrs) -> Scaling | None:
    return Scaling(up=attrs["scale"]) if "scale" in attrs else None


@op(
    kind="pool",
    receptive_field=_resized,
    moments=kept,
    memory=MOVED,
    does_nothing=keeps_shape,
    scaling=_enlarged,
    aliases="interpolate resize up upsampling upsampling2d upsample2d",
    samples=[
        Sample({"scale": (3, 2), "mode": "nearest"}),
        Sample({"scale": (41, 47), "mode": "nearest"}, ((2, 3, 3),)),
        Sample({"scale": 3, "mode": "bilinear"}),
        Sample({"size": (25, 13), "mode": "nearest"}),
        Sample({"size": (17, 12), "mode": "bilinear"}),
        Sample({"size": (5, 9), "mode": "nearest"}),
    ],
)
def upsample(
    x: Tensor, /, scale: Size = None, mode: Literal["nearest", "bilinear"] = REQUIRED, *, size: Size = None
) -> OpResult:
    """Enlarges a map, (N, C, H, W) -> (N, C, scale * H, scale * W), or brings it to a `size`: (N, C, *size).

    `nearest` repeats each pixel by a scale; to a size, position p is pixel floor(p * (H / H')) in float32, as in
    PyTorch. `bilinear` interpolates with pixel centres at half (PyTorch's align_corners=False). A `size` may be
    no multiple of the map's: [800, 1333].
    """
    c, h, w = x.image("upsample")
    if (scale is None) == (size is None):
        raise OpError(
            "'upsample' expects one of 'scale' and 'size'", "`[2, nearest]`, or `{size: [H, W], mode: nearest}`"
        )
    return OpResult(((x.shape[0], c, *(size or (h * scale[0], w * scale[1]))),))


@op(
    kind="pool",
    receptive_field=repeated,
    moments=kept,
    memory=COPY,
    does_nothing=lambda applied: applied.attrs["factor"] == 1,
    scaling=lambda attrs: Scaling(up=(attrs["factor"],) * 2),
    near_aliases={"depthtospace": "in the order of PyTorch (ONNX's mode CRD, not TensorFlow's)"},
    samples=[Sample({"factor": 2}, ((8, 5, 3),)), Sample({"factor": 3}, ((9, 2, 4),))],
)
def pixel_shuffle(x: Tensor, /, factor: int) -> OpResult:
    """Moves channels into pixels, (N, C, H, W) -> (N, C / factor^2, factor * H, factor * W) (Shi et al. 2016).

    Pixel (i, j) of each square of factor x factor comes from channel c * factor^2 + i * factor + j, as in PyTorch.
    """
    c, h, w = x.image("pixel_shuffle")
    if factor < 1 or c % factor**2:
        raise OpError(f"{c} channels cannot be cut into squares of {factor}x{factor}", arg="factor")
    return OpResult(((x.shape[0], c // factor**2, factor * h, factor * w),))


@op(
    kind="pool",
    in_tables=False,
    receptive_field=padded,
    moments=kept,
    memory=COPY,
    scaling=by_size,
    does_nothing=lambda applied: not any(applied.attrs["pad"]),
    label=lambda attrs: f"{attrs['pad_mode']} pad",
    aliases="padding",
    near_aliases=dict.fromkeys(
        ("zeropad2d", "zeropadding2d", "zeropad"), "convolutions and pools pad by themselves: `pad: 1`"
    )
    | dict.fromkeys(("reflectionpad2d", "reflectpad", "reflectionpad"), "with `pad_mode: reflect`")
    | dict.fromkeys(("replicationpad2d", "replicationpad"), "with `pad_mode: replicate`"),
    samples=[
        Sample({"pad": 2}),
        Sample({"pad": (1, 0, 3, 2), "pad_mode": "zeros"}),
        Sample({"pad": (3, 2), "pad_mode": "reflect"}),
        Sample({"pad": (0, 10, 8, 1), "pad_mode": "reflect"}),
        Sample({"pad": (12, 1, 0, 10), "pad_mode": "replicate"}),
    ],
)
def pad(x: Tensor, /, pad: Pad, pad_mode: Literal["zeros", "reflect", "replicate"] = "zeros") -> OpResult:
    """Adds rows and columns around a map, (N, C, H, W) -> (N, C, H + top + bottom, W + left + right).

    They are zeros, or mirror the pixels at the edge without repeating it (`reflect`), or repeat it (`replicate`).
    """
    c, h, w = x.image("pad")
    if isinstance(pad, str):
        raise OpError("'pad' of pad is a number of cells", "an int, [h, w], or four sides", "pad")
    top, bottom, left, right = pads = four(pad, (h, w), (1, 1), (1, 1), (1, 1))
    check_padded(h, w, pads)
    if pad_mode == "reflect" and (max(top, bottom) >= h or max(left, right) >= w):
        raise OpError(f"'pad' {list(pads)} mirrors more than a map of {h}x{w} has next to its edge", arg="pad")
    return OpResult(((x.shape[0], c, h + top + bottom, w + left + right),), attrs={"pad": pads})
