"""What a runtime takes: the presets of `--for`, a row each. What is asked for beside it overrules it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Functions = Literal["keep", "inline"]
Target = Literal["onnxruntime", "openvino", "tensorrt", "mnn", "ncnn", "tract", "opencv", "browser"]


@dataclass(frozen=True, slots=True)
class Preset:
    """How a model is written for a runtime."""

    opset: int
    ir_version: int
    batch: int | None
    """The batch, fixed; None leaves it free."""
    functions: Functions
    dtypes: tuple[str, ...]
    """What a model may compute in there, besides float32; what was run stands in docs/precision.md."""
    reads: str
    """What reads the model."""
    why: str

    @property
    def shown(self) -> tuple[str, str, str, str, str]:
        """Opset, IR version, batch, blocks and types besides float32 as people read them."""
        opset, ir_version, batch = str(self.opset), str(self.ir_version), str(self.batch or "free")
        return opset, ir_version, batch, self.functions, ",".join(self.dtypes) or "-"


PRESETS: dict[Target, Preset] = {
    "onnxruntime": Preset(20, 9, None, "inline", ("float16", "int8"), "onnxruntime", "has GELU as one operator"),
    "openvino": Preset(18, 8, None, "inline", ("float16", "bfloat16", "int8"), "OpenVINO", "refuses functions"),
    "tensorrt": Preset(17, 8, None, "inline", ("float16",), "TensorRT", "the parser of 8.6 ends at opset 17"),
    "mnn": Preset(
        13, 7, 1, "inline", ("float16",), "MNN's converter", "refuses functions; plans its memory for fixed shapes"
    ),
    "ncnn": Preset(11, 6, 1, "inline", (), "onnx2ncnn and pnnx", "has no batch axis"),
    "tract": Preset(13, 7, 1, "inline", ("int8",), "tract", "refuses functions, and a symbol in inner shapes"),
    "opencv": Preset(11, 6, 1, "inline", ("float16",), "OpenCV's dnn", "plans its layers for fixed shapes"),
    "browser": Preset(13, 7, 1, "inline", ("float16", "int8"), "onnxruntime-web", "WebNN takes fixed shapes"),
}


def presets_help() -> str:
    """The presets as the lines of a help text."""
    rows = [
        ("", "opset", "IR", "batch", "functions", "besides float32"),
        *((name, *preset.shown) for name, preset in PRESETS.items()),
    ]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join("  ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)).rstrip() for row in rows)
