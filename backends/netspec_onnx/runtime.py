"""Runs models in onnxruntime, and says which provider really ran."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Iterator, Mapping
from functools import cached_property
from itertools import count
from pathlib import Path
from threading import Lock

import numpy as np
import onnx
import onnxruntime as ort

from netspec.backend import Result
from netspec.diagnostics.errors import DataError, MissingError, NetspecError, UsageError
from netspec.diagnostics.text import clip, one_line
from netspec.files.parts import scratch
from netspec.ir.graph import Graph
from netspec.running.convert import fit
from netspec.running.place import Place, at
from netspec.running.ports import EXTENDED, PLAIN, Port, Value
from netspec.running.sizes import check
from netspec_onnx.binding import Binding
from netspec_onnx.build_model import SIZES_KEY, WEIGHTS_KEY, build_model, weight_bytes
from netspec_onnx.options import DEFAULTS, OnnxOptions
from netspec_onnx.providers import LATE, PROVIDERS, chain, gpu_name, preload, provider_of, without
from netspec_onnx.values import from_runtime, to_runtime
from netspec_onnx.write import LIMIT, write_model

FATAL_ONLY = 4
MOST_SAID = 500
"""Characters of what a model says of its sizes."""
SHAPES = 8
"""For how many sets of input shapes values are kept on a device."""

Model = onnx.ModelProto | Path
"""A model, or its file."""


def session(
    model: Model, device: str | Place = "cpu", options: ort.SessionOptions | None = None
) -> ort.InferenceSession:
    """A session of a ModelProto or a file on a device; raises MissingError instead of falling back to another."""
    place = at(device)
    asked = provider_of(place).name
    ort.set_default_logger_severity(FATAL_ONLY)  # its errors are raised, and said below
    options = options or ort.SessionOptions()
    options.log_severity_level = FATAL_ONLY
    if place.threads:
        options.intra_op_num_threads = place.threads
    source = _readable(model) if isinstance(model, Path) else model.SerializeToString()
    said = ""
    try:
        said = preload(place)
        chosen = chain(place, place.kind == "tensorrt" and _is_half(model))
        # Else one that fails, here or in a run, is replaced by the CPU, and the reason is printed.
        made = ort.InferenceSession(source, options, providers=chosen, enable_fallback=0)
    except Exception as e:  # onnxruntime raises its own classes, which share no base but Exception
        if lacking := _kernel(str(e), asked, model):
            raise lacking from None
        if _REFUSED.search(str(e)) or place.kind == "cpu":
            raise _refused(e, place) from None
        raise without(place, said, str(e)) from None
    if made.get_providers()[0] != asked:
        raise without(place, said, f"it fell back to {made.get_providers()[0]}")
    return made


_REFUSED = re.compile(r"INVALID_(?:GRAPH|PROTOBUF|ARGUMENT)|graph capture feature|NO_SUCHFILE|Load model .* failed")
"""What onnxruntime says of a model, on whatever device."""


def _refused(error: Exception, place: Place) -> DataError:
    help = "some operators do not run on the GPU: leave out the CUDA graph" if place.cuda_graph else ""
    return DataError("NS703", f"onnxruntime refuses the model: {str(error).strip()[:500]}", help)


def _graph(model: Model) -> onnx.GraphProto:
    """The graph of a model, of a file without weights that lie next to it."""
    return (onnx.load(model, load_external_data=False) if isinstance(model, Path) else model).graph


def _is_half(model: Model) -> bool:
    """Whether a model has weights in float16."""
    return any(tensor.data_type == onnx.TensorProto.FLOAT16 for tensor in _graph(model).initializer)


def _is_bfloat16(model: Model) -> bool:
    """Whether a model computes in bfloat16: its inputs or weights have the type, or it casts to it."""
    graph = _graph(model)
    kinds = {value.type.tensor_type.elem_type for value in graph.input} | {t.data_type for t in graph.initializer}
    kinds |= {attribute.i for node in graph.node if node.op_type == "Cast" for attribute in node.attribute}
    return onnx.TensorProto.BFLOAT16 in kinds


_KERNEL = re.compile(
    r"NOT_IMPLEMENTED : .*?for (?:the node )?(?:.*:)?(\w+\(\d+\))(?: node with name '(.*)')?", re.DOTALL
)


def _kernel(said: str, provider: str, model: Model | None) -> MissingError | None:
    """The error of a runtime that has no kernel for an operator in the type of the model; None for another error.

    A lower operator set is suggested where the model is known, and can have one: those take less of bfloat16, not more.
    """
    if (found := _KERNEL.search(said)) is None:
        return None
    node = f" of the node '{found[2][:200]}'" if found[2] else ""
    lower = ", or a lower --opset," if model is not None and not _is_bfloat16(model) else ""
    return MissingError(
        f"onnxruntime has no kernel for {found[1]}{node} in this type on {provider}",
        f"another --dtype of compile{lower} is written with operators that it has; another device may have the kernel",
    )


def _readable(path: Path) -> str:
    try:
        with path.open("rb"):
            # Data files stand next to the model itself; onnxruntime looks for them next to a link to it.
            return os.path.realpath(path) if path.is_symlink() and path.is_file() else str(path)
    except OSError as e:
        raise UsageError(f"{path} cannot be read: {e.strerror}") from None


def run_graph(
    graph: Graph,
    arrays: Mapping[str, np.ndarray],
    inputs: Mapping[str, Value],
    device: str | Place,
    repeat: int,
    options: OnnxOptions,
) -> Result:
    """Runs a graph once to warm up, then `repeat` times; raises MissingError, DataError."""
    return opened(graph, arrays, device, options).run(inputs, repeat)


def opened(
    graph: Graph, arrays: Mapping[str, np.ndarray], device: str | Place = "cpu", options: OnnxOptions = DEFAULTS
) -> Opened:
    """A graph in a session, by way of a file where one message cannot hold the weights; raises as `session` does."""
    if weight_bytes(graph, options) <= LIMIT:
        return Opened(build_model(graph, arrays, options), device)
    with scratch() as folder:
        path = Path(folder, "model.onnx")
        write_model(graph, arrays, path, options)
        return Opened(path, device)


def run_model(model: Model, inputs: Mapping[str, Value], device: str | Place = "cpu", repeat: int = 1) -> Result:
    """Runs a model once to warm up, then `repeat` times; raises MissingError, DataError."""
    return Opened(model, device).run(inputs, repeat)


class Opened:
    """A model in a session: what it takes and gives, and runs of it."""

    def __init__(self, model: Model, device: str | Place = "cpu", options: ort.SessionOptions | None = None) -> None:
        self.place = at(device)
        self.session = session(model, self.place, options)
        self._bound: dict[tuple[object, ...], Binding] = {}
        self._graphs, self._lock, self._memory = count(), Lock(), PROVIDERS[self.place.kind].memory
        try:
            self.inputs = {i.name: _port(i) for i in self.session.get_inputs()}
            self.outputs = {o.name: _port(o) for o in self.session.get_outputs()}
            said = self.session.get_modelmeta().custom_metadata_map
            self.weights = str(said.get(WEIGHTS_KEY, ""))
            """What the model says of its weights, such as `random, seed 0`; empty where it says nothing."""
            self.sizes = clip(one_line(str(said.get(SIZES_KEY, ""))), MOST_SAID)
            """What it says of the heights and widths that it takes; empty where it says nothing."""
        except UnicodeDecodeError as e:  # onnxruntime takes any bytes for a name
            raise DataError("NS703", f"the model has a name that is not UTF-8: {e.object[:60]!r}") from None

    def run(self, inputs: Mapping[str, Value], repeat: int = 1) -> Result:
        """Runs once to warm up, then `repeat` times; raises DataError where an input does not fit, or a run fails."""
        check(self.inputs, inputs)
        try:
            found, latency = self._run(inputs, repeat)
        except NetspecError:
            raise
        except Exception as e:  # as above
            if LATE.search(str(e)):
                raise without(self.place, "", str(e)) from None
            if lacking := _kernel(str(e), self.provider, None):
                raise lacking from None
            help = f"the model says: {self.sizes.partition(':')[0]}" if self.sizes else ""
            raise DataError("NS703", f"onnxruntime cannot run the model: {str(e).strip()[:500]}", help) from None
        return Result(found, self.provider, latency)

    @cached_property
    def provider(self) -> str:
        """The execution provider that runs it, of NVIDIA's with the name of the GPU."""
        found = str(self.session.get_providers()[0])
        on_gpu = any(found == provider.name and provider.gpu for provider in PROVIDERS.values())
        gpu = gpu_name(self.place) if on_gpu else ""
        return f"{found} ({gpu})" if gpu else found

    def _run(self, inputs: Mapping[str, Value], repeat: int) -> tuple[dict[str, Value], list[float]]:
        """The outputs, and the milliseconds of the runs after the first."""
        feed, through_values = self._feed(inputs)
        plain = {name: value for name, value in feed.items() if isinstance(value, np.ndarray) and value.size}
        if self._memory and not through_values and len(plain) == len(feed) and self._numbers():
            with self._lock:  # what lies on the device is of one run at a time
                bound = self._binding(plain)
                latency = list(_timed(bound.run, repeat))
                return dict(bound.get()), latency
        outputs = list[object]()

        def call() -> None:
            run = self.session.run_with_ort_values if through_values else self.session.run
            outputs[:] = run(None, feed)

        call()
        latency = list(_timed(call, repeat))
        return {name: from_runtime(value) for name, value in zip(self.outputs, outputs, strict=True)}, latency

    def _numbers(self) -> bool:
        """Whether all that enters and leaves is arrays of numbers that numpy has."""
        ports = (*self.inputs.values(), *self.outputs.values())
        return all(port.kind == "tensor" and port.element in PLAIN and port.element != "string" for port in ports)

    def _binding(self, feed: Mapping[str, np.ndarray]) -> Binding:
        """The values on the device for the shapes of these inputs, after a run with them."""
        key = tuple(value.shape for value in feed.values())
        if (found := self._bound.get(key)) is not None:
            found.put(feed)
            found.run()
            return found
        while len(self._bound) >= SHAPES:
            del self._bound[next(iter(self._bound))]
        graph = next(self._graphs) if self.place.cuda_graph else None
        made = Binding(self.session, feed, self._memory, int(self.place.which or 0), graph)
        self._bound[key] = made
        return made

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


def _timed(call: Callable[[], object], repeat: int) -> Iterator[float]:
    """The milliseconds of each of `repeat` calls."""
    for _ in range(repeat):
        start = time.perf_counter()
        call()
        yield (time.perf_counter() - start) * 1000


def _port(info: ort.NodeArg) -> Port:
    """A node argument of onnxruntime; a size below zero, which some exporters write, is a free dimension."""
    free = (None, "")
    return Port(info.type, tuple(None if d in free or (isinstance(d, int) and d < 0) else d for d in info.shape or ()))
