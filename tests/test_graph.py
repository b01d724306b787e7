"""The graph proves itself, and passes keep what it computes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.fx

import netspec
from netspec.backend import get
from netspec.diagnostics.errors import Reporter, UsageError
from netspec.expressions.identifiers import FORM_ATTRIBUTES, MODULE_ATTRIBUTES
from netspec.ir.graph import Graph, GraphError, Output, Ref
from netspec.ir.text import from_text, to_text
from netspec.network import Network, build
from netspec.ops import OpResult
from netspec.passes import inference
from netspec.syntax.reader import read_document
from netspec.weights.initialise import draw

SMALL = """\
netspec: 1
name: small
input: [3, 12, 12]
variants: {small: {}, dense: {passes: [fc_to_conv]}, wrong: {passes: [fc_to_cov]}}
body:
  - c = conv: {out: 4, kernel: 3, pad: 1}
  - a = add:
    from: [c, c]
  - drop_path: 0.3
  - max_pool: [2, 2]
  - flatten
  - fc6 = linear: 16
  - relu
  - dropout: 0.5
  - fc7 = linear: 5
  - head = tee: [linear: 2]
outputs:
  scores: fc7
  head: {from: head, training_only: true}
"""


def compiled(tmp_path: Path, variant: str | None = None, size: list[int] | None = None) -> Network:
    path = tmp_path / "small.yaml"
    path.write_text(SMALL, encoding="utf-8")
    document = read_document(path, Reporter())
    assert document is not None
    return build(document, variant, input=size)


def test_both_edges_of_add_x_x_are_there(tmp_path: Path) -> None:
    graph = compiled(tmp_path).graph
    assert graph.nx.number_of_edges("c", "a") == 2
    assert set(graph.nx["c"]["a"]) == {0, 1}


def broken(graph: Graph, path: str, **changes: object) -> Graph:
    nodes = [replace(n, **changes) if n.path == path else n for n in graph.nodes.values()]  # type: ignore[arg-type]
    return Graph(graph.name, nodes, graph.outputs, graph.scopes)


def test_a_broken_graph_is_found(tmp_path: Path) -> None:
    graph = compiled(tmp_path).graph
    graph.check()
    for changes in (
        {"inputs": (Ref("fc7"),)},
        {"inputs": ()},
        {"op": "nothing"},
        {"result": OpResult((("N", 4, 12, 13),))},
    ):
        with pytest.raises((GraphError, TypeError)):
            broken(graph, "c", **changes).check()
    with pytest.raises(GraphError):
        Graph("g", graph.nodes, {"y": Output(Ref("c", 1))}).check()
    backwards = Graph("g", list(reversed(graph.nodes.values())), graph.outputs)
    with pytest.raises(GraphError):
        backwards.check()
    cut = Graph("g", graph.nodes, graph.outputs)
    cut.nx.remove_edge("c", "a", 1)
    with pytest.raises(GraphError):
        cut.check()


@pytest.mark.parametrize("name", ["googlenet", "resnet18", "squeezenet_complex_bypass"])
def test_text_form_of_shipped_specs(name: str) -> None:
    graph = netspec.load(name).graph
    text = to_text(graph)
    assert from_text(text) == graph and to_text(from_text(text)) == text
    with pytest.raises(GraphError):
        from_text(text.replace(" : N x 64 x", " : N x 63 x", 1))


def test_inference_keeps_outputs_and_drops_what_training_needs(tmp_path: Path) -> None:
    network = compiled(tmp_path)
    graph = inference(network.graph)
    assert set(graph.outputs) == {"scores"}
    assert not {"dropout", "drop_path"} & {n.op for n in graph.nodes.values()}
    assert "head.linear" not in graph.nodes and "head.linear" in network.graph.nodes
    arrays = draw(network.graph, 0)
    x = np.random.default_rng(0).standard_normal((2, 3, 12, 12), np.float32)
    before = get("onnx").run(network.graph, arrays, {"input": x}).outputs["scores"]  # ONNX has dropout as the identity
    after = get("onnx").run(graph, arrays, {"input": x}).outputs["scores"]
    assert np.abs(before).max() > 0.1
    assert np.array_equal(before, after)


def test_dense_form_equals_the_layers_and_slides(tmp_path: Path) -> None:
    # Simonyan and Zisserman 2014, section 3.2: fully connected layers as convolutions over a larger image.
    plain, dense = compiled(tmp_path), compiled(tmp_path, "dense")
    arrays = draw(plain.inference, 0)
    reshaped = {k: arrays[k].reshape(s) for k, (s, _, _) in dense.inference.tensors().items()}
    x = np.random.default_rng(0).standard_normal((2, 3, 12, 12), np.float32)
    want = get("torch").run(plain.graph, arrays, {"input": x}).outputs["scores"]
    got = get("torch").run(dense.graph, reshaped, {"input": x}).outputs["scores"]
    assert got.shape == (2, 5, 1, 1) and np.abs(want).max() > 0.1
    assert np.abs(got[:, :, 0, 0] - want).max() <= 1e-5 * np.abs(want).max()
    wide = compiled(tmp_path, "dense", [3, 16, 14])
    assert wide.inference.shape(wide.inference.outputs["scores"].ref) == ("N", 5, 3, 2)


def test_a_dense_form_that_does_not_fit_is_a_finding(tmp_path: Path) -> None:
    with pytest.raises(netspec.SpecError, match="does not fit") as caught:
        compiled(tmp_path, "dense", [3, 4, 4])
    assert caught.value.diagnostics[0].span is not None


def test_an_unknown_pass_is_named(tmp_path: Path) -> None:
    with pytest.raises(netspec.SpecError) as caught:
        compiled(tmp_path, "wrong")
    assert caught.value.diagnostics[0].help == "did you mean 'fc_to_conv'?"


def test_usage_of_variants_and_settings(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="dens"):
        compiled(tmp_path, "dens")
    for params in ({"clases": 3}, {"classes": "many"}, {"classes": 2.5}):
        with pytest.raises(UsageError):
            netspec.load("resnet18", **params)
    network = netspec.load("resnet18", classes=7)
    assert network.inference.shape(network.inference.outputs["logits"].ref) == ("N", 7)


LOOPS = {
    "repeat": "- c = conv: [3, 1]\n  repeat: 2\n  share: true",
    "repeat, by name": "- c{i} = conv: [3, 1]\n  repeat: 2\n  share: true",
    "each": "- each_ = conv: [3, 1]\n  each: 2\n  share: true\n- add:\n  from: each_",
    "each, by name": "- c{k} = conv: [3, 1]\n  each: {k: 2}\n  share: true\n- add:\n  from: [c0, c1]",
    "each on a branch": "- add: {c: {each: 2, do: [{conv: [3, 1], share: true}]}}",
    "each on a branch, by name": "- add: {'c{k}': {each: {k: 2}, do: [{conv: [3, 1], share: true}]}}",
}


@pytest.mark.parametrize("loop", LOOPS)
def test_the_iterations_of_a_loop_share_weights(loop: str, tmp_path: Path) -> None:
    path = tmp_path / "net.yaml"
    path.write_text("netspec: 1\nname: net\ninput: [3, 4, 4]\nbody:\n" + LOOPS[loop] + "\n", encoding="utf-8")
    graph = netspec.load(path).graph
    assert sum(node.op == "conv" for node in graph.nodes.values()) == 2
    assert [shape for shape, _, _ in graph.tensors().values()] == [(3, 3, 1, 1), (3,)]


def test_a_loop_with_variables_stands_in_two_that_count(tmp_path: Path) -> None:
    """`i` is ambiguous there, which is an error where it is read."""
    path = tmp_path / "net.yaml"
    loops = "- do: [{do: [{'c{k} = conv': [3, 1], for: {k: 2}}], repeat: 2}]\n  repeat: 2\n"
    path.write_text("netspec: 1\nname: net\ninput: [3, 4, 4]\nbody:\n" + loops, encoding="utf-8")
    convs = [node.path for node in netspec.load(path).graph.nodes.values() if node.op == "conv"]
    assert convs == [f"do.{i}.do.{j}.c{k}" for i in range(2) for j in range(2) for k in range(2)]


def test_reserved_names_are_torchs() -> None:
    real = {n for module in (torch.nn.Module(), torch.nn.ModuleDict(), torch.nn.Sequential()) for n in dir(module)}
    assert {n for n in real if not n.startswith("__")} <= MODULE_ATTRIBUTES
    forms = {n for form in (torch.jit.script, torch.fx.symbolic_trace) for n in dir(form(torch.nn.ReLU()))}
    assert {n for n in forms if not n.startswith("__")} <= MODULE_ATTRIBUTES | FORM_ATTRIBUTES
