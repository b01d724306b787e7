"""fold_batch_norm: what it folds, what it leaves alone, and which weights come of it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import agreement, sampled
from pass_harness import FOLD, counts, equal, run, spec

import netspec
from netspec.backend import get
from netspec.ir.graph import Ref
from netspec.network import Network
from netspec.weights.initialise import draw, initialise

SMALL = {
    "resnet20_cifar": 32,
    "resnet50": 64,
    "mobilenet_v2": 64,
    "densenet121": 64,
    "bn_inception": 96,
    "nasnet_a_mobile": 96,
}


@pytest.mark.parametrize("backend", [pytest.param("torch", marks=pytest.mark.slow), "onnx"])
@pytest.mark.parametrize("name", sampled(SMALL, 1))
def test_folded_networks_compute_the_same(name: str, backend: str) -> None:
    network = netspec.load(name, input=[3, SMALL[name], SMALL[name]])
    folded = network.after(FOLD)
    before, after = counts(network.inference), counts(folded.inference)
    assert before[0] - after[0] == before[1] - after[1] > 10  # a node for each norm
    equal(network.unfolded, folded.module, backend)


COUNTS = {  # nodes, batch norms and parameters, before and after; in DenseNet a norm comes after a concatenation
    "resnet50": ((176, 53, 25_557_032), (123, 0, 25_530_472)),
    "mobilenet_v1": ((85, 27, 4_231_976), (58, 0, 4_221_032)),
    "densenet121": ((428, 121, 7_978_856), (369, 62, 7_971_368)),
    "vgg16_bn": ((51, 13, 138_365_992), (38, 0, 138_357_544)),
    "vgg_d": ((38, 0, 138_357_544), (38, 0, 138_357_544)),
}


@pytest.mark.parametrize("name", sampled(COUNTS, 2))
def test_counts_before_and_after_folding(name: str) -> None:
    """A norm of C channels takes 2C parameters with it; its layer gets a bias of C where it has none."""
    network = netspec.load(name)
    assert (counts(network.inference), counts(network.after(FOLD).inference)) == COUNTS[name]


LAYERS = {
    "conv": "conv: {out: 6, kernel: 3, bias: false}",
    "conv with bias": "conv: {out: 6, kernel: 3}",
    "grouped conv": "conv: {out: 8, kernel: 3, groups: 4, stride: 2, pad: 1}",
    "depthwise conv": "conv: {out: 4, kernel: 3, groups: 4, bias: false}",
    "conv_transpose": "conv_transpose: {out: 6, kernel: 3, stride: 2, bias: false}",
    "grouped conv_transpose": "conv_transpose: {out: 6, kernel: 3, stride: 2, groups: 2}",
}


@pytest.mark.parametrize("backend", ["torch", "onnx"])
@pytest.mark.parametrize("norms", ["batch_norm", "batch_norm: {eps: 0.3}", "batch_norm: {affine: false}", "three"])
@pytest.mark.parametrize("layer", LAYERS)
@pytest.mark.quick(5)
def test_a_layer_takes_the_norms_after_it(layer: str, norms: str, backend: str, tmp_path: Path) -> None:
    chain = ["batch_norm", "batch_norm: {affine: false, eps: 1e-3}", "batch_norm"] if norms == "three" else [norms]
    body = "".join(f"  - n{i} = {norm}\n" for i, norm in enumerate(chain))
    network = spec(tmp_path, f"input: [4, 9, 7]\nbody:\n  - layer = {LAYERS[layer]}\n{body}  - relu\n")
    folded = network.after(FOLD)
    assert [n.op for n in folded.inference.nodes.values()] == ["input", network.graph.nodes["layer"].op, "relu"]
    assert folded.inference.nodes["layer"].attrs == {**network.graph.nodes["layer"].attrs, "bias": True}
    equal(network.unfolded, folded.module, backend)


def test_a_deformable_convolution_takes_the_norm_after_it(tmp_path: Path) -> None:
    text = """\
input: [4, 7, 7]
body:
  - off = conv: [18, 3, 1, 1]
  - d = deform_conv: {out: 6, kernel: 3, pad: 1, groups: 2, bias: false}
    from: [input, off]
  - batch_norm
