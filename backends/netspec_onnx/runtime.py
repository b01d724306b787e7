"""Runs models in onnxruntime, and says which provider really ran."""

from __future__ import annotations

import io
import os
import re
import time
from collections.abc import Mapping
from contextlib import redirect_stdout
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort

from netspec.backend import Result
from netspec.diagnostics.errors import DataError, MissingError, NetspecError, UsageError
from netspec.files.parts import scratch
from netspec.ir.graph import Graph
from netspec.running.convert import fit
from netspec.running.ports import EXTENDED, Port, Value
from netspec.running.sizes import check
from netspec_onnx.build_model import WEIGHTS_KEY, build_model, weight_bytes
from netspec_onnx.options import OnnxOptions
from netspec_onnx.values import from_runtime, to_runtime
from netspec_onnx.write import LIMIT, write_model

PROVIDERS = {"cpu": "CPUExecutionProvider", "cuda": "CUDAExecutionProvider"}
FATAL_ONLY = 4

Model = onnx.ModelProto | Path
"""A model, or its file."""


def session(
    model: Model, device: str = "cpu", options: ort.SessionOptions | None = None, exact: bool = False
) -> ort.InferenceSession:
    """A session of a ModelProto or a file on a device; raises MissingError instead of falling back to another.

    With `exact` a GPU multiplies float32 as such, and not as TF32.
    """
    if device not in PROVIDERS:
        raise UsageError(f"there is no device '{device}'", f"known: {', '.join(PROVIDERS)}")
    wanted = PROVIDERS[device]
    if wanted not in ort.get_available_providers():
        raise MissingError(f"this onnxruntime has no {wanted}", "pip install onnxruntime-gpu, in place of onnxruntime")
    ort.set_default_logger_severity(FATAL_ONLY)  # its errors are raised, and said below
    options = options or ort.SessionOptions()
    options.log_severity_level = FATAL_ONLY
    source = _readable(model) if isinstance(model, Path) else model.SerializeToString()
    said = io.StringIO()
    try:
        with redirect_stdout(said):  # onnxruntime prints there which libraries it misses, and that it falls back
            if device == "cuda" and hasattr(ort, "preload_dlls"):
                ort.preload_dlls()  # takes CUDA's libraries from the wheels that PyTorch brings, where they are
            provider = (wanted, {"use_tf32": "0"}) if exact and device == "cuda" else wanted
            made = ort.InferenceSession(source, options, providers=[provider])
    except Exception as e:  # onnxruntime raises its own classes, which share no base but Exception
        if lacking := _kernel(str(e), wanted):
            raise lacking from None
        if device == "cuda":
            raise _without_cuda(said.getvalue(), str(e)) from None
        raise DataError("NS703", f"onnxruntime refuses the model: {str(e)[:500]}") from None
    if made.get_providers()[0] != wanted:
        raise _without_cuda(said.getvalue(), f"it fell back to {made.get_providers()[0]}")
    return made


_KERNEL = re.compile(
    r"NOT_IMPLEMENTED : .*?for (?:the node )?(?:.*:)?(\w+\(\d+\))(?: node with name '(.*)')?", re.DOTALL
)


def _kernel(said: str, provider: str) -> MissingError | None:
    """The error of a runtime that has no kernel for an operator in the type of the model; None for another error."""
    if (found := _KERNEL.search(said)) is None:
        return None
    node = f" of the node '{found[2][:200]}'" if found[2] else ""
    return MissingError(
        f"onnxruntime has no kernel for {found[1]}{node} in this type on {provider}",
        "another --dtype of compile, or a lower --opset, is written with operators that it has; so may another device",
    )


def _readable(path: Path) -> str:
    try:
        with path.open("rb"):
            # Data files stand next to the model itself; onnxruntime looks for them next to a link to it.
            return os.path.realpath(path) if path.is_symlink() and path.is_file() else str(path)
    except OSError as e:
        raise UsageError(f"{path} cannot be read: {e.strerror}") from None


