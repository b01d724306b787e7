"""Passes: scopes name what is there after them, outputs and heads stay what they are."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

import netspec
from netspec.backend import get
from netspec.ir.graph import Graph, GraphError, Ref, Scope
from netspec.ir.scope_tree import Region, tree
from netspec.passes import inference
from netspec.weights.initialise import draw

CASE = Path(__file__).parent / "cases" / "scopes_after_a_pass.yaml"


def test_a_pass_leaves_scopes_that_name_what_is_there() -> None:
    """`flatten` goes in the dense form: the block reads the convolution in its place."""
    plain, dense = (netspec.load(CASE, variant).graph.scopes["t"] for variant in ("a", "dense"))
    assert plain.ins == {"p": Ref("f"), "q": Ref("g")}
    assert dense.ins == {"p": Ref("c"), "q": Ref("c")}
    assert dense.outs == plain.outs == {"r": Ref("t.r"), "s": Ref("t.s")}


def test_an_iteration_that_takes_its_else_is_a_scope(tmp_path: Path) -> None:
    path = tmp_path / "net.yaml"
    path.write_text(
        """\
netspec: 1
name: net
input: [3, 4, 4]
body:
  - do: [conv: [3, 1], relu]
    repeat: 2
    when: i > 0
    else: [relu]
""",
        encoding="utf-8",
    )
    graph = netspec.load(path).graph
    assert list(graph.nodes) == ["input", "do.0.relu", "do.1.conv", "do.1.relu"]
    assert set(graph.scopes) == {"do", "do.0", "do.1"}


WRONG: dict[str, Callable[[Scope], Scope]] = {
    "'p' of the scope t names f, which is not there": lambda s: replace(s, ins=s.ins | {"p": Ref("f")}),
    "'s' of the scope t names t.s#1, which is not there": lambda s: replace(s, outs=s.outs | {"s": Ref("t.s", 1)}),
    "'q' enters the scope t, but t.r is made inside": lambda s: replace(s, ins=s.ins | {"q": Ref("t.r")}),
    "'r' leaves the scope t, but add is made outside": lambda s: replace(s, outs=s.outs | {"r": Ref("add")}),
}


@pytest.mark.parametrize("message", WRONG)
def test_check_finds_a_wrong_scope(message: str) -> None:
    graph = netspec.load(CASE, "dense").graph.check()
    wrong = Graph(graph.name, graph.nodes, graph.outputs, [WRONG[message](graph.scopes["t"])])
    with pytest.raises(GraphError, match=message):
        wrong.check()


def test_check_finds_a_scope_that_holds_nothing() -> None:
    graph = netspec.load(CASE, "a").graph
    scope = graph.scopes["t"]
    scopes = [*graph.scopes.values(), replace(scope, path=scope.path + "empty", ins={}, outs={})]
    with pytest.raises(GraphError, match="holds no node"):
        Graph(graph.name, graph.nodes, graph.outputs, scopes).check()


@pytest.mark.parametrize("name", ["googlenet", "inception_v3", "resnet_shortcuts", "nasnet"])
def test_the_inference_graph_has_scopes_of_nodes_alone(name: str) -> None:
    """Heads and dropout take their scopes with them."""
    network = netspec.load(name)
    held = {region.path for region in regions(tree(inference(network.graph)))}
    assert {path for path in network.inference.scopes if path} == held - {""}


def regions(region: Region) -> list[Region]:
    """A region and all inside."""
    return [region, *(found for item in region.items if isinstance(item, Region) for found in regions(item))]


def test_what_a_dropout_gave_is_its_operand(tmp_path: Path) -> None:
    """As an output of the network, and as one of a block with several, whose scope names it."""
    path = tmp_path / "net.yaml"
    path.write_text(
        """\
netspec: 1
name: net
input: [4, 8, 8]
blocks:
  two:
    inputs: [p, q]
    outputs: [r, s]
    body:
      - r = conv: [4, 1]
        from: p
      - s = dropout: 0.5
        from: q
body:
  - a = conv: [4, 1]
  - t = two:
    from: [a, input]
  - add:
    from: [t.r, t.s]
  - last = dropout: 0.5
""",
        encoding="utf-8",
    )
    network = netspec.load(path)
    assert {o.ref for o in network.graph.outputs.values()} == {Ref("last")}
    assert {o.ref for o in network.inference.outputs.values()} == {Ref("add")}
    assert network.graph.scopes["t"].outs == {"r": Ref("t.r"), "s": Ref("t.s")}
    assert network.inference.scopes["t"].outs == {"r": Ref("t.r"), "s": Ref("input")}


@pytest.mark.parametrize("bias", ["true", "false"])
def test_the_dense_form_of_a_map_that_is_no_square(bias: str, tmp_path: Path) -> None:
    path = tmp_path / "net.yaml"
    path.write_text(
        f"""\
netspec: 1
name: net
input: [3, 4, 7]
variants: {{plain: {{}}, dense: {{passes: [fc_to_conv]}}}}
body:
  - flatten
  - fc = linear: {{out: 5, bias: {bias}}}
""",
        encoding="utf-8",
    )
    plain, dense = netspec.load(path, "plain").inference, netspec.load(path, "dense").inference
    arrays, x = draw(plain, 0), np.random.default_rng(0).standard_normal((2, 3, 4, 7), np.float32)
    shapes = {key: shape for key, (shape, _, _) in dense.tensors().items()}
    assert shapes == {"fc.weight": (5, 3, 4, 7)} | ({"fc.bias": (5,)} if bias == "true" else {})
    reshaped = {key: arrays[key].reshape(shape) for key, shape in shapes.items()}
    for backend in ("torch", "onnx"):
        (expected,) = get(backend).run(plain, arrays, {"input": x}).outputs.values()
        (got,) = get(backend).run(dense, reshaped, {"input": x}).outputs.values()
        assert np.allclose(got[:, :, 0, 0], expected, rtol=1e-5, atol=1e-5), backend


def test_a_head_runs_in_training_alone(tmp_path: Path) -> None:
    path = tmp_path / "net.yaml"
    path.write_text(
        """\
netspec: 1
name: net
input: [3, 4, 4]
outputs: {main: fc, aux: {from: head, training_only: true, loss_weight: 0.3}}
body:
  - c = conv: [2, 1]
  - f = flatten
  - head = linear: 7
    from: f
  - fc = linear: 5
    from: f
""",
        encoding="utf-8",
    )
    module, x = netspec.load(path).to_torch(training=True), torch.zeros(2, 3, 4, 4)
    assert {name: tuple(value.shape) for name, value in module.train()(x).items()} == {"main": (2, 5), "aux": (2, 7)}
    assert tuple(module.eval()(x).shape) == (2, 5)
    assert "head.weight" not in netspec.load(path).to_torch().state_dict()


def test_a_join_of_one_branch_holds_it_without_being_a_node(tmp_path: Path) -> None:
    path = tmp_path / "net.yaml"
    path.write_text(
        "netspec: 1\nname: net\ninput: [3, 4, 4]\nbody:\n  - concat:\n      - [conv: [2, 1]]\n", encoding="utf-8"
    )
    graph = netspec.load(path).graph.check()
    assert list(graph.nodes) == ["input", "concat.0.conv"] and list(graph.scopes) == ["concat.0"]
    with pytest.raises(GraphError, match="nodes lie below concat(.0)?, which is not a scope"):
        Graph(graph.name, graph.nodes, graph.outputs).check()