"""
    network = spec(tmp_path, text)
    folded = network.after(FOLD)
    assert folded.inference.nodes["d"].attrs["bias"] and counts(folded.inference)[1] == 0
    equal(network.unfolded, folded.module, "torch")


@pytest.mark.parametrize("backend", ["torch", "onnx"])
def test_a_linear_layer_takes_the_norm_after_it(backend: str, tmp_path: Path) -> None:
    text = "input: [20]\nbody:\n  - fc = linear: {out: 6, bias: false}\n  - dropout: 0.5\n  - batch_norm\n  - relu\n"
    network = spec(tmp_path, text)
    folded = network.after(FOLD)
    assert counts(folded.inference) == (3, 0, 6 * 20 + 6)  # what is dropped at inference does not stand between
    equal(network.unfolded, folded.module, backend)


LEFT = {
    "others read the value too": "  - c = conv: [4, 1]\n  - bn = batch_norm\n  - add:\n    from: [bn, c]\n",
    "two norms read the value": "  - c = conv: [4, 1]\n  - a = batch_norm\n  - b = batch_norm:\n    from: c\n"
    "  - add:\n    from: [a, b]\n",
    "the value is an output": "  - c = conv: [4, 1]\n  - bn = batch_norm\noutputs: {a: c, b: bn}\n",
    "something stands between": "  - c = conv: [4, 1]\n  - relu\n  - batch_norm\n",
    "the layer behind it pads": "  - batch_norm\n  - conv: [4, 3, 1, 1]\n",
}


@pytest.mark.parametrize("why", LEFT)
def test_what_is_left_alone(why: str, tmp_path: Path) -> None:
    network = spec(tmp_path, f"input: [4, 5, 5]\nbody:\n{LEFT[why]}")
    assert network.after(FOLD).inference is network.unfolded


BEHIND = {
    "conv": "conv: [6, 3]",
    "grouped conv": "conv: {out: 6, kernel: 3, groups: 2, stride: 2, bias: false}",
    "linear": "linear: 5",
}


@pytest.mark.parametrize("backend", ["torch", "onnx"])
@pytest.mark.parametrize("layer", BEHIND)
@pytest.mark.quick(2)
def test_a_layer_takes_the_norms_before_it(layer: str, backend: str, tmp_path: Path) -> None:
    size = "[8]" if layer == "linear" else "[4, 9, 7]"
    text = f"input: {size}\nbody:\n  - batch_norm\n  - b2 = batch_norm: {{eps: 0.1}}\n  - layer = {BEHIND[layer]}\n"
    network = spec(tmp_path, text)
    folded = network.after(FOLD)
    (node,) = (n for n in folded.inference.nodes.values() if n.op != "input")
    assert node.attrs["bias"] and node.folded == ("batch_norm", "b2")
    equal(network.unfolded, folded.module, backend)


def test_a_value_that_a_block_gives_by_name_is_left_alone(tmp_path: Path) -> None:
    text = """\
input: [4, 5, 5]
blocks:
  two: {outputs: [raw, normed], body: [raw = conv: [4, 1], normed = batch_norm]}
body:
  - t = two
  - relu:
    from: t.normed
"""
    network = spec(tmp_path, text)
    assert network.unfolded.scopes["t"].outs["raw"] == Ref("t.raw")  # nobody reads it, but it has a name
    assert network.after(FOLD).inference is network.unfolded


SHARED = """\
input: [4, 6, 6]
body:
  - c = conv: {out: 4, kernel: 3, pad: 1, bias: false}
  - n = batch_norm
  - relu
  - d = conv: {out: 4, kernel: 3, pad: 1, bias: false}
    share: c
  - m = batch_norm"""


@pytest.mark.parametrize("backend", ["torch", "onnx"])
@pytest.mark.parametrize(
    ("norm", "left"),
    [(":\n    share: n", 0), ("", 2), (":\n    share: n\n  - relu\n  - e = batch_norm:\n    share: n", 1)],
)
def test_shared_weights_are_folded_where_all_take_the_same_norms(
    norm: str, left: int, backend: str, tmp_path: Path
) -> None:
    network = spec(tmp_path, SHARED + norm + "\n")
    folded = network.after(FOLD)
    assert counts(folded.inference)[1] == left
    equal(network.unfolded, folded.module, backend)


def test_a_chain_is_folded_as_far_as_the_layers_that_share_agree(tmp_path: Path) -> None:
    text = SHARED + ":\n    share: n\n  - k = batch_norm\n"
    network = spec(tmp_path, text)
    folded = network.after(FOLD)
    assert [n.path for n in folded.inference.nodes.values() if n.op == "batch_norm"] == ["k"]
    equal(network.unfolded, folded.module, "onnx")


def test_scopes_follow_what_is_folded(tmp_path: Path) -> None:
    text = """\
input: [4, 6, 6]
blocks:
  normed: {body: [bn = batch_norm]}
  tail: {inputs: [p, q], body: [{s = add: null, from: [p, q]}]}
body:
  - c = conv: [4, 1]
  - n = normed
  - r = relu:
    from: input
  - t = tail:
    from: [n, r]
