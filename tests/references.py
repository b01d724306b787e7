"""What every op gives, by torch's own functions or by a paper's definition: the oracle of the tests of conformance.

A reference takes the operands, the weights by name (`w`) and the attributes of the op as a spec has them; it knows
nothing of how a backend writes the op. An op without one fails `test_conformance.py`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

Pair = tuple[int, int]
Size = int | Pair
Weights = Mapping[str, Tensor]
Reference = Callable[..., Tensor | Sequence[Tensor]]


def both(size: Size) -> Pair:
    """A size each way."""
    return (size, size) if isinstance(size, int) else (size[0], size[1])


def sides(x: Tensor, pad: Any, kernel: Size = 1, stride: Size = 1, dilation: Size = 1) -> tuple[int, int, int, int]:
    """top, bottom, left, right of a `pad`; its words by their definitions in PyTorch's `same` and TensorFlow's SAME."""
    if isinstance(pad, int):
        return pad, pad, pad, pad
    if not isinstance(pad, str):
        return tuple(pad) if len(pad) == 4 else (pad[0], pad[0], pad[1], pad[1])
    found: list[int] = []
    for n, k, s, d in zip(x.shape[2:], both(kernel), both(stride), both(dilation), strict=True):
        if pad == "same_upper":  # as many windows as ceil(n / s), the odd cell at the end
            total = max(0, (math.ceil(n / s) - 1) * s + d * (k - 1) + 1 - n)
            found += [total // 2, math.ceil(total / 2)]
        else:
            found += [{"valid": 0, "half": d * (k - 1) // 2}[pad]] * 2
    return found[0], found[1], found[2], found[3]


def padded(x: Tensor, pads: tuple[int, int, int, int], value: float = 0.0, mode: str = "constant") -> Tensor:
    """A map with cells around it."""
    top, bottom, left, right = pads
    return F.pad(x, (left, right, top, bottom), mode, value if mode == "constant" else None)


def conv(x: Tensor, w: Weights, kernel: Size, stride: Size, pad: Any, dilation: Size, groups: int, **_: Any) -> Tensor:
    """torch's convolution of the padded map."""
    whole = padded(x, sides(x, pad, kernel, stride, dilation))
    return F.conv2d(whole, w["weight"], w.get("bias"), stride, 0, dilation, groups)


def conv_transpose(
    x: Tensor, w: Weights, stride: Size, pad: Any, output_pad: Size, dilation: Size, groups: int, **_: Any
) -> Tensor:
    """torch's transposed convolution without padding, cut by it."""
    whole = F.conv_transpose2d(x, w["weight"], w.get("bias"), stride, 0, output_pad, groups, dilation)
    top, bottom, left, right = sides(x, pad)
    return whole[:, :, top : whole.shape[2] - bottom, left : whole.shape[3] - right]


def max_pool(x: Tensor, w: Weights, kernel: Size, stride: Size, pad: Any, ceil: bool, dilation: Size) -> Tensor:
    """torch's pooling, which takes even sides up to half a kernel itself; others are cells of -inf."""
    top, bottom, left, right = pads = sides(x, pad, kernel, stride, dilation)
    if top == bottom and left == right and top <= both(kernel)[0] // 2 and left <= both(kernel)[1] // 2:
        return F.max_pool2d(x, kernel, stride, (top, left), dilation, ceil_mode=ceil)
    return F.max_pool2d(padded(x, pads, -torch.inf), kernel, stride, 0, dilation, ceil_mode=ceil)


def avg_pool(x: Tensor, w: Weights, kernel: Size, stride: Size, pad: Any, ceil: bool, count_pad: bool) -> Tensor:
    """torch's pooling; of uneven sides by the sums over the cells that count."""
    top, bottom, left, right = pads = sides(x, pad, kernel, stride)
    if top == bottom and left == right:
        return F.avg_pool2d(x, kernel, stride, (top, left), ceil, count_pad)
    assert not ceil, "test_average_pools_with_uneven_pads has these"
    cells = padded(torch.ones_like(x), pads, float(count_pad))
    return F.avg_pool2d(padded(x, pads), kernel, stride) / F.avg_pool2d(cells, kernel, stride)


