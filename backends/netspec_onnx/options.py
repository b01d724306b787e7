"""The options of `--to onnx`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from netspec.backend import Options, option


@dataclass(frozen=True, kw_only=True)
class OnnxOptions(Options):
    """How a model is written."""

    opset: int | None = option(None, "Operator set; 18, or the lowest that has every operator used.")
    dtype: Literal["float32", "float16", "bfloat16"] = option(
        "float32", "What it computes in; constants that 16 bits would lose stay in float32."
    )
    io_dtype: Literal["float32", "float16", "bfloat16"] = option(
        "float32", "The type of its inputs and outputs: float32, or the one that it computes in."
    )
    functions: Literal["keep", "inline"] = option(
        "inline",
        "One flat graph, which every runtime takes; or blocks as functions, as Netron shows them, which OpenVINO, MNN "
        "and tract refuse.",
    )
    external_data: bool | None = option(None, "Weights in a file next to the model; above 2 GB by default.")


DEFAULTS = OnnxOptions()

FORMS = {
    "flat": "one flat graph, as `compile --to onnx` writes by default",
    "functions": "blocks as functions",
}
"""How a network may be written for a run in onnxruntime, the first where nothing else is said."""
