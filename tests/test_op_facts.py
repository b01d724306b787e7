"""The facts that stand on each op, against what its samples do: an op that forgets one fails here."""

from __future__ import annotations

import math
from collections import defaultdict
from fractions import Fraction
from functools import cache
from typing import Any

import netspec_onnx.lowering
import netspec_torch.lowering
import numpy as np
import pytest
import torch
from conformance import CASES, arrays_of, one_op, reference
from conftest import sampled
from references import REFERENCES

from netspec import backend, plugins
from netspec.analysis.moments import passed
from netspec.analysis.receptive_field import receptive_fields
from netspec.backend import get, lowering, plugin_row
from netspec.diagnostics.errors import MissingError
from netspec.expressions.identifiers import Path
from netspec.ir.graph import Graph, Node, Output, Ref
from netspec.ops import OPS, Op, OpError, OpResult, Sample, Tensor, lookup, op
from netspec.ops.base import Applied
from netspec.ops.moments import Signal, kept, unit
from netspec.ops.outputs import first_axis
from netspec.ops.receptive_field import own_cell, whole_map
from netspec.ops.registry import ALIASES
from netspec.weights.initialise import draw

SAMPLED = [name for name in OPS if name != "input"]
EACH = [pytest.param(*case[:3], id=f"{case[0]}-{i}") for i, case in enumerate(CASES)]
MAPS = [case for case in EACH if len(case.values[2][0]) == 3]  # type: ignore[arg-type,index]
ALONE = [p for p in MAPS if len(p.values[2]) == 1]  # type: ignore[arg-type]


@pytest.mark.parametrize("name", SAMPLED)
def test_every_op_has_rows_a_reference_and_samples_of_all_that_it_takes(name: str) -> None:
    """Each parameter is given in one of them, and each of its words."""
    for module in (netspec_torch.lowering, netspec_onnx.lowering):
        assert name in module.ROWS, f"{module.__name__} has no row for '{name}'"
    op = OPS[name]
    assert op.samples, f"'{name}' has no samples: attributes and operands to try it with"
    assert name in REFERENCES, f"tests/references.py does not say what '{name}' gives"
    given: dict[str, list[object]] = defaultdict(list)
    for sample in op.samples:
        for key, value in sample.attrs.items():
            given[key].append(value)
    for param in op.params:
        assert given[param.name], f"no sample of '{name}' gives '{param.name}'"
        assert set(param.one_of) <= set(map(str, given[param.name])), f"the samples of '{name}': {param.one_of}"


# Receptive fields


def fields(graph: Graph, axis: int, shape: tuple[int, ...]) -> int:
    """The most cells along an axis that a gradient reaches from one position, whatever channels and values."""
    module = get("torch").to_module(graph, draw(graph, 3)).double()
    x = torch.from_numpy(np.random.default_rng(0).standard_normal((24, *shape))).requires_grad_()
    y = module(x)
    if isinstance(y, dict):
        y = next(iter(y.values()))
    widest = 0
    for position in range(y.shape[2 + axis]):
        (reached,) = torch.autograd.grad(y.select(2 + axis, position).sum(), x, retain_graph=True)
        cells = reached.abs().sum([d for d in range(4) if d != 2 + axis]).nonzero()
        widest = max(widest, int(cells.max() - cells.min()) + 1 if len(cells) else 0)
    return widest


def before_a_convolution(graph: Graph) -> Graph | None:
    """The op, a 3x3 convolution before it with a stride, and one behind; None where it does not fit these."""
    x, step = graph.nodes.values()
    first = add_conv("first", Ref("x0"), x.shape, {"out": int(x.shape[1]), "kernel": 3, "pad": 1})
    if len(step.shape) != 4:
        return None
    middle = Node(Path("step"), step.op, (Ref("first"),), step.attrs, step.result, Path("step"))
    last = add_conv("last", Ref("step"), step.shape, {"out": 2, "kernel": (3, 2), "pad": 1, "stride": (1, 2)})
    return Graph("three", [x, first, middle, last], {"y": Output(Ref("last"))}).check()


def add_conv(name: str, ref: Ref, shape: Any, attrs: dict[str, Any]) -> Node:
    result = OPS["conv"].infer([Tensor(shape)], attrs)
    return Node(Path(name), "conv", (ref,), result.attrs, result, Path(name))


@pytest.mark.parametrize("op, attrs, shapes", sampled(ALONE, 1, lambda case: case.values[0]))
@pytest.mark.parametrize(
    "between",
    [pytest.param(False, id="alone"), pytest.param(True, id="between convolutions", marks=pytest.mark.slow)],
)
@pytest.mark.quick(24)
def test_a_receptive_field_is_what_gradients_reach(op: str, attrs: dict[str, Any], shapes: Any, between: bool) -> None:
    """No more is reached than is said; as much, where the map is larger than the field and nothing is cut off."""
    graph = one_op(op, attrs, shapes)
    whole = before_a_convolution(graph) if between else graph
    if whole is None or len(graph.nodes["step"].shape) != 4:
        pytest.skip("its result is no map")
    said = receptive_fields(whole)[next(iter(whole.outputs.values())).ref.node]
    for axis in (0, 1):
        reached = fields(whole, axis, shapes[0])
        if said is None:
            assert OPS[op].receptive_field(applied(graph), axis) is None
        else:
            assert reached <= said[axis], f"{reached} cells are reached, said are {said[axis]}"
            room = shapes[0][1 + axis]
            assert reached == said[axis] or said[axis] > room - 4 or graph.nodes["step"].shape[2 + axis] < 3