def upsample(x: Tensor, w: Weights, mode: str, scale: Size | None = None, size: Size | None = None) -> Tensor:
    """torch's interpolation; a whole number of times the nearest pixel is repeated, where torch rounds places."""
    if mode == "nearest" and scale is not None:
        high, wide = both(scale)
        return x.repeat_interleave(high, 2).repeat_interleave(wide, 3)
    factors = None if scale is None else tuple(map(float, both(scale)))
    corners = {"align_corners": False} if mode == "bilinear" else {}
    return F.interpolate(x, None if size is None else both(size), factors, mode, **corners)


def pad_(x: Tensor, w: Weights, pad: Any, pad_mode: str) -> Tensor:
    """torch's padding."""
    return padded(x, sides(x, pad), mode={"zeros": "constant"}.get(pad_mode, pad_mode))


def shuffled(x: Tensor, groups: int) -> Tensor:
    """ShuffleNet's definition, channel by channel: output k * g + j is input j * (C / g) + k."""
    size = x.shape[1] // groups
    return torch.stack([x[:, j * size + k] for k in range(size) for j in range(groups)], dim=1)


def over_channels(x: Tensor, eps: float, w: Weights) -> Tensor:
    """Layer normalisation of each pixel."""
    last = x.movedim(1, -1)
    return F.layer_norm(last, last.shape[-1:], w.get("weight"), w.get("bias"), eps).movedim(-1, 1)


def between(image: Tensor, y: float, x: float) -> Tensor:
    """A (C, H, W) map at a point between its pixels, 0 outside: the four neighbours by their nearness."""
    total = torch.zeros(image.shape[0])
    for i in range(math.floor(y), math.floor(y) + 2):
        for j in range(math.floor(x), math.floor(x) + 2):
            if 0 <= i < image.shape[1] and 0 <= j < image.shape[2]:
                total += max(0, 1 - abs(y - i)) * max(0, 1 - abs(x - j)) * image[:, i, j]
    return total


