"""Samples of every op: attributes, operand shapes, and what torch gives, written independently of the rows."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from conftest import sampled

from netspec.expressions.identifiers import Path
from netspec.ir.graph import Graph, Node, Output, Ref, Scope
from netspec.ops import OPS, Tensor

Shapes = tuple[tuple[int, ...], ...]
Pair = tuple[int, int]
Reference = Callable[..., Any]
"""(operands, tensors by name) -> what torch gives."""

IMAGE: Shapes = ((6, 11, 9),)


ROIS = (5,)
"""The shape of one region of interest: image index, x1, y1, x2, y2; `arrays_of` draws regions of the first operand."""


def one_op(op: str, attrs: dict[str, Any], shapes: Shapes) -> Graph:
    """A graph of one op; its operands are the inputs x0, x1, ..."""
    inputs = []
    for i, shape in enumerate(shapes):
        rule = OPS["input"].infer([], {"shape": ("N", *shape)})
        inputs.append(Node(f"x{i}", "input", (), rule.attrs, rule, f"x{i}"))
    rule = OPS[op].infer([Tensor(n.shape) for n in inputs], attrs)
    node = Node("step", op, tuple(Ref(n.path) for n in inputs), rule.attrs, rule, "step")
    outputs = {f"y{i}": Output(Ref("step", i)) for i in range(len(rule.shapes))}
    return Graph("one", [*inputs, node], outputs).check()


def in_a_chain(op: str, attrs: dict[str, Any], shape: tuple[int, ...]) -> Graph:
    """A graph of one op after the identity in a group, which PyTorch's source writes as nn.Sequential of layers."""
    alone = one_op(op, attrs, (shape,))
    (x, step), path = alone.nodes.values(), Path("chain")
    same = OPS["identity"].infer([Tensor(x.shape)], {})
    first = Node(path.child("same"), "identity", (Ref(x.path),), same.attrs, same, path.child("same"))
    last = replace(step, path=path.child("step"), inputs=(Ref(first.path),), weights_at=path.child("step"))
    return Graph("chained", [x, first, last], {"y": Output(Ref(last.path))}, [Scope(path, "group", path)]).check()


def pool_reference(x: torch.Tensor, pads: tuple[int, int, int, int], **options: Any) -> torch.Tensor:
    """torch's max pooling with pads on four sides (top, bottom, left, right)."""
    return F.max_pool2d(F.pad(x, (pads[2], pads[3], pads[0], pads[1]), value=-torch.inf), **options)


def shuffled(x: torch.Tensor, groups: int) -> torch.Tensor:
    """ShuffleNet's definition, channel by channel: output k * g + j is input j * (C / g) + k."""
    size = x.shape[1] // groups
    return torch.stack([x[:, j * size + k] for k in range(size) for j in range(groups)], dim=1)


def over_channels(x: torch.Tensor, eps: float, w: dict[str, torch.Tensor]) -> torch.Tensor:
    """Layer normalisation of each pixel."""
    last = x.movedim(1, -1)
    return F.layer_norm(last, last.shape[-1:], w.get("weight"), w.get("bias"), eps).movedim(-1, 1)


def between(image: torch.Tensor, y: float, x: float) -> torch.Tensor:
    """A (C, H, W) map at a point between its pixels, 0 outside: the four neighbours by their nearness."""
    total = torch.zeros(image.shape[0])
    for i in range(math.floor(y), math.floor(y) + 2):
        for j in range(math.floor(x), math.floor(x) + 2):
            if 0 <= i < image.shape[1] and 0 <= j < image.shape[2]:
                total += max(0, 1 - abs(y - i)) * max(0, 1 - abs(x - j)) * image[:, i, j]
    return total


