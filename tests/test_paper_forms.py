"""What papers describe and published code leaves out: where dropout stands, how weights begin, the forms of a table."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import agreement
from parity import inputs, network, torch_run
from reference import made
from reference.amoebanet import B_NORMAL, B_REDUCTION
from reference.highway import Highway
from reference.nasnet import Searched

import netspec
from netspec.backend import get
from netspec.ir.graph import Graph
from netspec.weights.initialise import draw, initialise, lazily


@pytest.mark.parametrize(
    "variant, order",
    [
        # Krizhevsky et al. 2012, section 4.2: the outputs of the first two fully connected layers
        ("alexnet", "fc6 relu dropout fc7 relu dropout fc8"),
        ("alexnet_towers", "fc6 relu dropout fc7 relu dropout fc8"),
        ("alexnet_single", "fc6 relu dropout fc7 relu dropout fc8"),
        ("zfnet", "fc6 relu dropout fc7 relu dropout fc8"),
        ("clarifai", "fc6 relu dropout fc7 relu dropout fc8"),
        # torchvision drops what enters them
        ("alexnet_torchvision", "dropout fc6 relu dropout fc7 relu fc8"),
    ],
)
def test_dropout_stands_where_the_paper_has_it(variant: str, order: str, tmp_path: Path) -> None:
    net = netspec.load(variant)
    get("torch").emit(net.graph, {}, tmp_path / "net.py", get("torch").options(training=True, weights=False))
    forward = (tmp_path / "net.py").read_text(encoding="utf-8").rpartition("torch.flatten(")[2]
    steps = re.findall(r"\.(fc\d|relu)\(|self\.(dropout|drop)\w*\(", forward)
    assert " ".join(layer or "dropout" for layer, _ in steps) == order


def std(values: np.ndarray) -> float:
    return float(values.std())


@pytest.mark.slow
@pytest.mark.parametrize("variant", ["alexnet", "alexnet_towers"])
def test_alexnet_begins_as_its_paper_says(variant: str) -> None:
    """Section 5: N(0, 0.01^2); biases 1 in conv2, conv4, conv5 and the hidden fully connected layers, 0 elsewhere."""
    for key, value in initialise(netspec.load(variant).graph).items():
        layer = re.search(r"conv(\d)(?!.*conv\d)|fc\d", key)
        assert layer
        if key.endswith(".weight"):
            assert abs(value.mean()) < 6e-4 and abs(std(value) - 0.01) < 3e-4, key
        else:
            assert (value == (layer[0] in ("conv2", "conv4", "conv5", "fc6", "fc7"))).all(), key


def test_vgg_begins_by_glorot_and_bengio() -> None:
    """Equation 16: uniform, up to sqrt(6 / (fan in + fan out)), whose deviation is a sqrt(3)-th of that."""
    graph = netspec.load("vgg", "vgg_a", classes=10).graph
    arrays = lazily(graph)
    for key, fans in {
        "stage1.conv1.conv": 9 * (3 + 64),
        "stage3.conv1.conv": 9 * (128 + 256),
        "fc8": 4096 + 10,
    }.items():
        reach = np.sqrt(6 / fans)
        value = arrays[f"{key}.weight"]
        assert np.abs(value).max() <= reach and abs(std(value) / reach * np.sqrt(3) - 1) < 0.03
        assert not arrays[f"{key}.bias"].any()


def test_what_ssd_adds_to_vgg_begins_by_glorot_and_bengio() -> None:
    """Liu et al. 2016, section 3: all newly added convolutions; conv6 and conv7 are those of VGG's layers."""
    graph = netspec.load("ssd", "ssd300_vgg16").graph
    convs = [node for node in graph.nodes.values() if node.op == "conv" and not node.path.startswith(("base", "fc"))]
    assert len(convs) == 2 * 4 + 2 * 6
    assert all(node.init["weight"] == "xavier" for node in convs)


def ops(graph: Graph) -> list[str]:
    return [node.op for node in graph.nodes.values()]


@pytest.mark.slow
def test_the_sigmoid_network_of_batch_normalization() -> None:
    """Ioffe and Szegedy 2015, section 4.2.1: BN-x5-Sigmoid, the same network with sigmoids."""
    plain, sigmoids = (netspec.load("bn_inception", v) for v in ("bn_inception", "bn_inception_sigmoid"))
    assert ops(sigmoids.graph) == ["sigmoid" if op == "relu" else op for op in ops(plain.graph)]
    assert sigmoids.graph.tensors().keys() == plain.graph.tensors().keys()
    assert "sigmoid" in ops(netspec.load("bn_inception", act="sigmoid").graph)


def test_a_highway_layer_with_the_nonlinearity_of_the_lectures() -> None:
    """y = sigmoid(W x + b), weighted by the gate; of 48 layers nothing of an image would be left."""
    graph = netspec.load("highway", "highway_sigmoid", layers=3).inference
    arrays, x = draw(graph, 3), inputs(graph, 2, 4)
    theirs = made(lambda: Highway(3, torch.sigmoid), arrays)
    agreement(torch_run(theirs, *x), torch_run(get("torch").to_module(graph, arrays), *x))


