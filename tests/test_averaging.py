"""Networks that are averaged at test time: what the graphs of specs/averaging.yaml compute."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from conftest import agreement
from parity import images

import netspec
from netspec.backend import get
from netspec.weights.initialise import draw


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["torch", "onnx"])
def test_ten_crops_are_averaged(backend: str) -> None:
    """Krizhevsky et al. 2012, section 4.1: four corners, the centre, their reflections; predictions are averaged."""
    network, alexnet = netspec.load("averaging", "alexnet_ten_crop"), netspec.load("alexnet").inference
    arrays = draw(network.inference, 2)
    first = "net.view.scores."
    assert {key.removeprefix(first) for key in arrays} == set(alexnet.tensors())
    own = {key.removeprefix(first): value for key, value in arrays.items()}
    x = images((3, 256, 256), 2, 1)
    crops = [x[:, :, top : top + 227, left : left + 227] for top, left in ((0, 0), (0, 29), (29, 0), (29, 29))]
    crops += [x[:, :, 14:241, 14:241]]
    crops += [crop[..., ::-1] for crop in crops]
    module = get("torch").to_module(alexnet, own).eval()
    with torch.inference_mode():
        views = [torch.softmax(module(torch.from_numpy(crop.copy())), 1).numpy() for crop in crops]
    found = get(backend).run(network.inference, arrays, {"input": x}).outputs["probabilities"]
    agreement(np.mean(views, 0), found)


def test_dense_evaluation_goes_on_to_the_mean() -> None:
    """Simonyan and Zisserman 2014, section 3.2: the map of scores is averaged, and so are image and mirror image."""
    graph = netspec.load("averaging", "vgg_d_averaged").inference
    assert graph.shape(graph.outputs["probabilities"].ref) == ("N", 1000)
    for view, ops in enumerate((["input"], ["input", "flip"])):
        scores = f"net.view.{view}.scores"
        assert graph.shape(graph.nodes[f"net.view.{view}.global_avg_pool"].inputs[0]) == ("N", 1000, 6, 6)
        above = graph.above([f"{scores}.stage1.conv1.conv"])
        assert [graph.nodes[path].op for path in graph.nodes if path in above][:-1] == ops
    assert all(key.startswith("net.view.scores.") for key in graph.tensors()), "they share one network"


def test_networks_that_are_averaged_have_weights_of_their_own() -> None:
    graph = netspec.load("averaging", "vgg_d_e_averaged").inference
    last = graph.nodes["net.mean"]
    assert [graph.nodes[ref.node].op for ref in last.inputs] == ["softmax", "softmax"]
    counts = {name: sum(f".{name}.scores" in key for key in graph.tensors()) for name in "de"}
    assert counts == {"d": 2 * 16, "e": 2 * 19}, "weights and biases of 16 and 19 layers"
