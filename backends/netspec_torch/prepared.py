"""Modules that are kept ready to run: eager, out of a written file, or compiled; their times, step by step too."""

from __future__ import annotations

import runpy
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch

from netspec import __version__
from netspec.backend import Result
from netspec.diagnostics.errors import DataError, MissingError, UsageError, did_you_mean
from netspec.files.atomic import together
from netspec.files.parts import scratch
from netspec.ir.graph import Graph
from netspec.running.convert import fit
from netspec.running.place import Place
from netspec.running.ports import Port, Value
from netspec.running.sizes import check
from netspec.running.ways import Way
from netspec_torch.codegen import Emitter, source
from netspec_torch.options import DEFAULTS, FORMS, WeightsFile
from netspec_torch.runtime import single, to_module
from netspec_torch.weights import save

DTYPES = {
    "float32": torch.float32,
    "float16": torch.float16,
    "bfloat16": torch.bfloat16,
    "float64": torch.float64,
}


def prepare(graph: Graph, arrays: Mapping[str, np.ndarray], way: Way) -> Module:
    """A module that is ready to run; raises MissingError, UsageError, DataError."""
    form = way.form or next(iter(FORMS))
    if form not in FORMS:
        raise UsageError(f"PyTorch has no form '{form}'", did_you_mean(form, FORMS))
    if way.dtype not in DTYPES:
        raise UsageError(f"the torch backend does not compute in {way.dtype}", f"known: {', '.join(DTYPES)}")
    if way.device not in ("cpu", "cuda"):
        raise UsageError(f"there is no device '{way.device}'", "known: cpu, cuda")
    if way.device == "cuda" and not torch.cuda.is_available():
        raise MissingError("this PyTorch cannot use CUDA", "install a CUDA build of torch, and a driver")
    made = from_file(graph, arrays) if form == "source" else to_module(graph, arrays)
    with errors_of(way):
        made = made.eval().to(way.device, DTYPES[way.dtype])
        if form == "channels_last":
            made = made.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return Module(graph, made, way, form == "compile")


@contextmanager
def errors_of(way: Way, compiled: bool = False) -> Iterator[None]:
    """What PyTorch raises becomes an error of ours."""
    try:
        yield
    except (RuntimeError, IndexError, ValueError) as e:  # sizes that do not go together, or too little memory
        if "not implemented for" in str(e):
            raise MissingError(f"PyTorch has no kernel on {way.device}: {str(e)[:300]}") from None
        if compiled and "compiler" in str(e).lower():
            raise MissingError(f"torch.compile: {str(e)[:300]}", "it needs a C++ compiler such as g++") from None
        raise DataError("NS703", f"PyTorch cannot run the network: {str(e)[:500]}") from None


def from_file(graph: Graph, arrays: Mapping[str, np.ndarray]) -> torch.nn.Module:
    """The module of the file that `compile --to torch` writes, with the weights that the file loads."""
    with scratch() as folder:
        path = Path(folder, "network.py")
        with together(path) as new:
            weights = new.add("network.pth", hashed=True)
            save(graph, arrays, weights)
            text = source(graph, DEFAULTS, WeightsFile("network.pth", weights.sha256()))
            new.add("network.py").write(text.encode("utf-8"))
        module = runpy.run_path(str(path))["load"]()
    assert isinstance(module, torch.nn.Module)
    return module


