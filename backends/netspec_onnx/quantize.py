"""Models in int8 by onnxruntime.quantization: calibrated on images, compared with float32, and what stays in float."""

from __future__ import annotations

import logging
import math
import warnings
from collections.abc import Iterator, Mapping, Sequence, Set
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
from onnxruntime.quantization import (
    CalibrationDataReader,
    CalibrationMethod,
    QDQQuantizer,
    QuantType,
    create_calibrator,
)
from onnxruntime.quantization.quant_utils import load_model_with_shape_infer
from onnxruntime.quantization.registry import QDQRegistry, QLinearOpsRegistry

from netspec.backend import Written
from netspec.diagnostics.errors import DataError, MissingError, UsageError
from netspec.files.atomic import check_writable
from netspec.files.parts import scratch
from netspec.ir.graph import Graph
from netspec.ir.module import Module
from netspec.passes.fold_batch_norm import fold_batch_norm
from netspec.running.ways import Way
from netspec.weights.lazy import Arrays, Lazy, computed
from netspec_onnx.build_model import weight_bytes
from netspec_onnx.calibration import Calibration, class_output, drawn, read_calibration
from netspec_onnx.channels import Equaliser, correct_biases, in_float, look
from netspec_onnx.float_layers import asked, between, candidates, ends, layers, names_of, shortest, shown_tensors
from netspec_onnx.noise import Answers, Noise, answers, compare, values, worst
from netspec_onnx.options import DEFAULTS, OnnxOptions
from netspec_onnx.precision import outer_element
from netspec_onnx.prepared import Ready, place_of
from netspec_onnx.quantize_report import ENOUGH, MEASURED, Report, Suggested, check_report, write_report
from netspec_onnx.readers import unread
from netspec_onnx.runtime import FATAL_ONLY, Opened
from netspec_onnx.versions import versions
from netspec_onnx.write import LIMIT, write_finished, write_model

FIRST_OPSET = 13
"""The first in which DequantizeLinear has an axis: a scale for each channel of a weight."""
AT_ONCE = 32
"""Images whose ranges the library keeps before they are merged."""
TRIES = 5
"""Models of which it is tried whether enough is in float."""
TRIALS, TRIED = 64, 4
"""Parts of a network of which it is tried what each of them loses, and the images that each is tried on."""
GAIN = 1.0
"""Decibels at the output for which the first and the last layers stay in float."""


def write_int8(graph: Graph, arrays: Mapping[str, np.ndarray], target: Path, options: OnnxOptions) -> Written:
    """Writes a model in int8 and says what it loses; raises UsageError, DataError, SpecError, MissingError."""
    _check(graph, target, options)
    graph, arrays = _folded(graph, arrays)
    kept = None if options.keep_float is None else asked(graph, options.keep_float)
    data = read_calibration(Path(options.calibrate or ""), graph, options.batch)
    single = replace(options, dtype="float32", external_data=False, calibrate=None, keep_float=None, report=None)
    with scratch() as folder:
        path = Path(folder, "float.onnx")
        first = write_model(graph, arrays, path, single)
        work = Quantizer(graph, path, data, options.reduce_range)
        made = work.kept(kept) if kept is not None else work.best_ends()
        poor = made.output.deciding < ENOUGH and math.isfinite(made.output.deciding)
        suggested = work.suggestion(made) if poor else None
        right = work.answers(made.model) if made.is_int8 else None
        report = Report(graph, data, made.steps, made.noise, made.outputs, right, _said(graph, suggested))
        model = _finished(made.model, work.exact)
    files = write_finished(model, target, bool(options.external_data))
    if options.report:
        files.append(write_report(report.table(), Path(options.report)))
    kind = ", int8" if made.is_int8 else ", nothing of it in int8"
    lines = report.lines() if made.is_int8 else [f"nothing is in int8: all {len(made.noise)} layers are in float32"]
    facts = first.facts.union(lines if made.is_int8 and not poor else ())
    return Written(files, first.note + kind, [*first.remarks, *lines], report.table(), facts)