def _without_cuda(said: str, otherwise: str) -> MissingError:
    """The error of a CUDA provider that does not start; names the libraries that onnxruntime missed."""
    missed = [line.split()[3].rstrip(":") for line in said.splitlines() if line.startswith("Failed to load ")]
    why = f"{', '.join(missed)} cannot be loaded" if missed else otherwise[:300]
    return MissingError(
        f"onnxruntime cannot use CUDA: {why}",
        "pip install 'onnxruntime-gpu[cuda,cudnn]' brings CUDA's libraries; the driver must be there",
    )


def run_graph(
    graph: Graph,
    arrays: Mapping[str, np.ndarray],
    inputs: Mapping[str, Value],
    device: str,
    repeat: int,
    options: OnnxOptions,
) -> Result:
    """Runs a graph, by way of a file where one message cannot hold the weights; raises MissingError, DataError."""
    if weight_bytes(graph, options) <= LIMIT:
        return run_model(build_model(graph, arrays, options), inputs, device, repeat)
    with scratch() as folder:
        path = Path(folder, "model.onnx")
        write_model(graph, arrays, path, options)
        return run_model(path, inputs, device, repeat)


def run_model(model: Model, inputs: Mapping[str, Value], device: str = "cpu", repeat: int = 1) -> Result:
    """Runs a model once to warm up, then `repeat` times; raises MissingError, DataError."""
    return Opened(model, device).run(inputs, repeat)


class Opened:
    """A model in a session: what it takes and gives, and runs of it."""

    def __init__(
        self, model: Model, device: str = "cpu", options: ort.SessionOptions | None = None, exact: bool = False
    ) -> None:
        self.session = session(model, device, options, exact)
        try:
            self.inputs = {i.name: _port(i) for i in self.session.get_inputs()}
            self.outputs = {o.name: _port(o) for o in self.session.get_outputs()}
            self.weights = str(self.session.get_modelmeta().custom_metadata_map.get(WEIGHTS_KEY, ""))
            """What the model says of its weights, such as `random, seed 0`; empty where it says nothing."""
        except UnicodeDecodeError as e:  # onnxruntime takes any bytes for a name
            raise DataError("NS703", f"the model has a name that is not UTF-8: {e.object[:60]!r}") from None

    def run(self, inputs: Mapping[str, Value], repeat: int = 1) -> Result:
        """Runs once to warm up, then `repeat` times; raises DataError where an input does not fit, or a run fails."""
        check(self.inputs, inputs)
        try:
            feed, through_values = self._feed(inputs)
            call = self.session.run_with_ort_values if through_values else self.session.run
            outputs = call(None, feed)
            latency = []
            for _ in range(repeat):
                start = time.perf_counter()
                outputs = call(None, feed)
                latency.append((time.perf_counter() - start) * 1000)
            found = {name: from_runtime(value) for name, value in zip(self.outputs, outputs, strict=True)}
        except NetspecError:
            raise
        except Exception as e:  # as above
            if lacking := _kernel(str(e), self.session.get_providers()[0]):
                raise lacking from None
            raise DataError("NS703", f"onnxruntime cannot run the model: {str(e)[:500]}") from None
        return Result(found, self.session.get_providers()[0], latency)

    def _feed(self, inputs: Mapping[str, Value]) -> tuple[dict[str, object], bool]:
        """The inputs as onnxruntime takes them, and whether results have to come as its own values."""
        said: list[str] = []
        fitted = {
            name: fit(inputs[name], port, f"the input '{name}'", said.append) for name, port in self.inputs.items()
        }
        through_values = any(port.element in EXTENDED for port in self.outputs.values() if port.kind == "tensor")
        return {
            name: to_runtime(value, self.inputs[name], through_values) for name, value in fitted.items()
        }, through_values


def _port(info: ort.NodeArg) -> Port:
    """A node argument of onnxruntime; a size below zero, which some exporters write, is a free dimension."""
    free = (None, "")
    return Port(info.type, tuple(None if d in free or (isinstance(d, int) and d < 0) else d for d in info.shape or ()))
