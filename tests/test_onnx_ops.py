"""Every op as ONNX: onnxruntime gives what torch's functions give, and strict inference gives netspec's shape."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import pytest
import torch
from conformance import CASES, IDS, Reference, Shapes, arrays_of, one_op
from conftest import sampled
from netspec_onnx.build_model import OPSET, build_model
from netspec_onnx.lowering import ROWS
from netspec_onnx.options import OnnxOptions
from onnx.reference import ReferenceEvaluator

from netspec.backend import get
from netspec.ops import OPS
from netspec.weights.initialise import draw


def test_every_row_is_of_an_op_that_has_a_case() -> None:
    assert {op for op, *_ in CASES} == set(ROWS)


def run(model: onnx.ModelProto, inputs: dict[str, np.ndarray], optimised: bool = True) -> list[np.ndarray]:
    options = ort.SessionOptions()
    options.log_severity_level = 3
    if not optimised:
        options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return session.run(None, inputs)


@pytest.mark.parametrize("op, attrs, shapes, reference", CASES, ids=IDS)
def test_onnxruntime_gives_what_torch_gives(
    op: str, attrs: dict[str, Any], shapes: Shapes, reference: Reference
) -> None:
    graph = one_op(op, attrs, shapes)
    weights = draw(graph, seed=3)
    model = build_model(graph, weights, OnnxOptions())
    named = {key.removeprefix("step."): torch.from_numpy(value) for key, value in weights.items()}
    for batch in sampled((2, 1, 7), 1):
        inputs = arrays_of(shapes, batch)
        wanted = reference(*map(torch.from_numpy, inputs.values()), named)
        wanted = list(wanted) if isinstance(wanted, tuple | list) else [wanted]
        for optimised in (True, False):
            got = run(model, inputs, optimised)
            assert len(got) == len(wanted)
            for mine, theirs in zip(got, wanted, strict=True):
                assert mine.shape == tuple(theirs.shape)
                error = np.abs(mine - theirs.numpy()).max()
                assert error <= OPS[op].tolerance * np.abs(theirs.numpy()).max(), f"N = {batch}: {error}"


WRONG_IN_THE_EVALUATOR = {"LRN", "ConvTranspose"}
"""onnx's reference evaluator takes the batch for the channels of an LRN, and cannot group a transposed convolution."""


@pytest.mark.slow
@pytest.mark.parametrize("op, attrs, shapes, reference", CASES, ids=IDS)
def test_the_reference_evaluator_of_onnx_gives_what_torch_gives(
    op: str, attrs: dict[str, Any], shapes: Shapes, reference: Reference
) -> None:
    """The meaning of the operators by their specification, whatever a runtime makes of them."""
    graph, inputs = one_op(op, attrs, shapes), arrays_of(shapes, 2)
    weights = draw(graph, seed=3)
    model = build_model(graph, weights, OnnxOptions())
    if WRONG_IN_THE_EVALUATOR & {node.op_type for node in model.graph.node}:
        pytest.skip("the evaluator is wrong")
    named = {key.removeprefix("step."): torch.from_numpy(value) for key, value in weights.items()}
    wanted = reference(*map(torch.from_numpy, inputs.values()), named)
    got = ReferenceEvaluator(model).run(None, inputs)
    for mine, theirs in zip(got, wanted if isinstance(wanted, tuple | list) else [wanted], strict=True):
        assert mine.shape == tuple(theirs.shape)
        assert np.abs(mine - theirs.numpy()).max() <= OPS[op].tolerance * np.abs(theirs.numpy()).max()


NEWEST = onnx.defs.onnx_opset_version()
FORGETFUL = {"Resize", "Reshape"}
"""Operators whose rules in ONNX give up the symbol of the batch."""


@pytest.mark.parametrize("op, attrs, shapes, reference", CASES, ids=IDS)
@pytest.mark.parametrize("opset", [None, NEWEST], ids=["lowest", "newest"])
def test_strict_inference_gives_the_ops_own_shape(
    op: str, attrs: dict[str, Any], shapes: Shapes, reference: Reference, opset: int | None
) -> None:
    graph = one_op(op, attrs, shapes)
    model = build_model(graph, draw(graph), OnnxOptions(opset=opset))
    onnx.checker.check_model(model, full_check=True)
    del model.graph.value_info[:]
    for output in model.graph.output:
        output.type.tensor_type.ClearField("shape")
    inferred = onnx.shape_inference.infer_shapes(model, check_type=True, strict_mode=True, data_prop=True)
    shown = [tuple(d.dim_param or d.dim_value for d in o.type.tensor_type.shape.dim) for o in inferred.graph.output]
    if FORGETFUL & {node.op_type for node in model.graph.node}:
        shown = [("N", *shape[1:]) if isinstance(shape[0], str) else shape for shape in shown]
    assert shown == list(graph.nodes["step"].shapes)


@pytest.mark.parametrize("op, attrs, shapes, reference", CASES, ids=IDS)
def test_the_operator_set_is_the_lowest_that_has_all_operators(
    op: str, attrs: dict[str, Any], shapes: Shapes, reference: Reference
) -> None:
    """ONNX itself says so: what is checked under the set below is refused, or that set is the backend's lowest."""
    model = build_model(one_op(op, attrs, shapes), draw(one_op(op, attrs, shapes)), OnnxOptions())
    (used,) = model.opset_import
    assert OPSET <= used.version <= NEWEST
    if used.version > OPSET:
        used.version -= 1
        with pytest.raises(onnx.checker.ValidationError):
            onnx.checker.check_model(model, full_check=True)


@pytest.mark.parametrize("op, attrs, shapes, reference", CASES, ids=IDS)
def test_half_precision_is_near_single(op: str, attrs: dict[str, Any], shapes: Shapes, reference: Reference) -> None:
    graph = one_op(op, attrs, shapes)
    weights = draw(graph, seed=3)
    inputs = arrays_of(shapes, 2)
    half = get("onnx").run(graph, weights, inputs, options=OnnxOptions(dtype="float16")).outputs
    single = get("onnx").run(graph, weights, inputs).outputs
    for name, value in single.items():
        assert half[name].dtype == np.float16
        assert np.abs(half[name] - value).max() <= 5e-3 * max(1, np.abs(value).max())


@pytest.mark.parametrize("pad", [(0, 1, 0, 1), (1, 0, 1, 1), (1, 1, 0, 1), (1, 1, 1, 1), (0, 0, 0, 0)])
@pytest.mark.parametrize("ceil", [True, False])
def test_average_pools_are_written_so_that_older_onnxruntimes_compute_them(
    pad: tuple[int, int, int, int], ceil: bool
) -> None:
    """Before 1.25 unlike sides are counted wrongly; up to 1.21 a Pad without axes is merged into an uncounted pool.

    github.com/microsoft/onnxruntime/issues/26708; tools/dev test --oldest runs the numbers.
    """
    graph = one_op("avg_pool", {"kernel": 3, "stride": 2, "pad": pad, "ceil": ceil}, ((6, 8, 9),))
    nodes = {node.op_type: node for node in build_model(graph, {}, OnnxOptions(opset=NEWEST)).graph.node}
    pool = {a.name: onnx.helper.get_attribute_value(a) for a in nodes["AveragePool"].attribute}
    top, left, bottom, right = pool.get("pads", [0, 0, 0, 0])
    assert not pool["count_include_pad"] or (top, left) == (bottom, right)
    assert "Pad" not in nodes or len(nodes["Pad"].input) == 4
    assert ("Pad" in nodes) == (any(pad) and (ceil or pad[0] != pad[1] or pad[2] != pad[3]))