def prepare_int8(graph: Graph, arrays: Mapping[str, np.ndarray], way: Way) -> Ready:
    """A graph in int8 in a session, by the ranges of random images; raises MissingError where nothing of it is."""
    if not any(step.result.weights for step in layers(graph)):
        raise MissingError(f"'{graph.name}' has no layer with weights that int8 is for", "in float16 it runs")
    graph, arrays = _folded(graph, arrays)
    with scratch() as folder:
        path = Path(folder, "float.onnx")
        write_model(graph, arrays, path, DEFAULTS)
        work = Quantizer(graph, path, drawn(graph, AT_ONCE), reduce_range=False)
        model = _finished(work.best_ends().model, work.exact)
    return Ready(lambda settings, _: Opened(model, place_of(way), settings), way)


def _said(graph: Graph, suggested: Quantized | None) -> Suggested | None:
    if suggested is None:
        return None
    kept = sum(step in suggested.steps for step in suggested.noise)
    return Suggested(shortest(graph, suggested.steps), kept, suggested.output.deciding)


def _check(graph: Graph, target: Path, options: OnnxOptions) -> None:
    """Raises UsageError for what cannot be, before anything is read."""
    check_writable(target)
    if options.report:
        check_report(options.report)
        check_writable(options.report)
    outer_element(options)
    if options.calibrate is None:
        raise UsageError("--dtype int8 needs images of what the network is for", "--calibrate FOLDER or FILE.npz")
    if options.functions == "keep":
        raise UsageError("a model in int8 is written flat", "leave out --functions keep")
    if options.opset is not None and options.opset < FIRST_OPSET:
        raise UsageError(f"opset {options.opset} has no scale for each channel of a weight", f"--opset {FIRST_OPSET}")
    found = unread(*versions(graph, replace(options, dtype="float32")))
    if found is not None:
        raise UsageError(f"{found.message}, and it makes models in int8", found.help)
    if not any(step for step in layers(graph) if step.result.weights):
        raise UsageError(f"'{graph.name}' has no layer with weights that int8 is for", "--dtype float16")
    if weight_bytes(graph, replace(options, dtype="float32")) > LIMIT:
        raise UsageError("a network of more than 2 GB of weights is not written in int8", "--dtype float16")


def _folded(graph: Graph, arrays: Mapping[str, np.ndarray]) -> tuple[Graph, Mapping[str, np.ndarray]]:
    """The network with its batch norms folded: int8 is for what multiplies, and a norm between would be in float."""
    module = fold_batch_norm(Module(graph))
    stored = arrays if isinstance(arrays, Arrays) else _lazily(arrays)
    return module.graph, computed(module, stored)


def _lazily(arrays: Mapping[str, np.ndarray]) -> Arrays:
    return Arrays({key: Lazy(value.shape, value.dtype, lambda v=value: v) for key, value in arrays.items()})  # type: ignore[misc]


@dataclass(frozen=True, slots=True)
class Quantized:
    """A model in int8, which steps of it are in float, and the noise of its layers and of its outputs."""

    model: onnx.ModelProto
    steps: frozenset[str]
    noise: Mapping[str, Noise]
    outputs: Mapping[str, Noise]

    @property
    def output(self) -> Noise:
        """The noise of the output that has most of it."""
        return worst(self.outputs.values())

    @property
    def is_int8(self) -> bool:
        """Whether anything of it is."""
        return any(node.op_type == "QuantizeLinear" for node in self.model.graph.node)


