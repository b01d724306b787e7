"""Attributes at the edges of what ops take: refused by the rule, or the same numbers from PyTorch and onnxruntime."""

from __future__ import annotations

import functools
import math
import random
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from conformance import ROIS, arrays_of, one_op
from edges import MAX_ELEMENTS, RANKS, Edge, edges
from netspec_onnx.build_model import build_model
from netspec_onnx.options import OnnxOptions
from netspec_onnx.versions import lowest

from netspec.backend import get
from netspec.diagnostics.errors import SpecError
from netspec.ir.graph import Graph
from netspec.network import load
from netspec.ops import OPS, OpError, Tensor
from netspec.ops.window import floor_sum, length, only_padding
from netspec.weights.initialise import draw

pytestmark = pytest.mark.slow


def compiled(edge: Edge) -> Graph | None:
    """The graph of an edge; None where the rule refuses it."""
    try:
        return one_op(edge.op, dict(edge.attrs), edge.shapes)
    except OpError as error:
        assert str(error)
        return None


def small(graph: Graph) -> bool:
    """Whether it can be run here: no tensor and no padded operand of a million elements."""
    node = graph.nodes["step"]
    sizes = [math.prod(map(int, shape[1:])) for each in graph.nodes.values() for shape in each.shapes]
    sizes += [math.prod(map(int, shape)) for shape, _, _ in graph.tensors().values()]
    if "pad" in node.attrs:
        (_, c, h, w), (top, bottom, left, right) = graph.nodes["x0"].shape, node.attrs["pad"]
        sizes.append(int(c) * (int(h) + top + bottom) * (int(w) + left + right))
    return max(sizes) < MAX_ELEMENTS


@functools.cache
def operator_sets(op: str) -> tuple[int, ...]:
    """The operator sets that onnx knows and in which onnxruntime runs an op, from the lowest on."""
    graph, found = one_op(op, dict(OPS[op].samples[0].attrs), OPS[op].samples[0].operands), []
    for opset in range(lowest(graph), onnx.defs.onnx_opset_version() + 1):
        model = build_model(graph, draw(graph), OnnxOptions(opset=opset))
        try:
            ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
        except Exception:  # noqa: BLE001 - onnxruntime has its own errors
            break
        found.append(opset)
    return tuple(found)


def differs(edge: Edge, graph: Graph) -> str:
    """How the backends differ on random operands whose last item begins with zeros; empty where they agree."""
    weights, inputs = draw(graph, seed=3), arrays_of(edge.shapes, 2)
    for name, array in inputs.items():
        if not (name == "x1" and edge.shapes[1:2] == (ROIS,)):
            array[1].flat[:3] = 0
    opset = random.Random(str(edge)).choice(operator_sets(edge.op))
    found = []
    for backend, options in (("torch", {}), ("onnx", {"options": OnnxOptions(opset=opset)})):
        try:
            found.append(list(get(backend).run(graph, weights, inputs, **options).outputs.values()))
        except Exception as error:  # noqa: BLE001 - a runtime refuses in its own ways
            return f"{backend}: {type(error).__name__}: {str(error)[:200]}"
    for mine, theirs, shape in zip(*found, graph.nodes["step"].shapes, strict=True):
        if not mine.shape == theirs.shape == (2, *shape[1:]):
            return f"the shapes are {mine.shape} and {theirs.shape}, inferred is {shape}"
        finite = np.isfinite(mine)
        if not np.array_equal(mine[~finite], theirs[~finite], equal_nan=True) or not np.isfinite(theirs[finite]).all():
            return f"{(~finite).sum()} values are not finite in torch, {(~np.isfinite(theirs)).sum()} in onnxruntime"
        error = np.abs(mine[finite] - theirs[finite]).max(initial=0)
        if error > OPS[edge.op].tolerance * np.abs(mine[finite]).max(initial=0):
            return f"they differ by {error}"
    return ""


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize(
    "count", [2, pytest.param(40, marks=pytest.mark.slow), pytest.param(10**9, id="all", marks=pytest.mark.full)]
)
@pytest.mark.parametrize("name", sorted(set(OPS) - {"input"}))
@pytest.mark.quick(10)
def test_what_compiles_gives_the_same_in_both_backends(name: str, count: int) -> None:
    candidates = list(edges(OPS[name]))
    random.Random(name).shuffle(candidates)
    wrong, ran = [], 0
    for edge in candidates:
        graph = compiled(edge)
        if graph is not None and small(graph):
            ran += 1
            if why := differs(edge, graph):
                wrong.append(f"{edge}: {why}")
        if ran >= count:
            break
    assert not wrong, "\n".join(wrong[:10])
    assert ran >= min(count, 2)


@pytest.mark.parametrize("name", sorted(set(OPS) - {"input"}))
@pytest.mark.quick(8)
def test_items_of_any_rank_are_refused_or_the_same_in_both_backends(name: str) -> None:
    for edge in edges(OPS[name], together=0):
        if edge.shapes[0] in RANKS and (graph := compiled(edge)) is not None:
            assert not differs(edge, graph), edge


