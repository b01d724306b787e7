"""The ONNX backend: in goes a graph; out comes a model with blocks as functions, which onnxruntime runs."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from netspec.backend import Options, Result, importing
from netspec.diagnostics.errors import UsageError
from netspec.ir.graph import Graph

if TYPE_CHECKING:
    import numpy as np

    from netspec_onnx.runtime import Opened


DEFAULTS = Options()


class OnnxBackend:
    """Writes and runs ONNX models."""

    name = "onnx"
    suffix = ".onnx"
    summary = "ONNX model with blocks as functions, run by onnxruntime"

    def emit(self, graph: Graph, arrays: Mapping[str, np.ndarray], target: Path, options: Options) -> list[Path]:
        """Writes a checked model; gives the files written; raises DataError, UsageError, MissingError."""
        with importing(self.name, "onnx"):
            from netspec_onnx.write import write_model
        if not options.weights:
            raise UsageError("an ONNX model has its weights in it", "--no-weights goes with --to torch")
        return write_model(graph, arrays, Path(target), options)

    def note(self, graph: Graph, options: Options) -> str:
        """The versions that a model of this graph is written in; raises UsageError."""
        with importing(self.name, "onnx"):
            from netspec_onnx.build_model import versions
        return "opset {}, IR version {}".format(*versions(graph, options))

    def run(
        self,
        graph: Graph,
        arrays: Mapping[str, np.ndarray],
        inputs: Mapping[str, np.ndarray],
        device: str = "cpu",
        repeat: int = 1,
        options: Options = DEFAULTS,
    ) -> Result:
        """Runs a graph in onnxruntime; raises MissingError where the library or the device is not there."""
        with importing(self.name, "onnxruntime"):
            from netspec_onnx.runtime import run_graph
        return run_graph(graph, arrays, inputs, device, repeat, options)

    def run_file(self, path: Path, inputs: Mapping[str, np.ndarray], device: str = "cpu", repeat: int = 1) -> Result:
        """Runs a model file in onnxruntime; raises MissingError, UsageError, DataError."""
        with importing(self.name, "onnxruntime"):
            from netspec_onnx.runtime import run_model
        return run_model(Path(path), inputs, device, repeat)

    def open(self, path: Path, device: str = "cpu") -> Opened:
        """A model file in onnxruntime, to look at and to run; raises MissingError, UsageError, DataError."""
        with importing(self.name, "onnxruntime"):
            from netspec_onnx.runtime import Opened
        return Opened(Path(path), device)

    def read_pb(self, path: Path, type: str) -> Any:
        """A value out of an input_N.pb by the type of its input; raises MissingError, UsageError, DataError."""
        with importing(self.name, "onnx"):
            from netspec_onnx.protos import read_pb
        return read_pb(path, type)

    def signature(self, path: Path) -> dict[str, tuple[int | str, ...]]:
        """The inputs of a model file by name, with their shapes; raises MissingError, UsageError, DataError."""
        with importing(self.name, "onnxruntime"):
            from netspec_onnx.runtime import signature
        return signature(Path(path))


BACKEND = OnnxBackend()
