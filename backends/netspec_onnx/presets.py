"""What a runtime takes: the presets of `--for`, a row each. What is asked for beside it overrules it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

Functions = Literal["keep", "inline"]
Target = Literal["onnxruntime", "openvino", "tensorrt", "mnn", "ncnn", "tract", "opencv", "browser"]


SMALLER = ("float16", "bfloat16", "int8")
"""What models compute in besides float32."""


@dataclass(frozen=True, slots=True)
class Preset:
    """How a model is written for a runtime."""

    opset: int
    ir_version: int
    batch: int | None
    """The batch, fixed; None leaves it free."""
    functions: Functions
    lacks: Mapping[str, str]
    """What no model computes in there, each with the reason; what was run stands in docs/precision.md."""
    reads: str
    """What reads the model."""
    why: str
    newest: int = 0
    """The newest operator set that it was seen to run, which a network gets that needs more than `opset`."""
    refuses_functions: bool = False
    """Whether it was seen to refuse a model whose blocks are functions."""

    @property
    def dtypes(self) -> tuple[str, ...]:
        """What a model may compute in there, besides float32."""
        return tuple(dtype for dtype in SMALLER if dtype not in self.lacks)

    @property
    def shown(self) -> tuple[str, str, str, str, str]:
        """Opset, IR version, batch, blocks and types besides float32 as people read them."""
        opset = f"{self.opset}-{self.newest}" if self.newest else str(self.opset)
        ir_version, batch = str(self.ir_version), str(self.batch or "free")
        return opset, ir_version, batch, self.functions, ",".join(self.dtypes) or "-"


SYMMETRIC = "its scales have no zero point, those of onnxruntime.quantization have"
PRESETS: dict[Target, Preset] = {
    "onnxruntime": Preset(
        20, 9, None, "inline", {"bfloat16": "its CPU has no kernel for Conv"}, "onnxruntime", "has GELU as one operator"
    ),
    "openvino": Preset(18, 8, None, "inline", {}, "OpenVINO", "refuses functions", refuses_functions=True),
    "tensorrt": Preset(
        17,
        8,
        None,
        "inline",
        {"bfloat16": "Conv takes it from opset 22 on, its parser of 8.6 ends at 17", "int8": SYMMETRIC},
        "TensorRT",
        "the parser of 8.6 ends at opset 17",
    ),
    "mnn": Preset(
        13,
        7,
        1,
        "inline",
        {"bfloat16": "its converter loses the outputs", "int8": "its converter dies of QuantizeLinear"},
        "MNN's converter",
        "refuses functions; plans its memory for fixed shapes",
        newest=16,
        refuses_functions=True,
    ),
    "ncnn": Preset(
        11,
        6,
        1,
        "inline",
        {
            "float16": "pnnx leaves a Cast that ncnn has no layer for; it makes 16 bits of float32 itself",
            "bfloat16": "pnnx dies of it",
            "int8": "pnnx leaves QuantizeLinear as it is; ncnn2table and ncnn2int8 make int8 of float32",
        },
        "onnx2ncnn and pnnx",
        "has no batch axis",
    ),
    "tract": Preset(
        13,
        7,
        1,
        "inline",
        {"float16": "its Gemm gives float32", "bfloat16": "it does not know the type"},
        "tract",
        "refuses functions",
        refuses_functions=True,
    ),
    "opencv": Preset(
        11,
        6,
        1,
        "inline",
        {"bfloat16": "its convolutions take weights in float32", "int8": "its graph ends with an assertion"},
        "OpenCV's dnn",
        "refuses functions; plans its layers for fixed shapes",
        newest=16,
        refuses_functions=True,
    ),
    "browser": Preset(
        13,
        7,
        1,
        "inline",
        {"bfloat16": "its WebAssembly has no kernel for Conv, and WebGPU and WebNN have no such tensors"},
        "onnxruntime-web",
        "WebNN takes fixed shapes",
        newest=19,
    ),
}


def refusing_functions() -> list[str]:
    """What was seen to refuse a model whose blocks are functions."""
    return [preset.reads for preset in PRESETS.values() if preset.refuses_functions]


def presets_help() -> str:
    """The presets as the lines of a help text."""
    rows = [
        ("", "opset", "IR", "batch", "functions", "besides float32"),
        *((name, *preset.shown) for name, preset in PRESETS.items()),
    ]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join("  ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)).rstrip() for row in rows)
