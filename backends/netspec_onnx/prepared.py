"""Models that are kept ready to run in onnxruntime; their times, step by step too."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np
import onnx
import onnxruntime as ort

from netspec.diagnostics.errors import UsageError, did_you_mean
from netspec.files.parts import scratch
from netspec.ir.graph import Graph
from netspec.running.place import Place
from netspec.running.ports import Value
from netspec.running.ways import Way
from netspec_onnx.build_model import build_model, weight_bytes
from netspec_onnx.inlined import inlined
from netspec_onnx.options import DEFAULTS, FORMS, OnnxOptions
from netspec_onnx.runtime import Opened
from netspec_onnx.step_names import step_of
from netspec_onnx.write import write_model

FUNCTIONS: Mapping[str, Literal["keep", "inline"]] = {"flat": "inline", "functions": "keep"}
LARGE = 64 * 2**20
"""Bytes of weights above which a model goes by way of a file."""


def options_of(way: Way) -> OnnxOptions:
    """How the model of a way is written; raises UsageError."""
    form = way.form or next(iter(FORMS))
    if form not in FORMS:
        raise UsageError(f"the ONNX backend has no form '{form}'", did_you_mean(form, FORMS))
    return replace(DEFAULTS, dtype=way.dtype, functions=FUNCTIONS[form])  # type: ignore[arg-type]


def prepare(graph: Graph, arrays: Mapping[str, np.ndarray], way: Way) -> Ready:
    """A graph in a session; raises MissingError, UsageError, DataError.

    Large weights go by way of a file, which onnxruntime maps into memory: a message of them would be there three times.
    """
    options = options_of(way)

    def opened(settings: ort.SessionOptions, profiled: bool) -> Opened:
        chosen = replace(options, functions="inline") if profiled else options
        if weight_bytes(graph, options) <= LARGE:
            return Opened(build_model(graph, arrays, chosen), place_of(way), settings)
        with scratch() as folder:
            path = Path(folder, "model.onnx")
            write_model(graph, arrays, path, replace(chosen, external_data=True))
            return Opened(path, place_of(way), settings)

    return Ready(opened, way)


def prepare_file(model: onnx.ModelProto | Path, way: Way, folder: Path) -> Ready:
    """A model file, or a changed model of one whose weights may stand in its folder; raises MissingError, DataError."""

    def opened(settings: ort.SessionOptions, profiled: bool) -> Opened:
        source = model
        if profiled and isinstance(model, Path):
            source = inlined(onnx.load(model, load_external_data=False))
        settings.add_session_config_entry("session.model_external_initializers_file_folder_path", str(folder))
        return Opened(source, place_of(way), settings)

    return Ready(opened, way)


def place_of(way: Way) -> Place:
    """Where it runs: float32 is multiplied as such, so that results can be compared."""
    return Place(way.device, way.threads, exact=True)


class Ready:
    """A model in a session."""

    def __init__(self, opens: Callable[[ort.SessionOptions, bool], Opened], way: Way) -> None:
        self.way, self.opens = way, opens
        self.opened = opens(self._options(), False)

    @property
    def provider(self) -> str:
        """The execution provider that runs it, of NVIDIA's with the name of the GPU."""
        return self.opened.provider

    def run(self, inputs: Mapping[str, Value]) -> dict[str, Value]:
        """Its outputs by name; raises DataError."""
        return self.opened.run(inputs, 0).outputs

    def time(self, inputs: Mapping[str, Value], warmup: int, repeat: int) -> list[float]:
        """The milliseconds of each run after those to warm up."""
        if warmup > 1:
            self.opened.run(inputs, warmup - 2)  # it runs once more than it is timed, as the next call does
        return self.opened.run(inputs, repeat).latency_ms

    def profile(self, inputs: Mapping[str, Value], repeat: int) -> dict[str, float]:
        """The milliseconds in each step, by onnxruntime's profile of its kernels; "" has those of no step."""
        with scratch() as folder:
            options = self._options()
            options.enable_profiling = True
            options.profile_file_prefix = str(Path(folder, "profile"))
            opened = self.opens(options, True)
            opened.run(inputs, repeat)
            events = json.loads(Path(opened.session.end_profiling()).read_text(encoding="utf-8"))
        runs = repeat + 1  # the one to warm up is in the profile: its kernels are the first of their names
        found: dict[str, list[float]] = {}
        for event in events:
            if event.get("cat") == "Node" and event["name"].endswith("_kernel_time"):
                found.setdefault(event["name"].removesuffix("_kernel_time"), []).append(event["dur"] / 1000)
        spent = {"": 0.0}
        for name, times in found.items():
            path = step_of(name)
            timed = times[len(times) // runs :]
            spent[path] = spent.get(path, 0.0) + sum(timed) / repeat
        return spent

    def _options(self) -> ort.SessionOptions:
        """Several models are timed in turn: threads of one that wait for more work would take the others' cores."""
        options = ort.SessionOptions()
        options.intra_op_num_threads = self.way.threads
        options.add_session_config_entry("session.force_spinning_stop", "1")
        return options
