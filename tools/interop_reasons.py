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
    Reason("onnxruntime 1.15", "deformable", "DeformConv", "it has no kernel for DeformConv, which 1.25 has"),
    Reason("tract", "lenet", "Failed analyse", "it takes no symbol, the free batch, in the shapes between steps"),
    Reason("OpenVINO", "deformable", "DeformConv", "it has no conversion rule for DeformConv, which is of opset 19"),
    Reason("MNN|ncnn|tract|OpenCV", "deformable", "DeformConv", "it has no DeformConv, which is of opset 19"),
    Reason("ncnn|tract", ".*rcnn.*", "RoiAlign", "it has no RoiAlign, in any operator set"),
    Reason(
        "ncnn",
        "light_head_rcnn",
        "torch",
        "ncnn has no layers for Gather by an index, comparisons and Where, of which the pooling of regions is made",
    ),
    Reason("onnx2torch", "deformable", "DeformConv", "it has no DeformConv, which is of opset 19"),
    Reason(
        "onnx2torch",
        "dsn",
        "AvgPool",
        "it has no AveragePool with pads that differ by side; of the file of `--for ncnn`, which has a Pad before it, "
        "it gives 6e-08",
    ),
    Reason(
        "IREE",
        "espcn",
        "differs",
        "its DepthToSpace of mode CRD is wrong at some sizes: a model of this node alone, of 9 channels of 3x3 to one "
        "of 9x9, gives other pixels, and with mode DCR the right ones",
    ),
    Reason("TVM", "deformable", "DeformConv", "it has no DeformConv, which is of opset 19"),
    Reason(
        "TVM",
        ".*rcnn.*",
        "differs",
        "its RoiAlign takes half_pixel for output_half_pixel: a model of this node alone is 0.4 off in the one and "
        "1e-7 in the other",
    ),
    Reason(
        "IREE",
        "averaging",
        "aten.add",
        "it loses the type in a Mean of four or more values: a model of this node alone is refused, one of three "
        "values is taken",
    ),
    Reason(
        "IREE",
        "deformable",
        "DeformConv",
        "it has no DeformConv, which is of opset 19: a model of this node alone is refused",
    ),
    Reason(
        "IREE",
        ".*rcnn.*",
        "torch.constant",
        "it has no RoiAlign: a model of this node alone is refused with the same words",
    ),
    Reason(
        "IREE",
        "dsod",
        "linalg.generic",
        "it refuses a convolution of 3x3 with pads of 1 and a stride of 2 on a map of 2x2, also alone, and takes it on "
        "one of 4x4; at its own 300x300 the network compiles",
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
