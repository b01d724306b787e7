"""Every op as ONNX: onnxruntime gives what torch's functions give, and strict inference gives netspec's shape."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import pytest
import torch
import torch.nn.functional as F
from conformance import CASES, IDS, Reference, Shapes, arrays_of, one_op
from conftest import sampled
from netspec_onnx.build_model import build_model
from netspec_onnx.lowering import ROWS
from netspec_onnx.nodes import LOWEST
from netspec_onnx.options import OnnxOptions
from netspec_onnx.versions import lowest
from onnx.reference import ReferenceEvaluator

from netspec.backend import get
from netspec.ir.graph import Graph, Node, Output, Ref
from netspec.ops import OPS, Tensor
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
@pytest.mark.quick(56)
def test_onnxruntime_gives_what_torch_gives(
    op: str, attrs: dict[str, Any], shapes: Shapes, reference: Reference
) -> None:
    graph = one_op(op, attrs, shapes)
    weights = draw(graph, seed=3)
    model = build_model(graph, weights, OnnxOptions())
    named = {key.removeprefix("step."): torch.from_numpy(value) for key, value in weights.items()}
    for batch in sampled((2, 1, 7), 1):
        inputs = arrays_of(shapes, batch)
        expected = reference(*map(torch.from_numpy, inputs.values()), named)
        expected = list(expected) if isinstance(expected, tuple | list) else [expected]
        for optimised in (True, False):
            got = run(model, inputs, optimised)
            assert len(got) == len(expected)
            for mine, theirs in zip(got, expected, strict=True):
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
    expected = reference(*map(torch.from_numpy, inputs.values()), named)
    got = ReferenceEvaluator(model).run(None, inputs)
    for mine, theirs in zip(got, expected if isinstance(expected, tuple | list) else [expected], strict=True):
        assert mine.shape == tuple(theirs.shape)
        assert np.abs(mine - theirs.numpy()).max() <= OPS[op].tolerance * np.abs(theirs.numpy()).max()


NEWEST = onnx.defs.onnx_opset_version()
FORGETFUL = {"Resize", "Reshape"}
"""Operators whose rules in ONNX give up the symbol of the batch."""


@pytest.mark.parametrize("op, attrs, shapes, reference", CASES, ids=IDS)
@pytest.mark.parametrize("opset", [None, NEWEST], ids=["lowest", "newest"])
@pytest.mark.quick(40)
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
@pytest.mark.quick(50)
def test_the_operator_set_is_the_lowest_that_has_all_operators(
    op: str, attrs: dict[str, Any], shapes: Shapes, reference: Reference
) -> None:
    """ONNX itself says so: what is checked under the set below is refused, or that set is the backend's lowest."""
    graph = one_op(op, attrs, shapes)
    model = build_model(graph, draw(graph), OnnxOptions(opset=lowest(graph)))
    (used,) = model.opset_import
    assert LOWEST <= used.version <= NEWEST
    if used.version > LOWEST:
        used.version -= 1
        with pytest.raises(onnx.checker.ValidationError):
            onnx.checker.check_model(model, full_check=True)


@pytest.mark.parametrize("op, attrs, shapes, reference", CASES, ids=IDS)
@pytest.mark.quick(10)
def test_half_precision_is_near_single(op: str, attrs: dict[str, Any], shapes: Shapes, reference: Reference) -> None:
    graph = one_op(op, attrs, shapes)
    weights = draw(graph, seed=3)
    inputs = arrays_of(shapes, 2)
    half = get("onnx").run(graph, weights, inputs, options=OnnxOptions(dtype="float16", io_dtype="float16")).outputs
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


def resized(sizes: Iterable[int]) -> Graph:
    """Rows of these sizes and columns of 20 more to all of 1 to 40, by the nearest pixel."""
    nodes, outputs = [], {}
    for before in sizes:
        given = OPS["input"].infer([], {"shape": ("N", 1, before, before + 20)})
        nodes.append(Node(f"x{before}", "input", (), given.attrs, given, f"x{before}"))
        for after in range(1, 41):
            result = OPS["upsample"].infer([Tensor(given.shapes[0])], {"size": (after, after), "mode": "nearest"})
            path = f"from{before}to{after}"
            nodes.append(Node(path, "upsample", (Ref(f"x{before}"),), result.attrs, result, path))
            outputs[f"y{before}to{after}"] = Output(Ref(path))
    return Graph("sizes", nodes, outputs).check()


@pytest.mark.slow
@pytest.mark.parametrize("dtype", ["float32", "float16"])
@pytest.mark.parametrize("evaluate", ["onnxruntime", "reference"])
def test_any_size_takes_the_pixels_that_torch_takes(dtype: str, evaluate: str) -> None:
    """All of 1 to 40 to all of 1 to 40; onnxruntime, which takes long to load them, some of them in the quick tests."""
    graph = resized(range(1, 21) if evaluate == "reference" else sampled(range(1, 21), 5))
    model = build_model(graph, {}, OnnxOptions(dtype=dtype, io_dtype=dtype))
    inputs = {
        node.path: np.arange(node.shape[2] * node.shape[3], dtype=dtype).reshape(1, *node.shape[1:])
        for node in graph.inputs
    }
    found = (
        run(model, inputs, optimised=False)
        if evaluate == "onnxruntime"
        else ReferenceEvaluator(model).run(None, inputs)
    )
    for output, mine in zip(graph.outputs.values(), found, strict=True):
        node = graph.nodes[output.ref.node]
        x = torch.from_numpy(inputs[node.inputs[0].node])
        assert (mine == F.interpolate(x, size=node.attrs["size"], mode="nearest").numpy()).all(), node.path


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (1, 1_000_003),
        (4097, 999_983),
        (1_000_003, 7),
        (2**24 + 5, 11),
        pytest.param(2**24 + 5, 2**24 - 3, marks=pytest.mark.slow),
        pytest.param(3, 2**24 + 9, marks=pytest.mark.slow),
    ],
)
def test_a_large_size_costs_no_bytes_and_takes_the_pixels_that_torch_takes(before: int, after: int) -> None:
    """Also where float32 counts no single pixels any more, at 2^24."""
    graph = one_op("upsample", {"size": (after, 1), "mode": "nearest"}, ((1, before, 1),))
    model = build_model(graph, {}, OnnxOptions())
    assert model.ByteSize() < 4000
    x = torch.arange(before, dtype=torch.int32).view(torch.float32).reshape(1, 1, before, 1)  # each another
    expected = F.interpolate(x, size=(after, 1), mode="nearest").numpy().view(np.int32)
    for found in (run(model, {"x0": x.numpy()}), ReferenceEvaluator(model).run(None, {"x0": x.numpy()})):
        assert (found[0].view(np.int32) == expected).all()
