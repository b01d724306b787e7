"""The values between the steps of a file in int8 are called as the steps that they are the values of."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from int8_harness import pictures
from netspec_onnx.model_file import Model
from onnx import numpy_helper
from run_harness import Netspec

import netspec as api
from netspec.running.subjects import unscaled
from netspec.running.ways import Way

SPEC = """\
netspec: 1
name: net
use: [blocks/common]
input: [3, 16, 16]
body:
  - stem = conv_bn_relu: [8, 3]
  - join = add:
      deep: [conv_bn: [8, 3]]
      side: []
  - act = relu
  - last = conv_bn_relu: [6, 3]
outputs: {middle: act, last: last}
"""
"""Activations that go into the node before them: of a layer with a folded norm, and of a sum that is an output."""
GIVEN = ["--calibrate", "images.npz"]


@pytest.fixture
def model(netspec: Netspec) -> onnx.ModelProto:
    Path("net.yaml").write_text(SPEC, encoding="utf-8")
    np.savez("images.npz", input=pictures(16))
    assert netspec("compile", "net.yaml", "--to", "onnx", "--dtype", "int8", *GIVEN, "-o", "q.onnx", "-q")[0] == 0
    return onnx.load("q.onnx")


@pytest.mark.slow
def test_each_value_is_that_of_its_step(model: onnx.ModelProto) -> None:
    """What a ReLU went into gives the value of the ReLU, and none is that of a norm, or of a sum, before it."""
    network = api.load("net.yaml")
    called = Model(Path("q.onnx")).named(network.inference)
    assert {"stem.relu", "act", "last.relu"} <= {*called} and not {"stem.bn", "join", "last.bn"} & {*called}
    images = pictures(16)
    found = Model(Path("q.onnx")).prepare(Way(), [*called.values()]).run({"input": images})
    right = network.features([*called])(torch.from_numpy(images))
    for step, value in called.items():
        x, q = right[step].detach().numpy(), np.asarray(found[value])
        assert np.sqrt(np.square(unscaled(q, x) - x).mean()) < 0.1 * np.sqrt(np.square(x).mean()), step


@pytest.mark.parametrize("value", ["stem.relu", "act", "last.relu"])
@pytest.mark.slow
def test_a_range_that_is_too_small_is_a_fault_of_what_gives_the_value(
    value: str, model: onnx.ModelProto, netspec: Netspec
) -> None:
    """No number above a quarter of the range, at the place where the ReLU of the layer is."""
    name = {"act": "middle", "last.relu": "last"}.get(value, value)
    node = next(n for n in model.graph.node if n.name == f"{name}_QuantizeLinear")
    scale = next(t for t in model.graph.initializer if t.name == node.input[1])
    scale.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(scale) / 4, scale.name))
    onnx.save(model, "fault.onnx")
    code, out, _ = netspec("verify", "net.yaml", "fault.onnx", *GIVEN, "-b", "8", "-f", "json")
    assert code == 1 and {row["step"] for row in json.loads(out) if row["result"] == "differs"} == {value}


@pytest.mark.slow
def test_an_output_that_a_relu_reads_keeps_its_negative_numbers(netspec: Netspec) -> None:
    text = SPEC.replace("middle: act,", "middle: act, sum: join, before: first,")
    text = text.replace("  - stem =", "  - first = conv: [4, 1]\n  - relu\n  - stem =")
    Path("ends.yaml").write_text(text, encoding="utf-8")
    np.savez("images.npz", input=pictures(16))
    assert netspec("compile", "ends.yaml", "--to", "onnx", "--dtype", "int8", *GIVEN, "-o", "q.onnx", "-q")[0] == 0
    found = api.Session("q.onnx").run(pictures(16))
    with torch.inference_mode():
        right = api.load("ends.yaml").to_torch()(torch.from_numpy(pictures(16)))
    assert {*found} == {"middle", "sum", "before", "last"} and right["sum"].min() < 0 and right["before"].min() < 0
    for name, value in found.items():
        x = right[name].numpy()
        assert np.sqrt(np.square(value - x).mean()) < 0.1 * np.sqrt(np.square(x).mean()), name


@pytest.mark.slow
def test_what_the_library_logs_is_not_printed(folder: Path) -> None:
    """A norm of its own has weights without an axis of outputs; in a process of its own, where nobody logs."""
    text = (
        "netspec: 1\nname: net\ninput: [3, 8, 8]\n"
        "body: [conv: [4, 3], relu: , instance_norm: {affine: true}, a = conv: [4, 3]]\n"
    )
    (folder / "net.yaml").write_text(text, encoding="utf-8")
    np.savez(folder / "images.npz", input=pictures(4, 8))
    program = (
        "import logging, netspec\n"
        "netspec.load('net.yaml').to_onnx('q.onnx', dtype='int8', calibrate='images.npz', keep_float='')\n"
        "assert not logging.getLogger().handlers and logging.root.manager.disable == 0\n"
        "from netspec_onnx.quantize import _unheard\n"
        "logging.disable(logging.CRITICAL)\n"
        "with _unheard():\n    logging.error('a program that wants to hear nothing')\n"
    )
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", program], capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stderr) == (0, "")
