"""Runs models in onnxruntime, and says which provider really ran."""

from __future__ import annotations

import io
import tempfile
import time
from collections.abc import Mapping
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort

from netspec.backend import Options, Result
from netspec.errors import DataError, MissingError, UsageError
from netspec.graph import Graph
from netspec_onnx.emit import build_model, weight_bytes
from netspec_onnx.write import LIMIT, write_model

PROVIDERS = {"cpu": "CPUExecutionProvider", "cuda": "CUDAExecutionProvider"}
FATAL_ONLY = 4
KINDS = {f"tensor({name})": kind for name, kind in (
    ("float", np.float32), ("float16", np.float16), ("double", np.float64), ("int64", np.int64), ("int32", np.int32),
    ("int8", np.int8), ("uint8", np.uint8), ("bool", np.bool_))}


def session(model: Any, device: str = "cpu") -> ort.InferenceSession:
    """A session of a ModelProto or a file on a device; raises MissingError instead of falling back to another."""
    if device not in PROVIDERS:
        raise UsageError(f"there is no device '{device}'", f"known: {', '.join(PROVIDERS)}")
    wanted = PROVIDERS[device]
    if wanted not in ort.get_available_providers():
        raise MissingError(f"this onnxruntime has no {wanted}", "pip install onnxruntime-gpu, in place of onnxruntime")
    ort.set_default_logger_severity(FATAL_ONLY)  # its errors are raised, and said below
    options = ort.SessionOptions()
    options.log_severity_level = FATAL_ONLY
    source = _readable(model) if isinstance(model, Path) else model.SerializeToString()
    said = io.StringIO()
    try:
        with redirect_stdout(said):  # onnxruntime prints there which libraries it misses, and that it falls back
            if device == "cuda" and hasattr(ort, "preload_dlls"):
                ort.preload_dlls()  # takes CUDA's libraries from the wheels that PyTorch brings, where they are
            made = ort.InferenceSession(source, options, providers=[wanted])
    except Exception as e:  # onnxruntime raises its own classes, which share no base but Exception
        if device == "cuda":
            raise _without_cuda(said.getvalue(), str(e)) from None
        raise DataError("NS703", f"onnxruntime refuses the model: {str(e)[:500]}") from None
    if made.get_providers()[0] != wanted:
        raise _without_cuda(said.getvalue(), f"it fell back to {made.get_providers()[0]}")
    return made


def _readable(path: Path) -> str:
    try:
        with path.open("rb"):
            return str(path)
    except OSError as e:
        raise UsageError(f"{path} cannot be read: {e.strerror}") from None


def _without_cuda(said: str, otherwise: str) -> MissingError:
    """The error of a CUDA provider that does not start; names the libraries that onnxruntime missed."""
    missed = [line.split()[3].rstrip(":") for line in said.splitlines() if line.startswith("Failed to load ")]
    why = f"{', '.join(missed)} cannot be loaded" if missed else otherwise[:300]
    return MissingError(f"onnxruntime cannot use CUDA: {why}",
                        "pip install 'onnxruntime-gpu[cuda,cudnn]' brings CUDA's libraries; the driver must be there")


def run_graph(graph: Graph, arrays: Mapping[str, np.ndarray], inputs: Mapping[str, np.ndarray], device: str,
              repeat: int, options: Options) -> Result:
    """Runs a graph, by way of a file where one message cannot hold the weights; raises MissingError, DataError."""
    if weight_bytes(graph, options) <= LIMIT:
        return run_model(build_model(graph, arrays, options), inputs, device, repeat)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "model.onnx")
        write_model(graph, arrays, path, options)
        return run_model(path, inputs, device, repeat)


def run_model(model: Any, inputs: Mapping[str, np.ndarray], device: str = "cpu", repeat: int = 1) -> Result:
    """Runs a model once to warm up, then `repeat` times; raises MissingError, DataError."""
    made = session(model, device)
    feed = _feed(made, inputs)
    try:
        outputs = made.run(None, feed)
        latency = []
        for _ in range(repeat):
            start = time.perf_counter()
            outputs = made.run(None, feed)
            latency.append((time.perf_counter() - start) * 1000)
    except Exception as e:  # as above
        raise DataError("NS703", f"onnxruntime cannot run the model: {str(e)[:500]}") from None
    return Result({o.name: np.asarray(v) for o, v in zip(made.get_outputs(), outputs, strict=True)},
                  made.get_providers()[0], latency)


def _feed(made: ort.InferenceSession, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The inputs in the model's types; raises DataError where one is missing, unknown or of another shape."""
    wanted = {i.name: i for i in made.get_inputs()}
    for what, names in (("is missing", wanted.keys() - inputs.keys()),
                        ("is none of the model's", inputs.keys() - wanted.keys())):
        if names:
            raise DataError("NS701", f"the input '{min(names)}' {what}", f"the model has {', '.join(wanted)}")
    for name, info in wanted.items():
        given, shape = inputs[name].shape, info.shape
        if len(given) != len(shape) or any(isinstance(w, int) and w != g for w, g in zip(shape, given, strict=False)):
            raise DataError("NS701", f"the input '{name}' is {_show(given)}, the model wants {_show(shape)}")
        if info.type not in KINDS:
            raise DataError("NS701", f"the input '{name}' is a {info.type}, which netspec does not make")
    return {name: np.ascontiguousarray(inputs[name], KINDS[info.type]) for name, info in wanted.items()}


def signature(path: Path) -> dict[str, tuple[int | str, ...]]:
    """The inputs of a model file by name, with their shapes; raises UsageError, DataError."""
    return {i.name: tuple("?" if d is None else d for d in i.shape) for i in session(path).get_inputs()}


def _show(shape: Any) -> str:
    return "x".join("?" if d is None else str(d) for d in shape) or "a scalar"
