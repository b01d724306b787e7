"""The options of `--to onnx`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from netspec.backend import Options, option
from netspec.passes.runtimes import runtime_of
from netspec_onnx.presets import PRESETS, Functions, Target, presets_help


@dataclass(frozen=True, kw_only=True)
class OnnxOptions(Options):
    """How a model is written; batch and functions of a preset stand in the fields that were left open.

    Its operator set and IR version depend on what the network needs too (`netspec_onnx.versions`).
    """

    for_: Target | None = option(
        None, f"A preset for what reads the model; other options overrule it.\n\n\b\n{presets_help()}"
    )
    opset: int | None = option(None, "Operator set, from 11 on; 18, or the lowest that has every operator used.")
    ir_version: int | None = option(None, "Version of the format; the lowest that the operator set allows.")
    batch: int | None = option(None, "Fixes the batch, which is free otherwise.", "-b")
    dynamic: bool = option(False, "Leaves height and width free, or names the step that does not allow it.")
    dtype: Literal["float32", "float16", "bfloat16", "int8"] = option(
        "float32", "What it computes in; constants that 16 bits would lose stay in float32; int8 needs --calibrate."
    )
    io_dtype: Literal["float32", "float16", "bfloat16"] = option(
        "float32", "The type of its inputs and outputs: float32, or the one that it computes in."
    )
    functions: Functions | None = option(
        None,
        "inline: one flat graph, which every runtime takes (the default); keep: blocks as functions, as Netron shows "
        "them; OpenVINO, MNN, tract and OpenCV refuse those.",
    )
    external_data: bool | None = option(None, "Weights in a file next to the model; above 2 GB by default.")
    calibrate: str | None = option(
        None,
        "Images for --dtype int8: a folder of them, or of one for each class; or arrays by input name, and `labels`.",
        metavar="FOLDER|FILE.npz",
    )
    keep_float: tuple[str, ...] | None = option(
        None,
        "Steps that stay in float32 with --dtype int8 (`stem`, `layer*.0`; commas between several); by default the "
        "first and last layers, where that helps.",
        metavar="PATTERN",
    )
    reduce_range: bool = option(False, "Weights of 7 bits with --dtype int8, for x86 processors without VNNI.")
    report: str | None = option(
        None, "Where the noise of each layer is written with --dtype int8: .csv, .json, .md, ...", metavar="FILE"
    )

    @property
    def runtime(self) -> str:
        """onnxruntime, unless the model is for something else, which no profile is measured in."""
        return runtime_of("onnx") if self.for_ in (None, "onnxruntime") else self.for_

    def __post_init__(self) -> None:
        taken: dict[str, int | str | None] = {"functions": "inline"}
        if self.for_ is not None:
            preset = PRESETS[self.for_]
            taken = {"batch": preset.batch, "functions": preset.functions}
        for name, value in taken.items():
            if getattr(self, name) is None:
                object.__setattr__(self, name, value)


DEFAULTS = OnnxOptions()

FORMS = {
    "flat": "one flat graph, as `compile --to onnx` writes by default",
    "functions": "blocks as functions",
}
"""How a network may be written for a run in onnxruntime, the first where nothing else is said."""
