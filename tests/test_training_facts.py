"""How networks begin and what they drop: against the formulas of papers, and torchvision's own modules."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from conftest import sampled
from safetensors.torch import save_file

import netspec
from netspec.ir.graph import Node
from netspec.weights.initialise import lazily

pytestmark = pytest.mark.slow

NORMAL, UNIFORM, CONSTANT = "normal", "uniform", "constant"
Begins = tuple[str, float]
"""How a tensor begins: its kind, and its deviation, its bound or its value."""


def he(shape: tuple[int, ...], node: Node) -> Begins:
    """He et al. 2015, equation 10: N(0, 2 / fan_in)."""
    return NORMAL, math.sqrt(2 / math.prod(shape[1:]))


def glorot(shape: tuple[int, ...], node: Node) -> Begins:
    """Glorot and Bengio 2010, equation 16, which Simonyan and Zisserman 2014 name in section 3.1."""
    area = math.prod(shape[2:])
    return UNIFORM, math.sqrt(6 / (area * (shape[0] + shape[1])))


def hundredth(shape: tuple[int, ...], node: Node) -> Begins:
    """Krizhevsky et al. 2012, section 5: N(0, 0.01^2)."""
    return NORMAL, 0.01


def efficient(shape: tuple[int, ...], node: Node) -> Begins:
    """The published code of Tan and Le: N(0, 2 / (kernel^2 * filters)), one of each channel where it is depthwise."""
    if node.op == "linear":
        return UNIFORM, 1 / math.sqrt(shape[0])
    return NORMAL, math.sqrt(2 / (math.prod(shape[2:]) * (1 if node.attrs["groups"] > 1 else shape[0])))


def fiftieth(shape: tuple[int, ...], node: Node) -> Begins:
    """The published code of Liu et al. 2022: trunc_normal_(std=0.02), which cuts at 2 and so nothing."""
    return NORMAL, 0.02


def regnet(shape: tuple[int, ...], node: Node) -> Begins:
    return (NORMAL, 0.01) if node.op == "linear" else he(shape, node)


ONES = {"alexnet": {f"{layer}.bias" for layer in ("net.conv2.conv", "net.conv4.conv", "net.conv5.conv", "fc6", "fc7")}}
"""Krizhevsky et al. 2012, section 5: biases of the second, fourth and fifth convolution and of hidden layers are 1."""

FAMILIES: dict[str, Callable[[tuple[int, ...], Node], Begins]] = {
    "alexnet": hundredth,
    "vgg_d": glorot,
    "resnet50": he,
    "densenet121": he,
    "mobilenet_v2": he,
    "inception_v3": he,
    "efficientnet_b0": efficient,
    "efficientnet_v2_s": efficient,
    "convnext_tiny": fiftieth,
    "regnet_y_400mf": regnet,
    "squeezenet": he,
}


def begins_so(value: np.ndarray, begins: Begins, key: str) -> None:
    """Holds a sample against its mean, deviation and bounds; each within five of its own deviations."""
    kind, size, count = *begins, value.size
    if kind == CONSTANT:
        assert (value == np.float32(size)).all(), key
        return
    std = size if kind == NORMAL else size / math.sqrt(3)
    # The deviation of a sample's deviation is sqrt((kurtosis - 1) / 4n): 1 / sqrt(2n) of a normal one, less of others.
    assert abs(value.std(dtype=np.float64) / std - 1) < 5 / math.sqrt(2 * count), key
    assert abs(value.mean(dtype=np.float64)) < 5 * std / math.sqrt(count), key
    largest = float(np.abs(value).max())
    if kind == UNIFORM:
        assert largest <= size * (1 + 1e-6) and (count < 500 or largest > 0.97 * size), key
    else:
        assert largest < 7 * std and (count < 2000 or largest > 2.5 * std), key


@pytest.mark.parametrize("name", sampled(FAMILIES, 3, slow=6))
def test_each_weight_begins_as_its_paper_says(name: str) -> None:
    """All tensors of a network, the large ones by their first piece."""
    graph = netspec.load(name).graph
    arrays, drawn = lazily(graph, 3), 0
    for key, (sizes, _, node) in graph.tensors().items():
        shape, tensor = tuple(map(int, sizes)), key.rpartition(".")[2]
        if tensor == "weight" and len(shape) > 1:
            begins, drawn = FAMILIES[name](shape, node), drawn + 1
        elif node.op == "channel_scale":
            begins = CONSTANT, 1e-6  # layer scale, Liu et al. 2022, appendix A.1
        else:
            begins = CONSTANT, float(tensor in ("weight", "running_var") or key in ONES.get(name, ()))
        begins_so(next(arrays.lazy[key].pieces()), begins, key)
    assert drawn > 7


@pytest.mark.parametrize("name", ["efficientnet_b0", "convnext_tiny"])
def test_layers_begin_as_torchvisions_do(name: str, torchvision: ModuleType, tmp_path: Path) -> None:
    """Its own module, drawn by its own code, mapped to our layers by the rules of the spec."""
    torch.manual_seed(4)
    save_file(getattr(torchvision.models, name)(weights=None).state_dict(), tmp_path / "w.safetensors")
    net = netspec.load(name)
    theirs, ours, compared = net.lazy_arrays(weights=tmp_path / "w.safetensors"), net.lazy_arrays(seed=4), 0
    for key, (_, _, node) in net.graph.tensors().items():
        shape = ours.lazy[key].shape
        if len(shape) < 2 or not 1000 < math.prod(shape) < 200_000:
            continue
        if name[0] == "e" and node.attrs.get("groups", 1) > 1:
            continue  # torchvision takes the fan-out of all groups, the published code of one
        a, b = ours.lazy[key].make(), theirs.lazy[key].make()
        compared += 1
        assert a.std() / b.std() == pytest.approx(1, abs=8 / math.sqrt(2 * a.size)), key
        assert abs(float(a.mean() - b.mean())) < 8 * float(b.std()) / math.sqrt(a.size), key
        assert np.abs(a).max() / np.abs(b).max() == pytest.approx(1, abs=0.4), key
    assert compared > 20


DROPS = [
    *(f"efficientnet_b{i}" for i in range(8)),
    *(f"efficientnet_v2_{size}" for size in "sml"),
    *(f"convnext_{size}" for size in ("tiny", "small", "base", "large")),
]


def without_weights(torchvision: ModuleType, name: str, **options: Any) -> torch.nn.Module:
    with torch.device("meta"):
        found: torch.nn.Module = getattr(torchvision.models, name)(weights=None, **options)
    return found


@pytest.mark.parametrize("name", sampled(DROPS, 3, slow=5))
def test_paths_are_dropped_at_torchvisions_rates(name: str, torchvision: ModuleType) -> None:
    """Block by block: the rate of each that has a shortcut, where it is not 0."""
    model = without_weights(torchvision, name)
    blocks = [part for part in model.modules() if hasattr(part, "stochastic_depth")]
    theirs = [float(b.stochastic_depth.p) for b in blocks if getattr(b, "use_res_connect", True)]  # type: ignore[union-attr, arg-type]
    ours = [float(node.attrs["p"]) for node in netspec.load(name).graph.nodes.values() if node.op == "drop_path"]
    assert len(blocks) > 10 and [p for p in ours if p] == pytest.approx([p for p in theirs if p], abs=1e-9)


CLASSIFIERS = {
    "alexnet_torchvision": "alexnet",
    "vgg_d": "vgg16",
    "vgg11_bn": "vgg11_bn",
    "squeezenet": "squeezenet1_0",
    "googlenet_torchvision": "googlenet",
    "inception_v3": "inception_v3",
    "mobilenet_v2": "mobilenet_v2",
    "mnasnet": "mnasnet1_0",
    "mobilenet_v3_small": "mobilenet_v3_small",
    "mobilenet_v3_large": "mobilenet_v3_large",
    "resnet50": "resnet50",
    "densenet121": "densenet121",
    "shufflenet_v2_x1_0": "shufflenet_v2_x1_0",
    **{name: name for name in DROPS},
}


@pytest.mark.parametrize("name", sampled(CLASSIFIERS, 5, slow=8))
def test_values_are_dropped_at_torchvisions_rates(name: str, torchvision: ModuleType) -> None:
    options = {"init_weights": False} if CLASSIFIERS[name] in ("googlenet", "inception_v3") else {}
    model = without_weights(torchvision, CLASSIFIERS[name], **options)
    theirs = sorted(float(part.p) for part in model.modules() if isinstance(part, torch.nn.Dropout))
    nodes = netspec.load(name).graph.nodes.values()
    assert sorted(float(node.attrs["p"]) for node in nodes if node.op == "dropout") == pytest.approx(theirs)