def deformed(
    x: torch.Tensor,
    offset: torch.Tensor,
    w: dict[str, torch.Tensor],
    stride: Pair | int = 1,
    pad: Pair | int = 0,
    dilation: Pair | int = 1,
    groups: int = 1,
) -> torch.Tensor:
    """Deformable convolution by equation 2 of Dai et al. 2017, pixel by pixel and tap by tap."""
    (sy, sx), (py, px), (ky, kx) = ((v, v) if isinstance(v, int) else v for v in (stride, pad, dilation))
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
    x: torch.Tensor,
    rois: torch.Tensor,
    size: tuple[int, int],
    scale: float,
    samples: int = 2,
    offset: torch.Tensor | None = None,
    gamma: float = 0.1,
) -> torch.Tensor:
    """RoI pooling by equations 5 and 6 of Dai et al. 2017; a bin is the mean of its samples (He et al. 2017)."""
    found = torch.zeros(len(rois), x.shape[1], *size)
    for r, (index, *box) in enumerate(rois.tolist()):
        left, top, right, bottom = (scale * v for v in box)
        for i, j in np.ndindex(*size):
            dy, dx = (0.0, 0.0) if offset is None else offset[r, 2 * (i * size[1] + j) :][:2].tolist()
            for u, v in np.ndindex(samples, samples):
                y = top + (bottom - top) * ((i + (u + 0.5) / samples) / size[0] + gamma * dy) - 0.5
                z = left + (right - left) * ((j + (v + 0.5) / samples) / size[1] + gamma * dx) - 0.5
                if -1 <= y <= x.shape[2] and -1 <= z <= x.shape[3]:
                    point = min(max(y, 0), x.shape[2] - 1), min(max(z, 0), x.shape[3] - 1)
                    found[r, :, i, j] += between(x[int(index)], *point) / samples**2
    return found