def deformed(
    x: Tensor,
    offset: Tensor,
    w: Weights,
    stride: Size = 1,
    pad: Size = 0,
    dilation: Size = 1,
    groups: int = 1,
) -> Tensor:
    """Deformable convolution by equation 2 of Dai et al. 2017, pixel by pixel and tap by tap."""
    (sy, sx), (py, px), (ky, kx) = map(both, (stride, pad, dilation))
    out, per_group, kh, kw = w["weight"].shape
    size = x.shape[1] * 2 * kh * kw // offset.shape[1]
    found = torch.zeros(x.shape[0], out, *offset.shape[2:])
    for b, i, j in np.ndindex(x.shape[0], *offset.shape[2:]):
        patch = torch.zeros(x.shape[1], kh, kw)
        for g, u, v in np.ndindex(x.shape[1] // size, kh, kw):
            dy, dx = offset[b, 2 * (g * kh * kw + u * kw + v) :, i, j][:2].tolist()
            part = slice(g * size, (g + 1) * size)
            patch[part, u, v] = between(x[b, part], i * sy - py + u * ky + dy, j * sx - px + v * kx + dx)
        for o in range(out):
            first = o // (out // groups) * per_group
            found[b, o, i, j] = (w["weight"][o] * patch[first : first + per_group]).sum()
    return found + w["bias"].view(-1, 1, 1) if "bias" in w else found


def pooled(
    x: Tensor,
    rois: Tensor,
    size: tuple[int, int],
    scale: float,
    samples: int = 2,
    offset: Tensor | None = None,
    gamma: float = 0.1,
) -> Tensor:
    """RoI pooling by equations 5 and 6 of Dai et al. 2017; a bin is the mean of its samples (He et al. 2017)."""
    found = torch.zeros(len(rois), x.shape[1], *size)
    steps = (torch.arange(samples) + 0.5) / samples
    for r, (index, *box) in enumerate(rois.tolist()):
        left, top, right, bottom = (scale * v for v in box)
        moved = torch.zeros(*size, 2) if offset is None else offset[r].view(*size, 2)
        down = (torch.arange(size[0]).view(-1, 1, 1) + steps) / size[0] + gamma * moved[..., 0:1]
        across = (torch.arange(size[1]).view(1, -1, 1) + steps) / size[1] + gamma * moved[..., 1:2]
        rows = nearness(top + (bottom - top) * down - 0.5, x.shape[2]).mean(2)
        columns = nearness(left + (right - left) * across - 0.5, x.shape[3]).mean(2)
        found[r] = torch.einsum("chij,ijh->cij", torch.einsum("chw,ijw->chij", x[int(index)], columns), rows)
    return found


def nearness(places: Tensor, count: int) -> Tensor:
    """How near each place is to each of so many pixels of a row, 0 to 1; 0 where it is more than one outside."""
    inside = (places >= -1) & (places <= count)
    apart = places.clamp(0, count - 1)[..., None] - torch.arange(count)
    return (1 - apart.abs()).clamp_min(0) * inside[..., None]


def cells_pooled(
    x: Tensor,
    rois: Tensor,
    size: tuple[int, int],
    scale: float,
    offset: Tensor | None = None,
    gamma: float = 0.1,
) -> Tensor:
    """RoI pooling by the cells of each bin, section 2.2 of Dai et al. 2017: their mean, read at their offset places."""
    found = torch.zeros(len(rois), x.shape[1], *size)
    for r, (index, *box) in enumerate(rois.tolist()):
        left, top, right, bottom = (int(np.rint(np.float32(scale) * np.float32(v))) for v in box)
        sides = max(bottom - top + 1, 1), max(right - left + 1, 1)
        for i, j in np.ndindex(*size):
            dy, dx = (0.0, 0.0) if offset is None else offset[r, 2 * (i * size[1] + j) :][:2].tolist()
            down, across = (
                range(max(first + b * side // n, 0), min(first - (-(b + 1) * side // n), reach))
                for first, b, side, n, reach in zip((top, left), (i, j), sides, size, x.shape[2:], strict=True)
            )
            for p in down:
                for q in across:
                    read = between(x[int(index)], p + gamma * dy * sides[0], q + gamma * dx * sides[1])
                    found[r, :, i, j] += read / (len(down) * len(across))
    return found


def deform_conv(
    x: Tensor, offset: Tensor, w: Weights, kernel: Size, stride: Size, pad: Any, dilation: Size, groups: int, **_: Any
) -> Tensor:
    """By its definition, on the padded map."""
    return deformed(padded(x, sides(x, pad, kernel, stride, dilation)), offset, w, stride, 0, dilation, groups)


REFERENCES: dict[str, Reference] = {
    "conv": conv,
    "conv_transpose": conv_transpose,
    "linear": lambda x, w, **_: F.linear(x, w["weight"], w.get("bias")),
    "batch_norm": lambda x, w, eps, **_: F.batch_norm(
        x, w["running_mean"], w["running_var"], w.get("weight"), w.get("bias"), eps=eps
    ),
    "layer_norm": lambda x, w, eps, **_: over_channels(x, eps, w),
    "group_norm": lambda x, w, groups, eps, **_: F.group_norm(x, groups, w.get("weight"), w.get("bias"), eps),
    "instance_norm": lambda x, w, eps, **_: F.instance_norm(x, weight=w.get("weight"), bias=w.get("bias"), eps=eps),
    "channel_scale": lambda x, w: x * w["weight"].view(1, -1, *[1] * (x.dim() - 2)),
    "l2_norm": lambda x, w, eps: x / x.square().sum(1, keepdim=True).sqrt().clamp_min(eps),
    "lrn": lambda x, w, size, alpha, beta, k: F.local_response_norm(x, size, alpha, beta, k),
    "max_pool": max_pool,
    "avg_pool": avg_pool,
    "global_avg_pool": lambda x, w: x.mean((2, 3), keepdim=True),
    "global_max_pool": lambda x, w: x.amax((2, 3), keepdim=True),
    "adaptive_avg_pool": lambda x, w, size: F.adaptive_avg_pool2d(x, size),
    "channel_mean": lambda x, w: torch.stack(x.unbind(1)).mean(0)[:, None],
    "channel_max": lambda x, w: torch.stack(x.unbind(1)).max(0).values[:, None],
    "relu": lambda x, w: F.relu(x),
    "relu6": lambda x, w: F.relu6(x),
    "sigmoid": lambda x, w: x.sigmoid(),
    "tanh": lambda x, w: x.tanh(),
    "silu": lambda x, w: F.silu(x),
    "gelu": lambda x, w: F.gelu(x),
    "mish": lambda x, w: x * F.softplus(x).tanh(),
    "softplus": lambda x, w: x.exp().log1p(),
    "elu": lambda x, w, alpha: F.elu(x, alpha),
    "hard_sigmoid": lambda x, w: F.hardsigmoid(x),
    "hard_swish": lambda x, w: F.hardswish(x),
    "leaky_relu": lambda x, w, slope: F.leaky_relu(x, slope),
    "prelu": lambda x, w: F.prelu(x, w["weight"]),
    "softmax": lambda x, w: x.softmax(1),
    "deform_conv": deform_conv,
    "roi_align": lambda x, rois, w, size, scale, samples: pooled(x, rois, both(size), scale, samples),
    "deform_roi_pool": lambda x, rois, offset, w, size, scale, samples, gamma: pooled(
        x, rois, both(size), scale, samples, offset, gamma
    ),
    "roi_avg_pool": lambda x, rois, w, size, scale: cells_pooled(x, rois, both(size), scale),
    "deform_roi_avg_pool": lambda x, rois, offset, w, size, scale, gamma: cells_pooled(
        x, rois, both(size), scale, offset, gamma
    ),
    "flatten": lambda x, w: x.flatten(1),
    "identity": lambda x, w: x,
    "dropout": lambda x, w, p: F.dropout(x, p, training=False),
    "drop_path": lambda x, w, p: x,
    "split": lambda x, w, parts: x.split(x.shape[1] // parts if isinstance(parts, int) else list(parts), dim=1),
    "affine": lambda x, w, scale, power, shift: scale * x**power + shift,
    "channel_shuffle": lambda x, w, groups: shuffled(x, groups),
    "pixel_shuffle": lambda x, w, factor: F.pixel_shuffle(x, factor),
    "subsample": lambda x, w, stride: x[:, :, :: both(stride)[0], :: both(stride)[1]],
    "pad_channels": lambda x, w, out: F.pad(x, (0, 0, 0, 0, 0, out - x.shape[1])),
    "pad": pad_,
    "flip": lambda x, w, axis: (
        x[..., list(range(x.shape[3]))[::-1]] if axis == "width" else x[:, :, list(range(x.shape[2]))[::-1]]
    ),
    "crop": lambda x, w, offset, size: x.narrow(2, both(offset)[0], both(size)[0]).narrow(
        3, both(offset)[1], both(size)[1]
    ),
    "upsample": upsample,
    "concat": lambda *xs, w: torch.cat(xs, dim=1),
    "add": lambda *xs, w: sum(xs[1:], xs[0]),
    "mean": lambda *xs, w, drop_paths=None: torch.stack(xs).mean(0),
    "max": lambda *xs, w: torch.stack(xs).amax(0),
    "mul": lambda *xs, w: math.prod(xs[1:], start=xs[0]),
}
"""By op."""
