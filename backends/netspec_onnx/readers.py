"""Whether what is to read a model takes its operator set and its IR version."""

from __future__ import annotations

from dataclasses import dataclass

from onnx import helper

from netspec_onnx.options import OnnxOptions
from netspec_onnx.presets import PRESETS

READ_BY_ALL = 26, 13
"""The newest operator set and IR version that every onnxruntime reads from the oldest allowed one on."""


@dataclass(frozen=True, slots=True)
class Unread:
    """Why a model is not read, and what to do."""

    message: str
    help: str


def doubts(opset: int, ir_version: int, options: OnnxOptions) -> list[str]:
    """What is said of versions that were asked for and are newer than what is to read them takes."""
    if options.for_ not in (None, "onnxruntime"):
        preset = PRESETS[options.for_]
        newest = max(preset.opset, preset.newest)
        if options.opset is None or opset <= newest:
            return []
        return [f"the preset {options.for_} has opsets up to {newest}, not {opset}: leave out --opset for one of them"]
    if options.opset is None and options.ir_version is None:
        return []
    found = unread(opset, ir_version)
    return [f"{found.message}: {found.help}"] if found is not None else []


def unread(opset: int, ir_version: int) -> Unread | None:
    """Why the installed onnxruntime does not read a model of these versions; None where it does."""
    if opset <= READ_BY_ALL[0] and ir_version <= READ_BY_ALL[1]:
        return None
    try:
        import onnxruntime  # noqa: PLC0415 - may be absent, and takes its time
    except ImportError:
        versions = f"opset {READ_BY_ALL[0]} and IR version {READ_BY_ALL[1]}"
        message = f"no onnxruntime is installed that could say whether it reads opset {opset}, IR version {ir_version}"
        return Unread(message, f"every one that netspec is for reads {versions}")

    def reads(opset: int, ir_version: int) -> bool:
        value = helper.make_tensor_value_info
        graph = helper.make_graph(
            [helper.make_node("Relu", ["x"], ["y"])], "relu", [value("x", 1, [1])], [value("y", 1, [1])]
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=ir_version)
        settings = onnxruntime.SessionOptions()
        settings.log_severity_level = 4  # what it refuses is said here
        try:
            onnxruntime.InferenceSession(model.SerializeToString(), settings, providers=["CPUExecutionProvider"])
        except Exception:  # noqa: BLE001 - onnxruntime raises its own classes, which share no base but Exception
            return False
        return True

    def lowest(opset: int) -> int:
        return int(helper.find_min_ir_version_for([helper.make_opsetid("", opset)]))

    if reads(opset, ir_version):
        return None
    message = (
        f"the installed onnxruntime {onnxruntime.__version__} does not read opset {opset}, IR version {ir_version}"
    )
    if reads(opset, lowest(opset)):
        return Unread(message, "leave out --ir-version")
    older = range(opset - 1, READ_BY_ALL[0], -1)
    newest = next((known for known in older if reads(known, lowest(known))), READ_BY_ALL[0])
    return Unread(message, f"--opset {newest} is the newest that it reads")
