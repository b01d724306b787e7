"""The options of `--to onnx`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from netspec.backend import Options, option
from netspec_onnx.presets import PRESETS, Functions, Target, presets_help


@dataclass(frozen=True, kw_only=True)
class OnnxOptions(Options):
    """How a model is written; what a preset says stands in the fields that were left open."""

    for_: Target | None = option(
        None, f"A preset for what reads the model; other options overrule it.\n\n\b\n{presets_help()}"
    )
    opset: int | None = option(None, "Operator set, from 11 on; 18, or the lowest that has every operator used.")
    ir_version: int | None = option(None, "Version of the format; the lowest that the operator set allows.")
    batch: int | None = option(None, "Fixes the batch, which is free otherwise.", "-b")
    dtype: Literal["float32", "float16", "bfloat16"] = option(
        "float32", "What it computes in; constants that 16 bits would lose stay in float32."
    )
    io_dtype: Literal["float32", "float16", "bfloat16"] = option(
        "float32", "The type of its inputs and outputs: float32, or the one that it computes in."
    )
    functions: Functions | None = option(
        None,
        "inline: one flat graph, which every runtime takes (the default); keep: blocks as functions, as Netron shows "
        "them; OpenVINO, MNN and tract refuse those.",
    )
    external_data: bool | None = option(None, "Weights in a file next to the model; above 2 GB by default.")

    def __post_init__(self) -> None:
        taken: dict[str, int | str | None] = {"functions": "inline"}
        if self.for_ is not None:
            preset = PRESETS[self.for_]
            taken = {"opset": preset.opset, "batch": preset.batch, "functions": preset.functions}
            if self.opset is None and self.functions in (
                None,
                preset.functions,
            ):  # another one may need a newer version
                taken["ir_version"] = preset.ir_version
        for name, value in taken.items():
            if getattr(self, name) is None:
                object.__setattr__(self, name, value)


DEFAULTS = OnnxOptions()

FORMS = {
    "flat": "one flat graph, as `compile --to onnx` writes by default",
    "functions": "blocks as functions",
}
"""How a network may be written for a run in onnxruntime, the first where nothing else is said."""