class Quantizer:
    """A network in float32 whose ranges are known, and what it becomes in int8."""

    def __init__(self, graph: Graph, path: Path, data: Calibration, reduce_range: bool) -> None:
        self.graph, self.data, self.reduce_range = graph, data, reduce_range
        ort.set_default_logger_severity(FATAL_ONLY)
        self.ops = sorted({*QDQRegistry, *QLinearOpsRegistry})
        self.exact = load_model_with_shape_infer(path)
        self.seen = look(self.exact, data)
        Equaliser(self.exact, self.seen).equalise()
        onnx.save(self.exact, path)
        self.ranges = self._ranges(path)

    def _ranges(self, path: Path) -> object:
        """The least and largest value of every tensor, over all images."""
        calibrator = create_calibrator(
            path,
            self.ops,
            augmented_model_path=str(path.with_name("ranges.onnx")),
            calibrate_method=CalibrationMethod.MinMax,
        )
        batches = (feed for feed, _ in self.data.batches())
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)  # of values that are not finite, which is an error below
            while (reader := _Reader(batches)).more:
                calibrator.collect_data(reader)
        ranges = calibrator.compute_data()
        for name, found in ranges.items():
            if not np.isfinite(np.asarray(found.range_value, np.float64)).all():
                message = f"with {self.data.source} '{name}' holds infinite values or NaN in float32"
                raise DataError("NS603", message, "other weights, or images scaled as those it was trained with")
        return ranges

    def kept(self, steps: Set[str]) -> Quantized:
        """The model in int8 but for these steps and what is between them, with its noise."""
        steps = between(self.graph, steps)
        made = self._quantised(exclude=names_of(self.exact, steps))
        shown = shown_tensors(self.exact, made, [node.path for node in layers(self.graph)])
        outputs = {name: name for name in self.graph.outputs}
        names = {**dict(shown.values()), **outputs}
        found = compare(
            names,
            values(self.exact, list(names), self.data, MEASURED),
            values(made, list(names.values()), self.data, MEASURED),
        )
        noise = {step: found[value] for step, (value, _) in shown.items()}
        return Quantized(made, frozenset(steps), noise, {name: found[name] for name in outputs})

    def _quantised(self, only: Sequence[str] = (), exclude: Sequence[str] = ()) -> onnx.ModelProto:
        """The model in int8, or `only` these nodes of it."""
        model = onnx.ModelProto()
        model.CopyFrom(self.exact)
        quantizer = _WholeOutputs(
            model,
            per_channel=True,
            reduce_range=self.reduce_range,
            weight_qType=QuantType.QInt8,
            activation_qType=QuantType.QUInt8,
            tensors_range=self.ranges,
            nodes_to_quantize=list(only),
            nodes_to_exclude=list(exclude),
            op_types_to_quantize=self.ops,
            extra_options={},
        )
        with _unheard():
            quantizer.quantize_model()
        quantizer.model.topological_sort()
        made: onnx.ModelProto = quantizer.model.model
        correct_biases(made, self.exact, self.seen)
        in_float(made, self.graph.outputs)
        return made

    def best_ends(self) -> Quantized:
        """All in int8 where that is good enough, or where it loses nothing to the ends in float."""
        whole = self.kept(frozenset())
        if whole.output.deciding >= ENOUGH:
            return whole
        without = self.kept(ends(self.graph))
        gains = without.output.deciding >= whole.output.deciding + GAIN
        return without if gains and without.is_int8 else whole

    def suggestion(self, made: Quantized) -> Quantized | None:
        """The model with more in float, so that its outputs are good enough; None where none is in int8 too.

        What loses most when it alone is in int8 is kept first (Wu et al. 2020, section 5.2: partial quantization). How
        much is needed is guessed by the sum of the others, as small noise that is independent adds up, and then tried.
        """
        alone = self._alone(made.steps)
        order = sorted(alone, key=lambda steps: -alone[steps])
        most = 10 ** (-ENOUGH / 10)
        guess = next(i for i in range(len(order) + 1) if sum(alone[s] for s in order[i:]) <= most)
        low, high, best, reached = 0, len(order), None, False
        count = max(1, guess)
        for _ in range(TRIES):
            found = self.kept(asked(self.graph, shortest(self.graph, made.steps.union(*order[:count]))))
            if found.output.deciding >= ENOUGH:
                best, high, reached = found if found.is_int8 else best, count, True
            else:
                low = count
            if high - low <= 1 and reached:
                break
            count = (low + high) // 2 if reached else min(len(order), low + max(1, low // 2))
        return best

    def _alone(self, kept: Set[str]) -> dict[tuple[str, ...], float]:
        """The noise over signal at the output of the model in which one step, or a few in a row, is in int8 alone."""
        after = candidates(self.graph, self.exact, self.ops)
        steps = [step for step in after if step not in kept]
        each = -(-len(steps) // TRIALS)
        outputs, found = list(self.graph.outputs), {}
        exact = list(values(self.exact, outputs, self.data, TRIED))
        for group in (tuple(steps[i : i + each]) for i in range(0, len(steps), each)):
            made = self._quantised(only=names_of(self.exact, set().union(*(after[step] for step in group))))
            noise = compare(outputs, exact, values(made, outputs, self.data, TRIED))
            found[group] = max(10 ** (-one.deciding / 10) for one in noise.values())
        return found

    def answers(self, model: onnx.ModelProto) -> Answers | None:
        """The right answers before and after, where the images have labels."""
        output = class_output(self.graph)
        return answers(self.exact, model, output, self.data) if self.data.labels is not None and output else None


class _WholeOutputs(QDQQuantizer):  # type: ignore[misc, unused-ignore]
    """The library's, which gives what one ReLU alone reads the range of the ReLU, an output of the model too."""

    def adjust_tensor_ranges(self) -> None:
        """Chooses the ranges: an output has that of its own values, whatever reads it."""
        ends, ranges = {output.name for output in self.model.graph().output}, self.tensors_range
        cut = {node.input[0] for node in self.model.nodes() if node.op_type in ("Clip", "Relu")}
        own = {name: ranges[name] for name in ends & cut if name in ranges}
        super().adjust_tensor_ranges()
        for name, found in own.items():
            ranges[name] = found


class _Reader(CalibrationDataReader):  # type: ignore[misc, unused-ignore]
    """Some of the inputs, so that the library keeps the ranges of no more images at once."""

    def __init__(self, batches: Iterator[dict[str, np.ndarray]]) -> None:
        self.first, self.rest, self.left = next(batches, None), batches, AT_ONCE
        self.more = self.first is not None

    def get_next(self) -> dict[str, np.ndarray] | None:
        """The inputs of the next run; None after the last."""
        feed, self.left = self.first, self.left - 1
        self.first = next(self.rest, None) if self.left > 0 else None
        return feed


@contextmanager
def _unheard() -> Iterator[None]:
    """Without what the library logs: that a weight of a norm has one scale, which is nothing that a user can change.

    Its calls would also give a program that logs nothing a handler for good, which then prints what others log.
    """
    root, handler, before = logging.getLogger(), logging.NullHandler(), logging.root.manager.disable
    root.addHandler(handler)
    logging.disable(max(before, logging.WARNING))
    try:
        yield
    finally:
        logging.disable(before)
        root.removeHandler(handler)


def _finished(model: onnx.ModelProto, exact: onnx.ModelProto) -> onnx.ModelProto:
    """The model without what the library leaves in it: tensors and constants that nothing reads, notes of its own."""
    read = {name for node in model.graph.node for name in node.input} | {o.name for o in model.graph.output}
    live = [node for node in model.graph.node if node.op_type != "Constant" or read.intersection(node.output)]
    del model.graph.node[:]
    model.graph.node.extend(live)
    used = [tensor for tensor in model.graph.initializer if tensor.name in read]
    del model.graph.initializer[:]
    model.graph.initializer.extend(used)
    model.producer_name, model.producer_version = exact.producer_name, exact.producer_version
    kept = [prop for prop in model.metadata_props if not prop.key.startswith("onnx.")]
    del model.metadata_props[:]
    model.metadata_props.extend(kept)
    try:
        onnx.checker.check_model(model, full_check=True)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as e:
        message = f"onnx.checker refuses the model that onnxruntime made: {str(e)[:500]}"
        raise DataError("NS603", message, "--keep-float for the step that it names, or --dtype float16") from None
    return model
