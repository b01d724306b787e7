"""A network that is used as a block keeps the passes of its variant."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from conftest import agreement
from pass_harness import FOLD, equal, run, spec

import netspec
from netspec.analysis.cost import totals
from netspec.diagnostics.errors import SpecError
from netspec.ir.graph import Ref
from netspec.network import Network
from netspec.weights.initialise import draw

INNER = """\
netspec: 1
name: inner
input: [3, =size, =size]
params: {size: 8, classes: 5}
variants:
  plain: {}
  dense: {passes: [fc_to_conv], input: [3, 20, 20]}
  small: {of: dense, size: 4}
  folded: {passes: [fold_batch_norm]}
  wrong: {passes: [fc_to_cov]}
blocks:
  classifier:
    inputs: [p, q]
    outputs: [r, s]
    body:
      - r = linear: 6
        from: p
      - s = linear: 6
        from: q
body:
  - stem = do: [conv: {out: 4, kernel: 3, pad: 1}, bn = batch_norm, relu]
  - max_pool: [2, 2]
  - flat = flatten
  - t = classifier:
    from: [flat, flat]
  - fc1 = add:
    from: [t.r, t.s]
  - act = relu
  - dropout: 0.5
  - fc2 = linear: {out: =classes, init: {weight: {normal: 0.5}}}
outputs: {scores: fc2}
"""


def outer(tmp_path: Path, body: str, size: str = "[3, 12, 10]", more: str = "") -> Network:
    (tmp_path / "inner.yaml").write_text(INNER, encoding="utf-8")
    return spec(tmp_path, f"use: ['./inner']\ninput: {size}\n{more}body:\n{body}")


@pytest.mark.parametrize("backend", ["torch", "onnx"])
@pytest.mark.parametrize("variant", ["dense", "small"])
def test_a_network_used_as_a_block_has_the_passes_of_its_variant(variant: str, backend: str, tmp_path: Path) -> None:
    """Its layers are those for its own input; weights, counts and outputs are those of the network alone."""
    body = f"  - conv: [3, 1]\n  - net = inner: {{variant: {variant}}}\n  - global_avg_pool\n  - flatten\n"
    network = outer(tmp_path, body)
    alone = netspec.load(tmp_path / "inner.yaml", variant, input=[3, 12, 10])
    assert not {"linear"} & {n.op for n in network.graph.nodes.values()}
    assert network.graph.shape(Ref("net.fc2")) == alone.graph.shape(Ref("fc2")) != ("N", 5, 1, 1)
    inside = {
        key.removeprefix("net."): shape for key, (shape, _, _) in network.graph.tensors().items() if "net." in key
    }
    assert inside == {key: shape for key, (shape, _, _) in alone.graph.tensors().items()}
    assert totals(network.graph.nodes.values()).macs == totals(alone.graph.nodes.values()).macs + 3 * 3 * 12 * 10
    scopes = {s.path.removeprefix("net."): s for s in network.graph.scopes.values() if s.path.startswith("net.")}
    assert set(scopes) == set(alone.graph.scopes)
    assert scopes["t"].ins == {"p": Ref("net.max_pool"), "q": Ref("net.max_pool")}

    arrays = draw(alone.inference, 4)
    eye = {"conv.weight": np.eye(3, dtype=np.float32).reshape(3, 3, 1, 1), "conv.bias": np.zeros(3, np.float32)}
    (expected,) = run(backend, alone.inference, arrays).values()
    (got,) = run(backend, network.inference, eye | {f"net.{key}": a for key, a in arrays.items()}).values()
    agreement(expected.mean((2, 3)), got)
    drawn = network.arrays(seed=1)["net.fc2.weight"]
    assert drawn.shape[:2] == (5, 6) and 0.3 < drawn.std() < 0.8  # as `init` says


def test_the_dense_evaluation_of_vgg_is_followed_by_an_average(tmp_path: Path) -> None:
    """Simonyan and Zisserman 2014, section 3.2: the class score map is spatially averaged."""
    body = "  - net = vgg: {variant: vgg_d_dense}\n  - global_avg_pool\n  - flatten\n"
    network = spec(tmp_path, f"use: [vgg]\ninput: [3, 384, 384]\nbody:\n{body}")
    alone = netspec.load("vgg_d_dense")
    assert network.graph.shape(Ref("net.fc8")) == alone.graph.shape(Ref("fc8")) == ("N", 1000, 6, 6)
    counted, expected = (totals(n.inference.nodes.values()) for n in (network, alone))
    assert (counted.params, counted.macs) == (expected.params, expected.macs) == (138_357_544, 49_551_114_240)


def test_names_inside_a_network_mean_what_passes_made_of_them(tmp_path: Path) -> None:
    body = """\
  - net = inner: {variant: dense, until: act}
  - u = max_pool: [4, 4]
    from: net.flat
  - v = max_pool: [8, 8]
    from: net.stem
  - concat:
    from: [u, v]
  - w = conv: [8, 1]
    from: net
  - add:
    from: [w, concat]