# He et al. 2016, Table 1: constants on the shortcut and on F, or what the bias of a gate begins with
TABLE_1 = {
    "resnet110_identity": (None, None),
    "resnet110_scaled_0_1": ([1.0, 0.0], None),
    "resnet110_scaled_05_1": ([1.0, 0.5], None),
    "resnet110_scaled": ([0.5, 0.5], None),
    "resnet110_exclusive_gate_0": ([-1.0], 0),
    "resnet110_exclusive_gate": ([-1.0], -6),
    "resnet110_exclusive_gate_7": ([-1.0], -7),
    "resnet110_shortcut_gate_0": ([-1.0], 0),
    "resnet110_shortcut_gate": ([-1.0], -6),
    "resnet110_conv": (None, None),
    "resnet110_dropout": (None, None),
}


@pytest.mark.parametrize("variant", TABLE_1)
@pytest.mark.quick(3)
def test_the_eleven_rows_of_the_table_of_shortcuts(variant: str) -> None:
    """Constants are in the order F, shortcut; that of a gate is the -1 of 1 - g."""
    constants, bias = TABLE_1[variant]
    graph = network(variant, depth=8).graph
    found = [node.attrs["scale"] for node in graph.nodes.values() if node.op == "affine"]
    assert found == (constants or []) * 3
    arrays = initialise(graph)
    gates = [v for k, v in arrays.items() if k.endswith(".g.conv.bias")]
    assert len(gates) == (3 if bias is not None else 0) and all((gate == bias).all() for gate in gates)


def test_any_bias_of_a_gate_can_be_asked_for() -> None:
    """The row with 0 to -5."""
    for bias in range(-5, 1):
        arrays = initialise(netspec.load("resnet_shortcuts", "resnet110_exclusive_gate", depth=8, gate_bias=bias).graph)
        assert {float(v.max()) for k, v in arrays.items() if k.endswith(".g.conv.bias")} == {float(bias)}


@pytest.mark.parametrize(
    "phi, depth, width, size", [(0.5, 1.095, 1.049, 240), (1, 1.2, 1.1, 258), (3, 1.728, 1.331, 341)]
)
def test_phi_scales_all_of_an_efficientnet(phi: float, depth: float, width: float, size: int) -> None:
    """Tan and Le 2019, equation 3, with alpha 1.2, beta 1.1, gamma 1.15; layers are rounded up, widths to eights."""
    graph = netspec.load("efficientnet", phi=phi).graph
    assert graph.inputs[0].shape == ("N", 3, size, size)
    blocks = {path.rpartition(".")[0] for path in graph.scopes if re.fullmatch(r"stage[2-8]\.\d+", path)}
    counts = [
        sum(re.fullmatch(rf"{stage}\.\d+", path) is not None for path in graph.scopes) for stage in sorted(blocks)
    ]
    assert counts == [int(np.ceil(n * depth - 1e-9)) for n in (1, 2, 2, 3, 3, 4, 1)]
    assert abs(int(graph.shape(graph.nodes["avgpool"].inputs[0])[1]) - 1280 * width) <= 4


def test_a_released_setting_needs_no_phi() -> None:
    assert netspec.load("efficientnet", size=240).graph.inputs[0].shape == ("N", 3, 240, 240)


@pytest.mark.slow
def test_the_cells_of_amoebanet_b() -> None:
    """Pairs of the authors' code; with N 6 and F 512 they have the 557M parameters that GPipe prints."""
    graph = netspec.load("amoebanet", "amoebanet_b", filters=32, n=2, stem=16, input=[3, 95, 95]).inference
    arrays, x = draw(graph, 5), inputs(graph, 2, 6)
    theirs = made(lambda: Searched((B_NORMAL, [0, 3, 4, 6]), (B_REDUCTION, [5, 6]), 2, 32, 16, True), arrays)
    agreement(torch_run(theirs, *x), torch_run(get("torch").to_module(graph, arrays), *x))


def test_the_dilated_conv5_reads_the_map_that_conv4_gives() -> None:
    """Dai et al. 2017, section 3.1: stride 16, dilation 2, the offsets of the same dilation."""
    graph = netspec.load("deformable", "deformable_resnet50_dilated").graph
    convs = [n for n in graph.nodes.values() if n.path.startswith("net.conv5") and n.op in ("conv", "deform_conv")]
    assert {n.attrs["stride"] for n in convs} == {(1, 1)}
    assert {n.attrs["dilation"] for n in convs if n.attrs["kernel"] == (3, 3)} == {(2, 2)}
    assert all(n.attrs["pad"] == (2, 2, 2, 2) for n in convs if n.attrs["kernel"] == (3, 3))


def test_zfnet_of_the_listing_for_keras() -> None:
    """Sizes 109 and 27, as its `same` pads the even map of 54 cells unlike; the lectures count 1,197,505,568 MACs."""
    graph = netspec.load("zfnet", pad1=0, pad2=[1, 2, 1, 2]).inference
    assert [graph.shape(graph.nodes[f"conv{i}.relu"].inputs[0])[2] for i in (1, 2)] == [109, 27]
    assert sum(node.result.macs or 0 for node in graph.nodes.values()) == 1_197_505_568
