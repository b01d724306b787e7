"""Options of specs on a command line that names an .onnx file: what cannot hold for it is refused."""

from __future__ import annotations

from netspec.cli.request import Request
from netspec.cli.weights import Weights
from netspec.diagnostics.errors import UsageError
from netspec.elaborate.budget import MAX_NODES


def is_model_file(name: str) -> bool:
    """Whether what is named is an .onnx file, not a spec."""
    return name.lower().endswith(".onnx")


def check_options(request: Request, weights: Weights) -> None:
    """Raises UsageError for options that say what a network is, and for weights: an .onnx file has its own."""
    r = request
    given = {
        "--variant": r.variant,
        "--set": r.settings,
        "--weights": weights.file,
        "-I": r.include,
        "--pass": r.passes,
        "-O": r.level is not None,
        "--profile": r.profile,
        "--features": r.features,
        "--max-nodes": r.max_nodes != MAX_NODES,
    }
    if names := [name for name, value in given.items() if value]:
        raise UsageError(
            f"{r.spec}: an .onnx file has its weights and its layers already",
            f"{', '.join(names)}: these options go with a spec; leave them out for a file",
        )