CASES: list[tuple[str, dict[str, Any], Shapes, Reference]] = [
    ("conv", {"out": 8, "kernel": 3}, IMAGE, lambda x, w: F.conv2d(x, w["weight"], w["bias"])),
    (
        "conv",
        {"out": 4, "kernel": (3, 5), "stride": (2, 1), "pad": "half", "bias": False},
        IMAGE,
        lambda x, w: F.conv2d(x, w["weight"], stride=(2, 1), padding=(1, 2)),
    ),
    (
        "conv",
        {"out": 12, "kernel": 3, "pad": (1, 2, 0, 3), "dilation": 2, "groups": 3},
        IMAGE,
        lambda x, w: F.conv2d(F.pad(x, (0, 3, 1, 2)), w["weight"], w["bias"], dilation=2, groups=3),
    ),
    (
        "conv",
        {"out": 6, "kernel": 3, "stride": 2, "pad": "same_upper"},
        ((6, 8, 9),),
        lambda x, w: F.conv2d(F.pad(x, (1, 1, 0, 1)), w["weight"], w["bias"], stride=2),
    ),
    (
        "conv_transpose",
        {"out": 4, "kernel": 3, "stride": 2, "pad": 1, "output_pad": 1, "groups": 2},
        IMAGE,
        lambda x, w: F.conv_transpose2d(x, w["weight"], w["bias"], 2, 1, 1, 2),
    ),
    (
        "conv_transpose",
        {"out": 5, "kernel": (2, 3), "stride": (2, 1), "dilation": 2, "bias": False},
        IMAGE,
        lambda x, w: F.conv_transpose2d(x, w["weight"], None, (2, 1), dilation=2),
    ),
    ("linear", {"out": 6}, ((6,),), lambda x, w: F.linear(x, w["weight"], w["bias"])),
    ("linear", {"out": 3, "bias": False}, ((7,),), lambda x, w: F.linear(x, w["weight"])),
    (
        "batch_norm",
        {"eps": 0.1},
        IMAGE,
        lambda x, w: F.batch_norm(x, w["running_mean"], w["running_var"], w["weight"], w["bias"], eps=0.1),
    ),
    ("batch_norm", {"affine": False}, ((5,),), lambda x, w: F.batch_norm(x, w["running_mean"], w["running_var"])),
    ("layer_norm", {}, IMAGE, lambda x, w: over_channels(x, 1e-6, w)),
    ("layer_norm", {"eps": 0.1}, IMAGE, lambda x, w: over_channels(x, 0.1, w)),
    ("layer_norm", {"affine": False, "eps": 0.1}, ((5,),), lambda x, w: over_channels(x, 0.1, w)),
    ("channel_scale", {}, IMAGE, lambda x, w: x * w["weight"].view(1, -1, 1, 1)),
    ("channel_scale", {}, ((5,),), lambda x, w: x * w["weight"]),
    ("lrn", {"size": 5, "alpha": 0.5, "k": 2.0}, IMAGE, lambda x, w: F.local_response_norm(x, 5, 0.5, 0.75, 2.0)),
    ("max_pool", {"kernel": 3, "stride": 2}, IMAGE, lambda x, w: F.max_pool2d(x, 3, 2)),
    (
        "max_pool",
        {"kernel": 3, "stride": 2, "ceil": True},
        ((6, 12, 10),),
        lambda x, w: F.max_pool2d(x, 3, 2, ceil_mode=True),
    ),
    # One window that sticks out of the whole map: ceil mode keeps it, since it begins inside.
    (
        "max_pool",
        {"kernel": 3, "stride": 2, "ceil": True},
        ((6, 2, 2),),
        lambda x, w: F.max_pool2d(x, 3, 2, ceil_mode=True),
    ),
    (
        "avg_pool",
        {"kernel": 3, "stride": 2, "ceil": True},
        ((6, 2, 2),),
        lambda x, w: F.avg_pool2d(x, 3, 2, ceil_mode=True),
    ),
    (
        "max_pool",
        {"kernel": 2, "stride": 3, "pad": 1, "ceil": True},
        IMAGE,
        lambda x, w: F.max_pool2d(x, 2, 3, 1, ceil_mode=True),
    ),
    (
        "max_pool",
        {"kernel": 3, "stride": 2, "pad": (0, 1, 0, 1)},
        ((6, 8, 8),),
        lambda x, w: pool_reference(x, (0, 1, 0, 1), kernel_size=3, stride=2),
    ),
    (
        "max_pool",
        {"kernel": 2, "stride": 1, "dilation": 2, "ceil": True},
        IMAGE,
        lambda x, w: F.max_pool2d(x, 2, 1, dilation=2, ceil_mode=True),
    ),
    (
        "max_pool",
        {"kernel": 2, "stride": 4, "dilation": 3, "ceil": True},
        ((6, 9, 9),),
        lambda x, w: F.max_pool2d(x, 2, 4, dilation=3, ceil_mode=True),
    ),
    (
        "max_pool",
        {"kernel": 2, "stride": 1, "dilation": 3, "pad": 2},
        IMAGE,
        lambda x, w: F.max_pool2d(F.pad(x, (2, 2, 2, 2), value=-torch.inf), 2, 1, dilation=3),
    ),
    ("avg_pool", {"kernel": 3, "stride": 2, "pad": 1}, IMAGE, lambda x, w: F.avg_pool2d(x, 3, 2, 1)),
    (
        "avg_pool",
        {"kernel": 3, "stride": 2, "pad": 1, "count_pad": False},
        IMAGE,
        lambda x, w: F.avg_pool2d(x, 3, 2, 1, count_include_pad=False),
    ),
    *[
        (
            "avg_pool",
            {"kernel": k, "stride": s, "pad": p, "ceil": True, "count_pad": c},
            ((6, size, 10),),
            lambda x, w, k=k, s=s, p=p, c=c: F.avg_pool2d(x, k, s, p, ceil_mode=True, count_include_pad=c),
        )
        for k, s, p, size in ((3, 2, 1, 8), (3, 2, 0, 8), (2, 3, 1, 9), (5, 3, 2, 12), (3, 4, 1, 7))
        for c in (True, False)
    ],
    (
        "avg_pool",
        {"kernel": 3, "stride": 2, "pad": "same_upper"},
        ((6, 8, 8),),
        lambda x, w: F.avg_pool2d(F.pad(x, (0, 1, 0, 1)), 3, 2),
    ),
    (
        "avg_pool",
        {"kernel": 3, "stride": 1, "pad": (0, 1, 1, 0), "count_pad": False},
        IMAGE,
        lambda x, w: (
            F.avg_pool2d(F.pad(x, (1, 0, 0, 1)), 3, 1) / F.avg_pool2d(F.pad(torch.ones_like(x), (1, 0, 0, 1)), 3, 1)
        ),
    ),
    ("global_avg_pool", {}, IMAGE, lambda x, w: x.mean((2, 3), keepdim=True)),
    ("global_max_pool", {}, IMAGE, lambda x, w: x.amax((2, 3), keepdim=True)),
    *[
        ("adaptive_avg_pool", {"size": size}, ((6, 12, 10),), lambda x, w, size=size: F.adaptive_avg_pool2d(x, size))
        for size in ((4, 5), (7, 3), (6, 7), (13, 1))
    ],
    ("relu", {}, IMAGE, lambda x, w: F.relu(x)),
    ("relu6", {}, IMAGE, lambda x, w: F.relu6(x)),
    ("sigmoid", {}, IMAGE, lambda x, w: x.sigmoid()),
    ("tanh", {}, IMAGE, lambda x, w: x.tanh()),
    ("silu", {}, IMAGE, lambda x, w: F.silu(x)),
    ("gelu", {}, IMAGE, lambda x, w: F.gelu(x)),
    ("hard_sigmoid", {}, IMAGE, lambda x, w: F.hardsigmoid(x)),
    ("hard_swish", {}, IMAGE, lambda x, w: F.hardswish(x)),
    ("leaky_relu", {"slope": 0.2}, IMAGE, lambda x, w: F.leaky_relu(x, 0.2)),
    ("prelu", {}, IMAGE, lambda x, w: F.prelu(x, w["weight"])),
    ("prelu", {}, ((6, 5, 6),), lambda x, w: F.prelu(x, w["weight"])),  # ONNX would take (C,) for the width
    ("prelu", {}, ((5,),), lambda x, w: F.prelu(x, w["weight"])),
    ("l2_norm", {}, IMAGE, lambda x, w: F.normalize(x, dim=1)),
    ("l2_norm", {"eps": 0.99}, ((1,),), lambda x, w: x / x.abs().clamp_min(0.99)),
    (
        "deform_conv",
        {"out": 4, "kernel": 3, "pad": 1},
        ((6, 5, 6), (18, 5, 6)),
        lambda x, o, w: deformed(x, o, w, pad=1),
    ),
    (
        "deform_conv",
        {"out": 4, "kernel": (3, 2), "stride": 2, "pad": 2, "dilation": 2, "groups": 2, "bias": False},
        ((8, 6, 7), (48, 3, 5)),
        lambda x, o, w: deformed(x, o, w, 2, 2, 2, 2),
    ),
    (
        "deform_conv",
        {"out": 2, "kernel": 2, "pad": (0, 1, 1, 0)},
        ((2, 4, 4), (8, 4, 4)),
        lambda x, o, w: deformed(F.pad(x, (1, 0, 0, 1)), o, w),
    ),
    ("roi_align", {"size": 3, "scale": 0.25}, ((6, 11, 9), ROIS), lambda x, r, w: pooled(x, r, (3, 3), 0.25)),
    (
        "roi_align",
        {"size": (1, 2), "scale": 0.25, "samples": 3},
        ((6, 11, 9), ROIS),
        lambda x, r, w: pooled(x, r, (1, 2), 0.25, 3),
    ),
    (
        "deform_roi_pool",
        {"size": 3, "scale": 0.25},
        ((6, 11, 9), ROIS, (18,)),
        lambda x, r, o, w: pooled(x, r, (3, 3), 0.25, 2, o),
    ),
    (
        "deform_roi_pool",
        {"size": (2, 1), "scale": 0.25, "samples": 1, "gamma": 0.3},
        ((6, 11, 9), ROIS, (4,)),
        lambda x, r, o, w: pooled(x, r, (2, 1), 0.25, 1, o, 0.3),
    ),
    ("softmax", {}, IMAGE, lambda x, w: x.softmax(1)),
    ("softmax", {}, ((5,),), lambda x, w: x.softmax(1)),
    ("flatten", {}, IMAGE, lambda x, w: x.flatten(1)),
    ("identity", {}, IMAGE, lambda x, w: x),
    ("dropout", {"p": 0.5}, IMAGE, lambda x, w: F.dropout(x, 0.5, training=False)),
    ("drop_path", {"p": 0.5}, IMAGE, lambda x, w: x),
    ("split", {"parts": 3}, IMAGE, lambda x, w: x.split(2, dim=1)),
    ("split", {"parts": (1, 5)}, IMAGE, lambda x, w: x.split([1, 5], dim=1)),
    ("affine", {"scale": 2.0, "shift": -0.5}, IMAGE, lambda x, w: 2 * x - 0.5),
    ("affine", {"scale": 0.5, "power": 3.0}, IMAGE, lambda x, w: 0.5 * x**3),
    ("affine", {}, IMAGE, lambda x, w: x),
    ("channel_shuffle", {"groups": 3}, ((6, 4, 4),), lambda x, w: shuffled(x, 3)),
    ("subsample", {"stride": (2, 3)}, IMAGE, lambda x, w: x[:, :, ::2, ::3]),
    ("pad_channels", {"out": 10}, IMAGE, lambda x, w: F.pad(x, (0, 0, 0, 0, 0, 4))),
    ("crop", {"offset": (2, 1), "size": (5, 6)}, IMAGE, lambda x, w: x[:, :, 2:7, 1:7]),
    ("upsample", {"scale": (3, 2), "mode": "nearest"}, IMAGE, lambda x, w: F.interpolate(x, scale_factor=(3.0, 2.0))),
    (
        "upsample",
        {"scale": 3, "mode": "bilinear"},
        IMAGE,
        lambda x, w: F.interpolate(x, scale_factor=3.0, mode="bilinear", align_corners=False),
    ),
    (
        "conv_transpose",
        {"out": 4, "kernel": 3, "stride": 2, "pad": (1, 0, 0, 1)},
        IMAGE,
        lambda x, w: F.conv_transpose2d(x, w["weight"], w["bias"], 2)[:, :, 1:, :-1],
    ),
    (
        "max_pool",
        {"kernel": 3, "stride": 2, "pad": (0, 1, 1, 0), "ceil": True},
        ((6, 8, 10),),
        lambda x, w: pool_reference(x, (0, 1, 1, 0), kernel_size=3, stride=2, ceil_mode=True),
    ),
    (
        "conv",
        {"out": 6, "kernel": 3, "pad": "same_upper", "stride": 2, "dilation": 2, "groups": 6},
        ((6, 8, 9),),
        lambda x, w: F.conv2d(F.pad(x, (2, 2, 1, 2)), w["weight"], w["bias"], 2, 0, 2, 6),
    ),
    (
        "conv",
        {"out": 4, "kernel": (2, 4), "pad": "same_upper"},
        IMAGE,
        lambda x, w: F.conv2d(F.pad(x, (1, 2, 0, 1)), w["weight"], w["bias"]),
    ),
    ("affine", {"scale": -2.0, "power": 2.0, "shift": 1.0}, IMAGE, lambda x, w: 1 - 2 * x * x),
    ("leaky_relu", {"slope": 0.01}, IMAGE, lambda x, w: F.leaky_relu(x, 0.01)),
    ("conv", {"out": 4, "kernel": 3, "pad": "valid"}, IMAGE, lambda x, w: F.conv2d(x, w["weight"], w["bias"])),
    # Both sides unlike, so that no axis can stand for the other.
    (
        "conv",
        {"out": 4, "kernel": (3, 5), "pad": "half", "dilation": (3, 2)},
        IMAGE,
        lambda x, w: F.conv2d(x, w["weight"], w["bias"], padding=(3, 4), dilation=(3, 2)),
    ),
    (
        "conv",
        {"out": 4, "kernel": (2, 3), "stride": (1, 2), "pad": (0, 3), "dilation": (4, 1)},
        IMAGE,
        lambda x, w: F.conv2d(x, w["weight"], w["bias"], (1, 2), (0, 3), (4, 1)),
    ),
    (
        "conv_transpose",
        {"out": 4, "kernel": (2, 3), "stride": (3, 2), "pad": (0, 1), "dilation": (1, 2), "output_pad": (2, 0)},
        IMAGE,
        lambda x, w: F.conv_transpose2d(x, w["weight"], w["bias"], (3, 2), (0, 1), (2, 0), 1, (1, 2)),
    ),
    (
        "max_pool",
        {"kernel": (2, 3), "stride": (2, 1), "pad": (0, 1), "dilation": (1, 2)},
        IMAGE,
        lambda x, w: F.max_pool2d(x, (2, 3), (2, 1), (0, 1), (1, 2)),
    ),
    (
        "max_pool",
        {"kernel": 3, "stride": 1, "pad": "half", "dilation": (1, 2)},
        IMAGE,
        lambda x, w: pool_reference(x, (1, 1, 2, 2), kernel_size=3, stride=1, dilation=(1, 2)),
    ),
    *[
        (
            "avg_pool",
            {"kernel": (2, 3), "stride": (1, 2), "pad": (1, 0), "ceil": c},
            IMAGE,
            lambda x, w, c=c: F.avg_pool2d(x, (2, 3), (1, 2), (1, 0), c),
        )
        for c in (False, True)
    ],
    (
        "deform_conv",
        {"out": 4, "kernel": (2, 3), "stride": (1, 2), "pad": (0, 2), "dilation": (3, 1)},
        ((6, 7, 6), (12, 4, 4)),
        lambda x, o, w: deformed(x, o, w, (1, 2), (0, 2), (3, 1)),
    ),
    ("lrn", {"size": 3}, IMAGE, lambda x, w: F.local_response_norm(x, 3)),
    (
        "lrn",
        {"size": 3, "alpha": 0.2, "beta": 0.5, "k": 3.0},
        IMAGE,
        lambda x, w: F.local_response_norm(x, 3, 0.2, 0.5, 3.0),
    ),
    *[(op, {}, ((6, 4, 4),), lambda x, w: x) for op in ("concat", "add", "mean", "max", "mul")],
    ("concat", {}, ((6, 4, 4), (2, 4, 4), (1, 4, 4)), lambda *x: torch.cat(x[:3], dim=1)),
    ("concat", {}, ((6,), (2,)), lambda *x: torch.cat(x[:2], dim=1)),
    ("add", {}, IMAGE * 2, lambda a, b, w: a + b),
    ("add", {}, IMAGE * 3, lambda a, b, c, w: a + b + c),
    ("mean", {}, IMAGE * 3, lambda a, b, c, w: (a + b + c) / 3),
    ("max", {}, IMAGE * 3, lambda a, b, c, w: a.maximum(b).maximum(c)),
    ("mul", {}, ((6, 4, 4), (6, 1, 1)), lambda a, b, w: a * b),
    ("mul", {}, ((1, 4, 4), (6, 4, 4), (6, 1, 1)), lambda a, b, c, w: a * b * c),
]
IDS = [f"{op}-{i}" for i, (op, *_) in enumerate(CASES)]
EACH_OP = sampled([pytest.param(*case, id=id) for case, id in zip(CASES, IDS, strict=True)], 1, lambda p: p.values[0])
"""One case of each op, and all with --slow: for what is done with an op beside computing it."""


def arrays_of(shapes: Shapes, batch: int) -> dict[str, np.ndarray]:
    """Random operands."""
    rng = np.random.default_rng(batch)
    found = {f"x{i}": (2 * rng.standard_normal((batch, *shape))).astype(np.float32) for i, shape in enumerate(shapes)}
    if shapes[1:2] == (ROIS,):  # from beyond the corner of the map to beyond its end
        corners = rng.uniform(-8, 4 * 12, (2, batch, 2))
        found["x1"] = np.concatenate(
            [rng.permutation(batch)[:, None], corners.min(0), corners.max(0) + 1], axis=1
        ).astype(np.float32)
    return found