@pytest.mark.parametrize(
    "op, attrs, shape, arg, text",
    [
        ("lrn", {"size": 3, "alpha": 0.0}, (6, 8, 8), "alpha", "'alpha' must be above 0"),
        ("lrn", {"size": 3, "beta": 0.0}, (6, 8, 8), "beta", "'beta' must be above 0"),
        ("lrn", {"size": 3, "beta": -1.0}, (6, 8, 8), "beta", "'beta' must be above 0"),
        ("lrn", {"size": 3, "k": -1.0}, (6, 8, 8), "k", "'k' is 0 or more"),
        (
            "max_pool",
            {"kernel": 4, "stride": (4, 1), "pad": "same_upper", "ceil": True, "dilation": 2},
            (2, 1, 11),
            "pad",
            "a window holds padding alone: its taps are 2 cells apart, the map has 1",
        ),
        ("affine", {"scale": 1e39}, (6, 8, 8), "scale", "within float32"),
        ("affine", {"shift": float("nan")}, (6, 8, 8), "shift", "within float32"),
        ("leaky_relu", {"slope": -math.inf}, (6, 8, 8), "slope", "within float32"),
        ("batch_norm", {"eps": 1e-46}, (6, 8, 8), "eps", "is 0 in float32"),
        ("avg_pool", {"kernel": 2**31 - 1, "stride": 2, "pad": "same_upper"}, (6, 8, 8), "pad", "the padded map is"),
        # PyTorch ends the process (a division by the area of the stride, which is 0 in 32 bits).
        ("conv_transpose", {"out": 4, "kernel": 2, "stride": 2**16}, (6, 1, 1), "stride", "65536x65536"),
    ],
)
def test_what_the_runtimes_do_not_share_is_refused_by_the_rule(
    op: str, attrs: dict[str, Any], shape: tuple[int, ...], arg: str, text: str
) -> None:
    with pytest.raises(OpError, match=text) as caught:
        OPS[op].infer([Tensor(("N", *shape))], attrs)
    assert caught.value.arg == arg


def test_windows_of_padding_alone_are_found_as_by_counting() -> None:
    rng, hits = random.Random(1), 0
    for _ in range(20_000):
        n, k, d, s = rng.randint(1, 8), rng.randint(1, 6), rng.randint(1, 12), rng.randint(1, 9)
        half = (d * (k - 1) + 1) // 2
        before, after = rng.randint(0, half), rng.randint(0, half)
        if out := length(n, k, s, (before, after), d, rng.random() < 0.5):
            expected = any(not any(0 <= i * s - before + j * d < n for j in range(k)) for i in range(out))
            assert only_padding(n, k, s, before, out, d) == expected, (n, k, d, s, before, after)
            hits += expected
    assert hits > 100
    for m, a, b in ((7, 3, 5), (2, 9, 0), (11, 0, 40)):
        assert floor_sum(50, m, a, b) == sum((a * i + b) // m for i in range(50))


CASES = Path(__file__).parent / "cases"


@pytest.mark.parametrize("case", ["split_one_part", "split_one_part_read"])
def test_a_split_into_one_part_is_the_whole(case: str) -> None:
    graph = load(CASES / f"{case}.yaml").inference
    x = np.random.default_rng(0).standard_normal((2, 6, 8, 8), np.float32)
    expected = x if case == "split_one_part" else np.maximum(x, 0)
    for backend in ("torch", "onnx"):
        (got,) = get(backend).run(graph, {}, {"input": x}).outputs.values()
        assert np.array_equal(got, expected), backend


@pytest.mark.parametrize(
    "case, line, text",
    [
        ("lrn_alpha_zero", "5:27", "'alpha' must be above 0, got 0.0"),
        ("pool_window_of_padding", "5:48", "a window holds padding alone"),
    ],
)
def test_the_rule_refuses_at_the_attribute(case: str, line: str, text: str) -> None:
    with pytest.raises(SpecError) as caught:
        load(CASES / f"{case}.yaml")
    (error,) = caught.value.diagnostics
    assert error.code == "NS401" and text in error.message
    assert str(error.span).endswith(f"{case}.yaml:{line}")


@pytest.mark.parametrize("attrs", [{"alpha": 0.5, "k": 0.0}, {"alpha": 1e4}, {"alpha": 100.0, "beta": 2.0}])
def test_a_strong_lrn_is_not_blurred_by_a_running_sum(attrs: dict[str, float]) -> None:
    """onnxruntime's LRN adds and subtracts squares; where a large one leaves the window its rounding would stay."""
    graph = one_op("lrn", {"size": 3, **attrs}, ((6, 2, 3),))
    x = np.full((1, 6, 2, 3), 0.01, np.float32)
    x[:, 0] = 100
    total = np.pad(x.astype(np.float64) ** 2, ((0, 0), (1, 1), (0, 0), (0, 0)))
    mean = (total[:, :-2] + total[:, 1:-1] + total[:, 2:]) / 3
    expected = x / (attrs.get("k", 1.0) + attrs["alpha"] * mean) ** attrs.get("beta", 0.75)
    for backend in ("torch", "onnx"):
        got = get(backend).run(graph, {}, {"x0": x}).outputs["y0"]
        assert np.allclose(got, expected, rtol=1e-5, atol=0), backend