"""
    network = spec(tmp_path, text)
    assert network.unfolded.scopes["t"].ins == {"p": Ref("n.bn"), "q": Ref("r")}
    folded = network.after(FOLD).inference
    assert set(folded.scopes) == {"t"} and folded.scopes["t"].ins == {"p": Ref("c"), "q": Ref("r")}


def test_weights_are_those_before_the_pass_by_key() -> None:
    """Drawn or read for the network as it is written, then folded: the formula by hand."""
    network = netspec.load("resnet20_cifar")
    stored, folded = network.arrays(seed=5), network.after(FOLD).arrays(seed=5)
    w, b = stored["conv1.conv.weight"], stored["conv1.bn.bias"]
    factor = stored["conv1.bn.weight"] / np.sqrt(stored["conv1.bn.running_var"] + np.float32(1e-5))
    assert np.allclose(folded["conv1.conv.weight"], w * factor[:, None, None, None], rtol=1e-6)
    assert np.allclose(folded["conv1.conv.bias"], b - stored["conv1.bn.running_mean"] * factor)
    assert np.array_equal(folded["fc.weight"], stored["fc.weight"])
    assert not any(".bn." in key for key in folded) and stored == initialise_equal(network, stored)


def initialise_equal(network: Network, stored: Mapping[str, np.ndarray]) -> Mapping[str, np.ndarray]:
    """The same mapping, if it is what is drawn for the network without passes."""
    drawn = initialise(network.inference, 5)
    assert list(drawn) == list(stored) and all(np.array_equal(drawn[key], stored[key]) for key in drawn)
    return stored


def test_a_checkpoint_is_read_for_the_network_before_the_pass(tmp_path: Path) -> None:
    network = spec(tmp_path, "input: [4, 9, 7]\nbody:\n  - conv: [6, 3]\n  - batch_norm\n  - relu\n")
    arrays = draw(network.inference, 1)
    np.savez(tmp_path / "weights.npz", **arrays)
    folded = network.after(FOLD)
    made = folded.arrays(weights=tmp_path / "weights.npz")
    agreement(run("torch", network.inference, arrays), run("torch", folded.inference, made))
    part = folded.arrays(seed=3, weights=tmp_path / "weights.npz", exclude=["batch_norm"])
    drawn = {**arrays, **{k: v for k, v in initialise(network.inference, 3).items() if k.startswith("batch_norm")}}
    agreement(run("torch", network.inference, drawn), run("torch", folded.inference, part))


def test_weights_of_both_targets_are_the_folded_ones(tmp_path: Path) -> None:
    network = netspec.load("resnet20_cifar")
    x = np.random.default_rng(0).standard_normal((2, 3, 32, 32), np.float32)
    expected = network.to_torch(seed=2)(torch.from_numpy(x)).detach().numpy()
    module = network.to_torch(seed=2, passes=FOLD)
    assert not any("running" in key for key in module.state_dict())
    agreement(expected, module(torch.from_numpy(x)))
    network.to_onnx(tmp_path / "folded.onnx", seed=2, passes=FOLD)
    agreement(expected, get("onnx").run_file(tmp_path / "folded.onnx", {"input": x}).outputs["logits"])


def test_one_tensor_is_made_at_a_time() -> None:
    """Folding makes nothing until a tensor is asked for, and then what that one needs."""
    network = netspec.load("resnet20_cifar").after(FOLD)
    asked: list[str] = []

    def stored(key: str) -> np.ndarray:
        asked.append(key)
        return np.ones(tuple(map(int, network.unfolded.tensors()[key][0])), np.float32)

    module = network.module
    assert asked == []
    module.computed["conv1.conv.weight"].make(stored)
    assert sorted(asked) == ["conv1.bn.running_var", "conv1.bn.weight", "conv1.conv.weight"]


def test_a_folded_weight_is_made_piece_by_piece(monkeypatch: pytest.MonkeyPatch) -> None:
    """As it is whole, bit by bit, so that no more is in memory than of what is drawn; pieces end within a row."""
    monkeypatch.setattr("netspec.weights.lazy.PIECE", 1000)
    network = netspec.load("resnet20_cifar").after(FOLD)
    arrays = network.lazy_arrays(0)
    made = [key for key, weight in network.module.computed.items() if weight.scaled is not None]
    assert len(made) == 19  # every convolution of 6n + 1, n = 3
    for key in made:
        pieces = list(arrays.lazy[key].pieces())
        assert all(piece.size <= 1000 for piece in pieces)
        assert np.array_equal(np.concatenate(pieces), arrays[key].ravel())
