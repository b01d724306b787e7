"""Every pass computes what the network before it does: on small networks, and on shipped ones.

The passes are those of the registry, so that one which is added is tried without a line here, but for those that say
that they change what is computed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from conftest import sampled
from pass_harness import changed, made_of, prove, small
from pass_networks import Made

from netspec.ir.graph import Graph, GraphError, Node, Ref
from netspec.ir.module import Module, Stored, Weight
from netspec.ops import OPS, Tensor
from netspec.passes import NAMED, PASSES, fill_blocks, winograd
from netspec.passes.base import Pass, Stage
from netspec.passes.rewriter import kept_values, readers, rewrite
from netspec.weights.initialise import draw

BACKENDS = ("torch", "onnx")


@pytest.fixture(autouse=True)
def every_size(monkeypatch: pytest.MonkeyPatch) -> None:
    """Passes that take large layers alone take small ones here, and fill any block."""
    monkeypatch.setattr(winograd, "KERNELS", 1)
    monkeypatch.setattr(winograd, "SIDE", 1)
    monkeypatch.setattr(fill_blocks, "MORE", 16)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("p", [p for p in PASSES if p.keeps], ids=lambda p: p.name)
@pytest.mark.quick(1)
def test_a_pass_changes_nothing_that_small_networks_compute(p: Pass, backend: str) -> None:
    prove(p, backend, small())


@pytest.mark.parametrize("p", PASSES, ids=lambda p: p.name)
@pytest.mark.quick(2)
def test_a_second_run_changes_nothing(p: Pass) -> None:
    for network, module in sampled(changed(p, small()), 2, lambda pair: pair[0].place, slow=3):
        again = p(module)
        assert again.graph == module.graph, f"{p.name}, {network.op} {network.place}"
        assert again is module or p.stage is Stage.TRAINING or not p.keeps


@pytest.mark.slow
def test_a_thousand_sums_within_each_other_are_one_convolution() -> None:
    """In one run, whose weights are not made of each other a thousand deep."""
    made = Made([(2, 4, 4)], "conv")
    sums = made.layer("c", made.inputs[0])
    for i in range(1000):
        sums = made.add(f"sum{i}", "add", [sums, made.layer(f"c{i}", made.inputs[0])], {})
    graph = made.graph(sums)
    merged = NAMED["merge_branches"](Module(graph))
    assert list(merged.graph.nodes) == ["x0", "c"]
    arrays = draw(graph, 3)
    expected = sum(value for key, value in arrays.items() if key.endswith("weight"))
    np.testing.assert_allclose(made_of(merged, arrays)["c.weight"], expected, rtol=1e-4, atol=1e-4)


def test_small_networks_hold_every_op_in_what_a_pass_may_stumble_over() -> None:
    assert {network.op for network in small()} == set(OPS) - {"input"}
    for place, holds in {
        "read_twice": lambda g: any(len(nodes) > 1 for nodes in readers(g).values()),
        "of_an_output": lambda g: any(o.ref in readers(g) for o in g.outputs.values()),
        "of_a_named_value": lambda g: any(ref in readers(g) for s in g.scopes.values() for ref in s.outs.values()),
        "after_one_of_two_that_share": shares,
        "after_both_that_share": shares,
        "above_a_head": lambda g: any(o.training_only for o in g.outputs.values()),
    }.items():
        found = [network for network in small() if network.place == place]
        assert found and all(holds(network.graph) for network in found)


def shares(graph: Graph) -> bool:
    return any(node.path != node.weights_at for node in graph.nodes.values())


# Passes that are wrong


def merging(bug: str = "") -> Pass:
    """A pass that merges `channel_scale` into the layer before it; right but for the bug that is asked for."""

    def merge_scale(module: Module) -> Module:
        nodes, reading, kept = module.graph.nodes, readers(module.graph), kept_values(module.graph)
        if bug == "takes outputs":
            kept -= {output.ref for output in module.graph.outputs.values()}
        if bug == "takes named values":
            kept -= {ref for scope in module.graph.scopes.values() for ref in scope.outs.values()}
        scales = {
            node.inputs[0].node: node
            for node in nodes.values()
            if node.op == "channel_scale" and OPS[nodes[node.inputs[0].node].op].by_output
            if node.inputs[0] not in kept and (len(reading[node.inputs[0]]) == 1 or bug == "forgets other readers")
        }
        weights: dict[str, Mapping[str, Weight]] = {}
        gone = set()
        for path, scale in scales.items():
            sharing = [n.path for n in nodes.values() if n.weights_at == nodes[path].weights_at]
            alike = all(p in scales and scales[p].weights_at == scale.weights_at for p in sharing)
            if not alike and bug not in ("forgets sharing", "says that it knows of sharing"):
                continue
            made = weights.get(path) or scaled(module, nodes[path], scale, 2 if bug == "doubles weights" else 1)
            weights |= dict.fromkeys([path] if bug == "forgets sharing" else sharing, made)
            gone.add(scale.path)

        def visit(node: Node, operands: Sequence[Tensor]) -> Node | Ref:
            return node.inputs[0] if node.path in gone else node

        return rewrite(module, visit, weights=weights)

    return Pass("merge_scale", merge_scale, Stage.INFERENCE, named=True)


def scaled(module: Module, layer: Node, scale: Node, factor: float) -> dict[str, Weight]:
    """The tensors of a layer, scaled by output."""
    by_output = OPS[layer.op].by_output
    assert by_output is not None
    factors = module.weight(f"{scale.weights_at}.weight", scale.result.weights["weight"])
    made: dict[str, Weight] = {}
    for name, shape in layer.result.weights.items():
        sizes = tuple(map(int, shape))
        viewed, along = by_output(sizes, layer.attrs) if name == "weight" else (sizes, sizes)
        made[name] = Weight(
            shape, partial(product, module.weight(f"{layer.weights_at}.{name}", shape), factors, factor, viewed, along)
        )
    return made


def product(
    weight: Weight, scale: Weight, factor: float, viewed: tuple[int, ...], along: tuple[int, ...], stored: Stored
) -> np.ndarray:
    rows = weight.make(stored).reshape(viewed) * scale.make(stored).reshape(along)
    return (rows * np.float32(factor)).reshape(tuple(map(int, weight.shape)))


SCALED = [network for network in small() if network.op == "channel_scale"]


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_pass_that_merges_weights_as_it_should_is_right(backend: str) -> None:
    """So what fails below does so by its bug; layers that share are merged where the same scale follows each."""
    prove(merging(), backend, SCALED)
    places = {network.place for network, _ in changed(merging(), SCALED)}
    assert {"after_both_that_share", "in_a_chain", "beside_a_head"} - places == {"beside_a_head"}
    assert not places & {"after_both_apart", "after_one_of_two_that_share", "read_twice", "of_an_output"}


@pytest.mark.parametrize(
    ("bug", "place"),
    [
        ("doubles weights", "after_a_layer"),
        ("forgets other readers", "read_twice"),
        ("takes outputs", "of_an_output"),
        ("takes named values", "of_a_named_value"),
        ("says that it knows of sharing", "after_one_of_two_that_share"),
    ],
)
@pytest.mark.quick(1)
def test_a_pass_that_changes_what_is_computed_is_caught(bug: str, place: str) -> None:
    with pytest.raises(AssertionError, match=r"max\|a - b\|"):
        prove(merging(bug), "torch", [network for network in SCALED if network.place == place])
    with pytest.raises(AssertionError, match=r"merge_scale, channel_scale .*max\|a - b\|"):
        prove(merging(bug), "torch", SCALED)


@pytest.mark.parametrize(
    ("place", "message"),
    [
        ("after_one_of_two_that_share", "the weight a.weight is computed, but not for b, which shares it"),
        ("after_the_second_that_shares", "the weight a.weight is computed, but not for a, which shares it"),
        ("after_both_apart", "the weight a.weight is computed twice: b shares it"),
    ],
)
def test_a_pass_that_forgets_who_shares_weights_is_refused(place: str, message: str) -> None:
    with pytest.raises(GraphError, match=f"the pass 'merge_scale': {message}"):
        changed(merging("forgets sharing"), [network for network in SCALED if network.place == place])


def test_a_pass_of_training_keeps_numbers() -> None:
    p = replace(merging(), stage=Stage.TRAINING)
    with pytest.raises(AssertionError):
        prove(p, "torch", SCALED)


def test_a_pass_that_finds_nothing_is_no_proof() -> None:
    with pytest.raises(AssertionError, match="no small network has what nothing looks for"):
        prove(Pass("nothing", lambda module: module, Stage.INFERENCE, named=True), "torch", SCALED)
