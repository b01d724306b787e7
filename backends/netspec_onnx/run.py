"""Runs models in onnxruntime, and says which provider really ran."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort

from netspec.backend import Result
from netspec.errors import DataError, MissingError, UsageError

PROVIDERS = {"cpu": "CPUExecutionProvider", "cuda": "CUDAExecutionProvider"}
ERRORS_ONLY = 3


def session(model: Any, device: str = "cpu") -> ort.InferenceSession:
    """A session of a ModelProto or a file on a device; raises MissingError instead of falling back to another."""
    if device not in PROVIDERS:
        raise UsageError(f"there is no device '{device}'", f"known: {', '.join(PROVIDERS)}")
    ort.set_default_logger_severity(ERRORS_ONLY + 1)  # what matters is checked and said below
    wanted = PROVIDERS[device]
    if wanted not in ort.get_available_providers():
        raise MissingError(f"this onnxruntime has no {wanted}", "pip install onnxruntime-gpu")
    if device == "cuda" and hasattr(ort, "preload_dlls"):
        ort.preload_dlls()  # takes CUDA's libraries from the wheels that PyTorch brings, where they are
    options = ort.SessionOptions()
    options.log_severity_level = ERRORS_ONLY
    source = str(model) if isinstance(model, Path) else model.SerializeToString()
    try:
        made = ort.InferenceSession(source, options, providers=[wanted])
    except Exception as e:  # onnxruntime raises its own classes, which share no base but Exception
        if device == "cuda":
            raise MissingError(f"onnxruntime cannot use CUDA: {str(e)[:300]}", "CUDA 12 and cuDNN 9 must be installed") from None
        raise DataError("NS703", f"onnxruntime refuses the model: {str(e)[:500]}") from None
    if made.get_providers()[0] != wanted:
        raise MissingError(f"onnxruntime fell back to {made.get_providers()[0]}: {wanted} could not be loaded",
                           "its CUDA libraries (CUDA, cuDNN) are missing or of another version; see onnxruntime's messages")
    return made


def run_model(model: Any, inputs: Mapping[str, np.ndarray], device: str = "cpu", repeat: int = 1) -> Result:
    """Runs a model; raises MissingError, DataError."""
    made = session(model, device)
    names = [i.name for i in made.get_inputs()]
    if missing := [name for name in names if name not in inputs]:
        raise DataError("NS701", f"the input '{missing[0]}' is missing", f"the model has {', '.join(names)}")
    kinds = {i.name: np.float16 if i.type == "tensor(float16)" else np.float32 for i in made.get_inputs()}
    feed = {name: np.ascontiguousarray(inputs[name], kinds[name]) for name in names}
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


def signature(path: Path) -> dict[str, tuple[int | str, ...]]:
    """The inputs of a model file by name, with their shapes; raises DataError."""
    return {i.name: tuple(d if d is not None else "?" for d in i.shape) for i in session(path).get_inputs()}
