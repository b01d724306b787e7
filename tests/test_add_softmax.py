"""The pass `add_softmax`: probabilities at the end, and nothing else is another."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from conftest import agreement
from pass_harness import spec

import netspec
from netspec.backend import get
from netspec.diagnostics.errors import SpecError, UsageError
from netspec.ir.graph import Graph
from netspec.weights.initialise import draw

SOFTMAX = ["add_softmax"]


def run(backend: str, graph: Graph, shape: tuple[int, ...] = (2, 1, 32, 32)) -> dict[str, np.ndarray]:
    x = np.random.default_rng(5).normal(size=shape).astype(np.float32)
    return get(backend).run(graph, draw(graph, 4), {"input": x}).outputs


def probabilities(scores: np.ndarray) -> np.ndarray:
    powers = np.exp(scores - scores.max(1, keepdims=True))
    return powers / powers.sum(1, keepdims=True)


@pytest.mark.parametrize("backend", ["torch", "onnx"])
def test_the_outputs_are_probabilities(backend: str) -> None:
    net = netspec.load("lenet")
    (scores,) = run(backend, net.inference).values()
    found = run(backend, net.after(SOFTMAX).inference)
    assert list(found) == ["probabilities"]
    agreement(probabilities(scores), found["probabilities"])


@pytest.mark.parametrize("backend", ["torch", "onnx"])
def test_maps_of_scores_are_normalized_pixel_by_pixel(backend: str, tmp_path: Path) -> None:
    text = "input: [3, 6, 6]\nbody:\n  - a = conv: [5, 3]\noutputs: {scores: a}\n"
    net = spec(tmp_path, text)
    scores = run(backend, net.inference, (2, 3, 6, 6))["scores"]
    found = run(backend, net.after(SOFTMAX).inference, (2, 3, 6, 6))["scores"]
    agreement(probabilities(scores), found)
    assert np.allclose(found.sum(1), 1, atol=1e-6)


def test_counts_and_checkpoints_stay() -> None:
    plain = netspec.load("googlenet")
    after = plain.after(SOFTMAX)
    assert after.graph == plain.graph, "what is trained has its scores"
    assert after.inference.tensors().keys() == plain.inference.tensors().keys()
    assert [n.op for n in after.inference.nodes.values()][:-1] == [n.op for n in plain.inference.nodes.values()]
    assert sum(n.result.macs or 0 for n in after.inference.nodes.values()) == 1_582_671_872


def test_what_ends_with_a_softmax_is_left_alone(tmp_path: Path) -> None:
    net = spec(tmp_path, "input: [3, 4, 4]\nbody:\n  - flatten\n  - linear: 3\n  - softmax\n")
    assert net.after(SOFTMAX).inference == net.inference


def test_a_name_that_is_taken(tmp_path: Path) -> None:
    text = "input: [3, 4, 4]\nbody:\n  - softmax\n  - probabilities = conv: [3, 4]\noutputs: [probabilities]\n"
    graph = spec(tmp_path, text).after(SOFTMAX).inference
    assert graph.outputs["probabilities"].ref.node == "softmax_2"


def test_a_name_that_a_group_has(tmp_path: Path) -> None:
    text = "input: [3, 4, 4]\nbody:\n  - softmax = do: [relu, conv: [3, 4]]\n"
    graph = spec(tmp_path, text).after(SOFTMAX).inference
    assert [str(output.ref) for output in graph.outputs.values()] == ["softmax_2"]


def test_logits_among_several_outputs(tmp_path: Path) -> None:
    text = "input: [3, 4, 4]\nbody:\n  - a = conv: [3, 1]\n  - b = conv: [2, 1]\noutputs: {boxes: a, logits: b}\n"
    outputs = spec(tmp_path, text).after(SOFTMAX).inference.outputs
    assert {name: output.ref.node for name, output in outputs.items()} == {"boxes": "a", "probabilities": "softmax"}


def test_outputs_that_nobody_knows(tmp_path: Path) -> None:
    text = "input: [3, 4, 4]\nbody:\n  - a = conv: [3, 1]\n  - b = conv: [2, 1]\noutputs: {boxes: a, classes: b}\n"
    with pytest.raises(SpecError, match="which of the outputs boxes, classes has the scores is not known"):
        _ = spec(tmp_path, text).after(SOFTMAX).inference


def test_a_variant_may_end_with_it_and_is_not_trained(tmp_path: Path) -> None:
    text = "input: [3, 4, 4]\nvariants: {a: {}, b: {passes: [add_softmax]}}\nbody:\n  - flatten\n  - linear: 3\n"
    net = spec(tmp_path, text, "b")
    assert [n.op for n in net.inference.nodes.values()] == ["input", "flatten", "linear", "softmax"]
    with pytest.raises(UsageError, match="cannot be trained"):
        net.to_torch(training=True)
