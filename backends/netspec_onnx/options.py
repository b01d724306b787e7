"""The options of `--to onnx`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from netspec.backend import Options, option


@dataclass(frozen=True, kw_only=True)
class OnnxOptions(Options):
    """How a model is written."""

    opset: int | None = option(None, "Operator set; 18, or the lowest that has every operator used.")
    dtype: Literal["float32", "float16"] = option(
        "float32", "What it computes in; constants that float16 would lose stay in float32."
    )
    functions: Literal["keep", "inline"] = option("keep", "Blocks as functions, or one flat graph.")
    external_data: bool | None = option(None, "Weights in a file next to the model; above 2 GB by default.")


DEFAULTS = OnnxOptions()
