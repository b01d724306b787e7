"""The ONNX backend: in goes a graph; out comes a model, flat or with blocks as functions; onnxruntime runs it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from netspec.backend import Backend, KeepsReady, OpensModels, Result, Runs, Written, importing
from netspec.diagnostics.errors import UsageError
from netspec.ir.graph import Graph
from netspec.running.place import Place
from netspec.running.ways import LooksIntoModels, Prepared, Prepares, ReadsImages, Way
from netspec_onnx.options import DEFAULTS, FORMS, OnnxOptions
from netspec_onnx.presets import PRESETS

if TYPE_CHECKING:
    import numpy as np

    from netspec.running.ports import Value
    from netspec_onnx.model_file import Model
    from netspec_onnx.runtime import Opened


class OnnxBackend(Backend[OnnxOptions], Runs, KeepsReady, OpensModels, Prepares, LooksIntoModels, ReadsImages):
    """Writes and runs ONNX models; onnx and onnxruntime are imported where they are needed."""

    name = "onnx"
    suffix = ".onnx"
    summary = "ONNX model, run by onnxruntime"
    options = OnnxOptions
    product = "an ONNX model"
    forms = FORMS
    dtypes = ("float32", "float16", "bfloat16", "int8")
    level = 1

    def emit(self, graph: Graph, arrays: Mapping[str, np.ndarray], target: Path, options: OnnxOptions) -> Written:
        """Writes a checked model; raises DataError, UsageError, MissingError."""
        with importing(self.name, "onnx"):
            from netspec_onnx.write import write_model
        if options.for_ is not None and (why := PRESETS[options.for_].lacks.get(options.dtype)):
            taken = " and ".join(("float32", *PRESETS[options.for_].dtypes))
            raise UsageError(f"--for {options.for_} has no {options.dtype}: {why}", f"it has {taken}")
        if options.for_ is not None and options.functions == "keep" and PRESETS[options.for_].refuses_functions:
            reads = PRESETS[options.for_].reads
            raise UsageError(f"--functions keep is not for {options.for_}: {reads} refuses functions", "leave it out")
        if options.dtype == "int8":
            with importing(self.name, "onnxruntime"):
                from netspec_onnx.quantize import write_int8
            return write_int8(graph, arrays, Path(target), options)
        for name in ("calibrate", "keep_float", "reduce_range", "report"):
            if getattr(options, name) not in (None, False):
                option = f"--{name.replace('_', '-')}"
                raise UsageError(f"{option} goes with --dtype int8", f"add --dtype int8, or leave out {option}")
        return write_model(graph, arrays, Path(target), options)

    def run(
        self,
        graph: Graph,
        arrays: Mapping[str, np.ndarray],
        inputs: Mapping[str, Value],
        device: str | Place = "cpu",
        repeat: int = 1,
        options: OnnxOptions = DEFAULTS,
    ) -> Result:
        """Runs a graph in onnxruntime; raises MissingError where the library or the device is not there."""
        with importing(self.name, "onnxruntime"):
            from netspec_onnx.runtime import run_graph
        return run_graph(graph, arrays, inputs, device, repeat, options)

    def ready(self, graph: Graph, arrays: Mapping[str, np.ndarray], place: Place) -> Opened:
        """A graph in a session of onnxruntime; raises MissingError where the library or the device is not there."""
        with importing(self.name, "onnxruntime"):
            from netspec_onnx.runtime import opened
        return opened(graph, arrays, place)

    def run_file(self, path: Path, inputs: Mapping[str, Value], device: str | Place = "cpu", repeat: int = 1) -> Result:
        """Runs a model file in onnxruntime; raises MissingError, UsageError, DataError."""
        return self.open(path, device).run(inputs, repeat)

    def open(self, path: Path, device: str | Place = "cpu") -> Opened:
        """A model file in onnxruntime, to look at and to run; raises MissingError, UsageError, DataError."""
        with importing(self.name, "onnxruntime"):
            from netspec_onnx.runtime import Opened
        return Opened(Path(path), device)

    def prepare(self, graph: Graph, arrays: Mapping[str, np.ndarray], way: Way) -> Prepared:
        """A graph in a session; raises MissingError, UsageError, DataError."""
        with importing(self.name, "onnxruntime"):
            from netspec_onnx.prepared import prepare
            from netspec_onnx.quantize import prepare_int8
        return (prepare_int8 if way.dtype == "int8" else prepare)(graph, arrays, way)

    def look(self, path: Path) -> Model:
        """A model file, whose values between the steps can be looked at; raises MissingError, UsageError, DataError."""
        with importing(self.name, "onnxruntime"):
            from netspec_onnx.model_file import Model
        return Model(Path(path))

    def read_images(self, path: Path, graph: Graph, count: int) -> dict[str, np.ndarray]:
        """The first images of what `--calibrate` names; raises MissingError, UsageError, DataError."""
        with importing(self.name, "onnx"):
            from netspec_onnx.calibration import first_images
        return first_images(Path(path), graph, count)

    def read_pb(self, path: Path, type: str) -> Value:
        """A value out of an input_N.pb by the type of its input; raises MissingError, UsageError, DataError."""
        with importing(self.name, "onnx"):
            from netspec_onnx.protos import read_pb
        return read_pb(path, type)


BACKEND = OnnxBackend()
