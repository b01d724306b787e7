"""`netspec verify` tells rounding that grows on its way through a network from a step that is off by itself."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import planted
import pytest
from run_harness import Netspec, identity

import netspec as api
from netspec.backend import able
from netspec.ir.graph import Ref
from netspec.running.own_errors import Exact, given
from netspec.running.showing import values
from netspec.running.subjects import unscaled
from netspec.running.ways import Prepares, Way
from netspec.weights.initialise import draw
from netspec.weights.sample_inputs import contrasting

GATED = """netspec: 1
name: gated
input: [3, 48, 48]
body:
  - a = conv: {out: 16, kernel: 7}
  - gate = sigmoid
  - b = conv: [8, 1]
  - bn = batch_norm
"""
"""A gate whose inputs are large: where they come near 0, their last bits decide what it gives."""


@pytest.fixture
def gated(netspec: Netspec) -> Callable[..., tuple[int, dict[str, Any]]]:
    """Writes the network as a file with inputs of its gate in the ten thousands, and verifies it after a change."""
    Path("gated.yaml").write_text(GATED, encoding="utf-8")
    arrays = draw(api.load("gated.yaml").inference)
    arrays["a.weight"] *= 1e4
    np.savez("gated.npz", **arrays)
    made = "compile gated.yaml --to onnx -O0 --weights gated.npz -o right.onnx -q".split()
    assert netspec(*made)[0] == 0

    def verified(change: Callable[[onnx.ModelProto], None] | None = None, *asked: str) -> tuple[int, dict[str, Any]]:
        model = onnx.load("right.onnx")
        if change is not None:
            change(model)
        onnx.save(model, "changed.onnx")
        code, out, _ = netspec("verify", "gated.yaml", "changed.onnx", "--weights", "gated.npz", "-f", "json", *asked)
        (row,) = json.loads(out)
        return code, row

    return verified


def by_a_percent(model: onnx.ModelProto, key: str) -> None:
    """Every number of a tensor is a hundredth larger."""
    tensor = next(t for t in model.graph.initializer if t.name == key)
    tensor.CopyFrom(onnx.numpy_helper.from_array(np.float32(1.01) * onnx.numpy_helper.to_array(tensor), key))


@pytest.mark.slow
def test_rounding_that_a_gate_makes_large_is_no_difference(gated: Callable[..., tuple[int, dict[str, Any]]]) -> None:
    code, row = gated()
    assert code == 0 and row["result"] == "same" and not row.get("step")
    assert "the first at gate" in row["note"] and "rounding that has grown" in row["note"]


@pytest.mark.slow
def test_an_output_is_held_against_what_float32_can_give(gated: Callable[..., tuple[int, dict[str, Any]]]) -> None:
    """What is asked for with --tolerance is held, and no step is blamed for what none does by itself."""
    code, row = gated(None, "--tolerance", "1e-7")
    assert code == 1 and row["result"] == "differs" and row["tolerance"] == 1e-7 and not row.get("step")


@pytest.mark.parametrize(
    ("step", "change"),
    [
        ("gate", lambda model: planted.scaled_after(model, "gate", 1.005)),
        ("b", lambda model: planted.weight(model, "b")),
        ("b", lambda model: by_a_percent(model, "b.weight")),
        ("bn", lambda model: planted.epsilon(model, "bn")),
        ("a", lambda model: planted.scaled_after(model, "a", 1.00005)),
    ],
    ids=["value", "weight", "percent", "epsilon", "below the tolerance"],
)
@pytest.mark.slow
def test_behind_a_gate_that_makes_rounding_large_faults_are_named(
    step: str, change: Callable[[onnx.ModelProto], None], gated: Callable[..., tuple[int, dict[str, Any]]]
) -> None:
    """Also one below the tolerance, which the gate makes large: the gate does what it should."""
    code, row = gated(change)
    assert code == 1 and row["step"] == step and row["own"] > 1e-5, row


@pytest.mark.quick(1)
@pytest.mark.parametrize("network", ["lenet5", "shufflenet_v2_x0_5", "squeezenet"])
def test_steps_that_are_computed_anew_give_what_the_network_gives(network: str) -> None:
    """Each step alone, of the values before it in float64, is within rounding of the whole."""
    size = {} if network == "lenet5" else {"input": [3, 64, 64]}
    graph = api.load(network, **size).inference
    arrays = draw(graph)
    inputs = contrasting({str(n.path): n.shape for n in graph.inputs}, {}, 2, 0)
    torch = able("torch", Prepares)
    refs = values(graph)
    cut, entering, named = given(graph, refs, {*refs})
    assert [*named.values()] == refs
    assert all(ref.node in {str(n.path) for n in cut.inputs} for n in cut.nodes.values() for ref in n.inputs)
    exact = Exact(torch, graph, lambda: arrays)
    assert max(exact.roundings(inputs).values()) < 1e-4
    shown, outputs, called = given(graph, refs, ())
    assert not outputs and len(shown.inputs) == len(graph.inputs)
    found = torch.prepare(shown, arrays, Way()).run(inputs)
    by_ref = {ref: found[name] for name, ref in called.items()}
    fed = {name: by_ref[ref] for name, ref in entering.items()} | {n: v for n, v in inputs.items() if n in cut.nodes}
    again = torch.prepare(cut, arrays, Way(dtype="float64")).run(fed)
    for name, ref in named.items():
        one, other = again[name], by_ref[Ref(*ref)]
        assert isinstance(one, np.ndarray) and isinstance(other, np.ndarray)
        np.testing.assert_allclose(one, other, atol=1e-5 * max(1e-3, np.abs(one).max()), rtol=0, err_msg=str(ref))


@pytest.mark.slow
def test_a_fault_is_named_though_a_value_behind_it_is_within_the_tolerance(netspec: Netspec) -> None:
    """One is added to values of which a hundredth is taken, and the norm takes it off again: a fault of 1e-3 is 1e-5
    in between, and 1e-3 at the output."""
    text = (
        "netspec: 1\nname: two\ninput: [3, 8, 8]\nbody:\n  - a = conv: [4, 3]\n"
        "  - s = affine: {scale: 0.01, shift: 1.0}\n  - n = instance_norm: {eps: 1e-3}\n"
    )
    Path("two.yaml").write_text(text, encoding="utf-8")
    assert netspec("compile", "two.yaml", "--to", "onnx", "-O0", "-q")[0] == 0
    model = onnx.load("two.onnx")
    planted.scaled_after(model, "a", 1.001)
    onnx.save(model, "two.onnx")
    code, out, _ = netspec("verify", "two.yaml", "two.onnx", "-f", "json")
    (row,) = json.loads(out)
    assert (code, row["result"], row["step"]) == (1, "differs", "a") and row["own"] == pytest.approx(1e-3, rel=0.01)


@pytest.mark.slow
def test_a_fault_between_steps_that_share_weights_is_named(netspec: Netspec) -> None:
    """Computed anew are the ReLU of the first iteration, which has no weights, and all of the second."""
    text = "netspec: 1\nname: two\nuse: [blocks/common]\ninput: [4, 8, 8]\nbody:\n  - a = conv_bn_relu: [4, 3]\n"
    Path("two.yaml").write_text(f"{text}    repeat: 2\n    share: true\n", encoding="utf-8")
    assert netspec("compile", "two.yaml", "--to", "onnx", "-q")[0] == 0
    model = onnx.load("two.onnx")
    planted.leaky(model, "a.0.relu")
    onnx.save(model, "two.onnx")
    code, out, err = netspec("verify", "two.yaml", "two.onnx", "-f", "json")
    assert code == 1, err
    (row,) = json.loads(out)
    assert row["step"] == "a.0.relu" and row["called_at"] == "two.yaml:6"


INT8 = """netspec: 1
name: three
input: [3, 16, 16]
body:
  - a = conv: [8, 3]
  - r = relu
  - b = conv: [8, 3]
  - s = relu
  - c = conv: [4, 1]