def applied(graph: Graph) -> Applied:
    """The op of a sample on its operands."""
    step = graph.nodes["step"]
    return Applied(step.attrs, [graph.shape(ref) for ref in step.inputs], step.result)


@pytest.mark.parametrize("op, attrs, shapes", MAPS)
@pytest.mark.quick(40)
def test_scaling_agrees_with_the_receptive_field(op: str, attrs: dict[str, Any], shapes: Any) -> None:
    """Where both are known: as many cells further as the maps' sizes say."""
    graph = one_op(op, attrs, shapes)
    step = graph.nodes["step"]
    if len(step.shape) != 4:
        return
    scaling = OPS[op].scaling(step.attrs)
    for axis in (0, 1):
        sampling = OPS[op].receptive_field(applied(graph), axis)
        if scaling is not None:
            said = Fraction(scaling.down[axis], scaling.up[axis])
            assert sampling is None or said == Fraction(sampling.step, sampling.phases)
            before, after = int(graph.nodes["x0"].shape[2 + axis]), int(step.shape[2 + axis])
            lost = math.prod(step.attrs.get("kernel", (1, 1))) * 4 + 12  # what windows and pads take at the edges
            assert abs(after * said - before) <= lost, f"{before} -> {after} is no scaling by {said}"


# Signals


@cache
def measured(case: int) -> tuple[Signal, Signal]:
    """The mean and variance that leave a sample for normal operands, and what its rule says."""
    op, attrs, shapes, _ = CASES[case]
    graph = one_op(op, attrs, shapes)
    inputs = {k: (v / 2 if k != "x1" else v) for k, v in arrays_of(shapes, 64).items()}
    out = next(iter(get("torch").run(graph, draw(graph, 3), inputs).outputs.values()))
    return Signal(float(out.mean()), float(out.var())), passed(graph, graph.nodes["step"], [Signal(0, 1)] * len(shapes))


@pytest.mark.parametrize(
    "case", sampled(range(len(CASES)), 1, lambda i: CASES[i][0]), ids=lambda i: f"{CASES[i][0]}-{i}"
)
@pytest.mark.quick(28)
def test_moments_are_near_what_leaves_an_op(case: int) -> None:
    """A guess: within a factor of 10, of 1.1 for functions of a number; what is kept may average out."""
    out, said = measured(case)
    rule = OPS[CASES[case][0]].moments
    assert math.isfinite(said.power)
    exact = rule.__qualname__.startswith("elementwise") and OPS[CASES[case][0]].kind != "norm"
    factor = 1.1 if exact else 10
    assert said.power > out.power / factor, (out, said)
    assert said.power < out.power * factor or rule is kept, (out, said)


@pytest.mark.parametrize("name", SAMPLED)
def test_what_gives_the_same_of_a_flattened_map_says_so(name: str) -> None:
    """By the references, of all samples on maps without weights; a gate of 1 x 1 is no row of its map's size."""
    found = []
    for attrs, shapes in OPS[name].samples if name != "flatten" else ():
        graph, rows = one_op(name, dict(attrs), shapes), tuple((math.prod(shape),) for shape in shapes)
        if len(shapes[0]) == 3 and len({*rows}) == 1 and not graph.nodes["step"].result.weights:
            xs = [torch.from_numpy(x) for x in arrays_of(shapes, 2).values()]
            try:
                one_op(name, dict(attrs), rows)
                flat = reference(name, attrs)(*(x.flatten(1) for x in xs), {})
                found.append(torch.equal(reference(name, attrs)(*xs, {}).flatten(1), flat))
            except (AttributeError, OpError):  # it gives several values, or takes maps alone
                found.append(False)
    assert OPS[name].same_when_flattened == (bool(found) and all(found))


# Weights


