"""Why a runtime refuses a file of ours or computes something else: what was found, beside the runtime's own words."""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Reason:
    """What was found of the failures of a kind."""

    runtime: str
    """How the name of the runtime begins, as a pattern."""
    family: str
    """Its families, as a pattern."""
    text: str
    """What stands in the kind and text of its cells, as a pattern."""
    says: str


REASONS = (
    Reason("OpenVINO", "deformable", "DeformConv", "it has no conversion rule for DeformConv, which is of opset 19"),
    Reason("MNN|ncnn|tract|OpenCV", "deformable", "DeformConv", "it has no DeformConv, which is of opset 19"),
    Reason("ncnn|tract", ".*rcnn.*", "RoiAlign", "it has no RoiAlign, in any operator set"),
    Reason("ncnn", ".*", "Pad not exists", "pnnx leaves a Pad as it is that has other pads than ncnn's"),
    Reason(
        "ncnn",
        "light_head_rcnn",
        "torch",
        "ncnn has no layers for Gather by an index, comparisons and Where, of which the pooling of regions is made",
    ),
    Reason(
        "MNN|ncnn|tract|OpenCV",
        "efficientnet_v2",
        "differs",
        "with weights of seed 0 it multiplies what is rounded: PyTorch's own float32 is several 1e-4 off its float64",
    ),
)
"""The first that fits is said."""


def named(runtime: str, family: str, text: str) -> str:
    """What was found of a failure, as a clause to stand before the runtime's own words; nothing where nothing was."""
    for reason in REASONS:
        patterns = ((reason.runtime, runtime), (rf"(?:{reason.family})$", family))
        if all(re.match(pattern, at) for pattern, at in patterns) and re.search(reason.text, text):
            return reason.says
    return ""