class Module:
    """A module with what it takes and gives."""

    def __init__(self, graph: Graph, module: torch.nn.Module, way: Way, compiled: bool) -> None:
        self.graph, self.module, self.way = graph, module, way
        self.call: Callable[..., torch.Tensor | dict[str, torch.Tensor]] = module
        if compiled:
            self.call = torch.compile(module)
        self.compiled = compiled
        self.ports = {str(n.path): Port("tensor(float)", n.shape) for n in graph.inputs}

    @property
    def provider(self) -> str:
        """`torch cpu`, or with the name of the GPU."""
        return f"torch {torch.cuda.get_device_name() if self.way.device == 'cuda' else 'cpu'}"

    def run(self, inputs: Mapping[str, Value]) -> dict[str, Value]:
        """Its outputs by name, in float32; raises DataError, MissingError."""
        with self._running():
            result = self.call(*self._given(inputs))
            found = result if isinstance(result, dict) else {single(self.graph): result}
            return {name: value.float().cpu().numpy() for name, value in found.items()}

    def time(self, inputs: Mapping[str, Value], warmup: int, repeat: int) -> list[float]:
        """The milliseconds of each run after those to warm up."""
        times = []
        with self._running():
            given = self._given(inputs)
            for i in range(warmup + repeat):
                start = self._now()
                self.call(*given)
                if i >= warmup:
                    times.append(1000 * (self._now() - start))
        return times

    def profile(self, inputs: Mapping[str, Value], repeat: int) -> dict[str, float]:
        """The milliseconds in each layer, by hooks around it; what `forward` does by expressions is in none of them."""
        if self.compiled:
            raise UsageError("a compiled module has no layers that could be timed", "torch:eager has")
        spent, began = dict.fromkeys(self._places().values(), 0.0), dict[str, float]()

        def before(path: str) -> Callable[[object, object], None]:
            return lambda module, args: began.update({path: self._now()})

        def after(path: str) -> Callable[[object, object, object], None]:
            return lambda module, args, out: spent.update({path: spent[path] + self._now() - began[path]})

        hooks = []
        for place, path in self._places().items():
            layer = self.module.get_submodule(place)
            hooks += [layer.register_forward_pre_hook(before(path)), layer.register_forward_hook(after(path))]
        try:
            self.time(inputs, 1, 0)
            spent.update(dict.fromkeys(spent, 0.0))
            total = sum(self.time(inputs, 0, repeat))
        finally:
            for hook in hooks:
                hook.remove()
        found = {path: 1000 * seconds / repeat for path, seconds in spent.items()}
        return {**found, "": max(0.0, total / repeat - sum(found.values()))}

    def _places(self) -> dict[str, str]:
        """The path of the step whose layer is at a place of the module."""
        emitter = Emitter(self.graph)
        emitter.source(__version__)
        known = dict(self.module.named_modules())
        found: dict[str, str] = {}
        for path in self.graph.nodes:
            if (place := emitter.place(path)) is not None and place in known:
                found.setdefault(place, path)
        return found

    def _now(self) -> float:
        if self.way.device == "cuda":
            torch.cuda.synchronize()
        return time.perf_counter()

    def _given(self, inputs: Mapping[str, Value]) -> list[torch.Tensor]:
        check(self.ports, inputs, "the network")
        fitted = [
            fit(inputs[name], port, f"the input '{name}'", lambda said: None) for name, port in self.ports.items()
        ]
        return [torch.from_numpy(np.array(v)).to(self.way.device, DTYPES[self.way.dtype]) for v in fitted]

    @contextmanager
    def _running(self) -> Iterator[None]:
        """Without gradients, on as many threads as were asked for; what PyTorch raises becomes an error of ours."""
        before = torch.get_num_threads()
        if self.way.threads:
            torch.set_num_threads(self.way.threads)
        try:
            with (
                errors_of(self.way, self.compiled),
                torch.inference_mode(),
                torch.backends.cudnn.flags(allow_tf32=False),  # float32 is float32
            ):
                yield
        finally:
            torch.set_num_threads(before)


class Kept:
    """A module for many runs, whose results say what really ran and how long."""

    weights = sizes = ""

    def __init__(self, graph: Graph, arrays: Mapping[str, np.ndarray], place: Place) -> None:
        if place.cuda_graph:
            raise UsageError("the torch backend records no CUDA graphs", "--backend onnx")
        self.module = prepare(graph, arrays, Way("", "float32", place.device, place.threads))
        self.inputs: Mapping[str, Port] = self.module.ports
        shown = {name: output.ref for name, output in graph.outputs.items() if not output.training_only}
        self.outputs: Mapping[str, Port] = {n: Port("tensor(float)", graph.shape(ref)) for n, ref in shown.items()}

    @property
    def provider(self) -> str:
        """`torch cpu`, or with the name of the GPU."""
        return self.module.provider

    def run(self, inputs: Mapping[str, Value], repeat: int = 1) -> Result:
        """Runs once, then `repeat` times for their latency; raises DataError."""
        found = self.module.run(inputs)
        return Result(found, self.provider, self.module.time(inputs, 0, repeat) if repeat else [])