"""


@pytest.mark.slow
def test_in_int8_the_step_that_is_off_by_itself_is_named(netspec: Netspec) -> None:
    """The signs of the weights of one convolution are others: what is noise before it is not named."""
    Path("three.yaml").write_text(INT8, encoding="utf-8")
    np.savez("images.npz", **contrasting({"input": ("N", 3, 16, 16)}, {}, 16, 5))
    made = "compile three.yaml --to onnx --dtype int8 --calibrate images.npz -o int8.onnx -q".split()
    assert netspec(*made)[0] == 0
    asked = ["verify", "three.yaml", "int8.onnx", "--calibrate", "images.npz", "-b", "8", "-f", "json"]
    assert netspec(*asked)[0] == 0
    model = onnx.load("int8.onnx")
    tensor = next(t for t in model.graph.initializer if t.name == "b.weight_quantized")
    tensor.CopyFrom(onnx.numpy_helper.from_array(-onnx.numpy_helper.to_array(tensor), tensor.name))
    onnx.save(model, "int8.onnx")
    code, out, _ = netspec(*asked)
    (row,) = json.loads(out)
    assert code == 1 and row["step"] == "s" and row["own"] > 0.5, row
    code, out, _ = netspec(*asked[:3], "--calibrate", "images.npz", "-b", "8")
    assert "first differs at s (relu), three.yaml:8" in out and "no value to compare: b" in out


@pytest.mark.slow
def test_a_file_takes_as_many_inputs_as_it_was_written_for(netspec: Netspec) -> None:
    text = "netspec: 1\nname: two\ninput: [3, 8, 8]\nbody: [conv: [4, 3], relu: ]\n"
    Path("two.yaml").write_text(text, encoding="utf-8")
    for count in (1, 4):
        assert (
            netspec("compile", "two.yaml", "--to", "onnx", "--batch", str(count), "-o", f"b{count}.onnx", "-q")[0] == 0
        )
    for count in (1, 4):
        code, out, _ = netspec("verify", "two.yaml", f"b{count}.onnx")
        assert code == 0 and f"inputs: {count} of each" in out
    code, _, err = netspec("verify", "two.yaml", "b4.onnx", "-b", "2")
    assert code == 2 and "the batch of b4.onnx is fixed at 4" in err and "leave out -b" in err
    code, _, err = netspec("verify", "two.yaml", "b1.onnx", "b4.onnx")
    assert code == 2 and "that of b1.onnx at 1 and that of b4.onnx at 4" in err


def test_a_model_in_the_place_of_the_spec_is_said(netspec: Netspec) -> None:
    Path(identity()).rename("one.onnx")
    code, _, err = netspec("verify", "one.onnx", "other.onnx")
    assert code == 2 and "one.onnx is an ONNX model, not a spec" in err
    assert "`netspec verify SPEC one.onnx other.onnx`" in err


def test_channels_that_were_scaled_for_int8_are_compared_without_their_factors() -> None:
    """A channel that has another sign is none that was scaled."""
    value = np.random.default_rng(0).standard_normal((2, 3, 4, 4), np.float32)
    factors = np.array([1, 3.5, -1], np.float32).reshape(1, 3, 1, 1)
    found = unscaled(value * factors, value)
    np.testing.assert_allclose(found[:, :2], value[:, :2], rtol=1e-5)
    np.testing.assert_array_equal(found[:, 2], -value[:, 2])


@pytest.mark.parametrize("outer", ["float32", "float16"])
def test_a_file_without_weights_is_compared_by_the_type_of_its_values(outer: str, netspec: Netspec) -> None:
    """A float16 has 11 bits: its values differ by up to 2**-11, whether or not a weight says so."""
    body = "- p = max_pool: [3, 2]\n  - a = avg_pool: [2, 2]\n  - s = sigmoid"
    Path("pools.yaml").write_text(f"netspec: 1\nname: pools\ninput: [3, 64, 64]\nbody:\n  {body}\n", encoding="utf-8")
    made = ("compile", "pools.yaml", "--to", "onnx", "--dtype", "float16", "--io-dtype", outer, "-q")
    assert netspec(*made)[0] == 0
    code, out, _ = netspec("verify", "pools.yaml", "pools.onnx", "-f", "json")
    (row,) = json.loads(out)
    assert (code, row["result"]) == (0, "same") and 0 < row["relative"] < 2**-11
    model = onnx.load("pools.onnx")
    planted.node_of(model, "s", "Sigmoid").op_type = "Tanh"
    onnx.save(model, "pools.onnx")
    code, out, _ = netspec("verify", "pools.yaml", "pools.onnx", "-f", "json")
    (row,) = json.loads(out)
    assert (code, row["step"]) == (1, "s")