@pytest.mark.parametrize("op, attrs, shapes", EACH)
@pytest.mark.quick(50)
def test_a_factor_of_an_output_is_one_of_the_weight_as_is_said(op: str, attrs: dict[str, Any], shapes: Any) -> None:
    """By the references, with a factor of its own for each output; what has no such weight says so."""
    graph = one_op(op, attrs, shapes)
    by_output = OPS[op].by_output
    assert (by_output is not None) == (OPS[op].kind == "weights")
    if by_output is None:
        return
    weights = {key.removeprefix("step."): value for key, value in draw(graph, 3).items()}
    xs = [torch.from_numpy(x) for x in arrays_of(shapes, 2).values()]
    factors = np.linspace(0.5, 2, int(graph.nodes["step"].shape[1]), dtype=np.float32)
    viewed, along = by_output(weights["weight"].shape, graph.nodes["step"].attrs)
    scaled = (weights["weight"].reshape(viewed) * factors.reshape(along)).reshape(weights["weight"].shape)
    changed = {"weight": scaled} | {name: factors * value for name, value in weights.items() if name != "weight"}
    plain, got = (
        reference(op, attrs)(*xs, {name: torch.from_numpy(value) for name, value in tensors.items()})
        for tensors in (weights, changed)
    )
    expected = plain * torch.from_numpy(factors).reshape(-1, *(1 for _ in plain.shape[2:]))
    assert torch.allclose(got, expected, rtol=1e-4, atol=1e-5)


# What is done in training


@pytest.mark.parametrize("op, attrs, shapes", sampled(EACH, 1, lambda case: case.values[0]))
@pytest.mark.quick(28)
def test_what_differs_in_training_says_so(op: str, attrs: dict[str, Any], shapes: Any) -> None:
    """By statistics, as what is the identity at inference, or by an attribute that leaves out paths."""
    graph = one_op(op, attrs, shapes)
    module = get("torch").to_module(graph, draw(graph, 3), training=True)
    xs = [torch.from_numpy(x) for x in arrays_of(shapes, 8).values()]
    with torch.no_grad():
        torch.manual_seed(0)
        trained, evaluated = (list(torch.utils._pytree.tree_leaves(m(*xs))) for m in (module.train(), module.eval()))
        trained = list(torch.utils._pytree.tree_leaves(module.train()(*xs)))
    differs = any(not torch.equal(a, b) for a, b in zip(trained, evaluated, strict=True))
    node = graph.nodes["step"]
    assert differs == (OPS[op].acts_in_training(node.attrs) or bool(node.result.stats))
    if OPS[op].only_in_training:
        assert all(torch.equal(a, b) for a, b in zip(evaluated, xs, strict=True))


# Registration

FACTS: dict[str, Any] = {"kind": "other", "receptive_field": own_cell, "moments": kept, "samples": [Sample()]}


def rule(x: Tensor, /) -> OpResult:
    """The value itself."""
    return OpResult((x.shape,))


@pytest.mark.parametrize("missing", FACTS)
def test_a_fact_without_a_safe_default_cannot_be_forgotten(missing: str) -> None:
    with pytest.raises(TypeError, match=missing):
        op(**{name: fact for name, fact in FACTS.items() if name != missing})(rule)
    assert "rule" not in OPS


def pair_of(x: Tensor, y: Tensor, /) -> OpResult:
    """Two values."""
    return OpResult((x.shape,))


def relu(x: Tensor, /) -> OpResult:
    """A second op of a name."""
    return OpResult((x.shape,))


@pytest.mark.parametrize(
    "facts, fn, text",
    [
        ({"kind": "colour"}, rule, "kind is one of input, weights, pool, norm, join, other, not 'colour'"),
        ({"aliases": "bn"}, rule, "'bn' stands for 'batch_norm' already"),
        ({}, relu, "there is an op of that name already"),
        ({"by_output": first_axis}, rule, "with `by_output` it has a weight, a bias, and an attribute `bias`"),
        ({}, pair_of, "with 2 tensors it says by `operands` which shapes go together"),
    ],
)
def test_facts_that_do_not_fit_are_refused(facts: dict[str, Any], fn: Any, text: str) -> None:
    known = dict(OPS), dict(ALIASES)
    with pytest.raises(TypeError, match=text):
        op(**FACTS | facts)(fn)
    assert (dict(OPS), dict(ALIASES)) == known


class Point:
    """An entry point of a plug-in that has a relu of its own."""

    name = value = "torch"
    dist = None

    def load(self) -> None:
        op(**FACTS)(relu)


def test_a_plugin_that_does_not_fit_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plugins, "_points", lambda group: [Point()])
    plugins.load_ops.cache_clear()
    with pytest.raises(MissingError, match="the ops of 'torch' .* cannot be imported: .* an op of that name already"):
        lookup("nothing_like_it")
    monkeypatch.setattr(Point, "load", lambda self: lowering("torch", "gem", 1))
    monkeypatch.setattr(backend, "_LOWERINGS", {"torch": {"gem": 1}})
    plugins.load_lowerings.cache_clear()
    with pytest.raises(MissingError, match="the op 'gem' has a lowering for 'torch' already"):
        plugin_row("torch", "none")
    plugins.load_ops.cache_clear()
    plugins.load_lowerings.cache_clear()


def test_layers_are_unit_and_what_sums_a_map_sees_all_of_it() -> None:
    """The facts of a convolution by their names, as a newcomer reads them."""
    conv: Op = OPS["conv"]
    assert (conv.kind, conv.moments, conv.title) == ("weights", unit, "conv")
    assert OPS["group_norm"].receptive_field is OPS["global_avg_pool"].receptive_field is whole_map