"""
    nodes = outer(tmp_path, body, size="[3, 8, 8]").graph.nodes
    assert nodes["u"].inputs == (Ref("net.max_pool"),)  # what `flatten` gave
    assert nodes["v"].inputs == (Ref("net.stem.relu"),)
    assert nodes["w"].inputs == (Ref("net.act"),) and nodes["net.t.r"].op == "conv"


def test_networks_with_passes_lie_in_each_other_and_share_weights(tmp_path: Path) -> None:
    middle = """\
netspec: 1
name: middle
use: ['./inner']
input: [3, 8, 8]
variants: {plain: {}, dense: {passes: [fc_to_conv]}}
body:
  - a = inner: {variant: dense}
  - flatten
  - fc = linear: 3
"""
    (tmp_path / "middle.yaml").write_text(middle, encoding="utf-8")
    body = """\
  - one = middle: {variant: dense}
  - two = middle: {variant: dense}
    from: input
    share: one
  - add:
    from: [one, two]
"""
    (tmp_path / "inner.yaml").write_text(INNER, encoding="utf-8")
    text = f"use: ['./middle', './inner']\ninput: [3, 8, 8]\nbody:\n{body}"
    network = spec(tmp_path, text)
    assert {n.op for n in network.graph.nodes.values()} >= {"conv"} and network.graph.nodes["two.fc"].op == "conv"
    assert {key.partition(".")[0] for key in network.graph.tensors()} == {"one"}
    equal(network.unfolded, network.after(FOLD).module, "onnx")


@pytest.mark.parametrize(("first", "second"), [("dense", "plain"), ("plain", "dense")])
def test_weights_that_no_longer_fit_are_not_shared(first: str, second: str, tmp_path: Path) -> None:
    body = f"  - one = inner: {{variant: {first}}}\n  - two = inner: {{variant: {second}}}\n"
    body += "    from: input\n    share: one\n"
    with pytest.raises(SpecError, match="cannot share the weights of"):
        outer(tmp_path, body + "  - flatten\n  - add:\n    from: [two, flatten]\n", size="[3, 8, 8]")


def test_errors_of_passes_of_a_network_used_as_a_block(tmp_path: Path) -> None:
    for variant, size, message in (
        ("folded", "[3, 8, 8]", "'folded' of 'inner' has the pass 'fold_batch_norm', which a network used as a block"),
        ("wrong", "[3, 8, 8]", "there is no pass 'fc_to_cov'"),
        ("dense", "[3, 4, 4]", "net.t.r: "),  # smaller than the map that its first layer reads
    ):
        with pytest.raises(SpecError, match=message) as caught:
            outer(tmp_path, f"  - net = inner: {{variant: {variant}}}\n", size=size)
        assert len(caught.value.diagnostics) == 1
