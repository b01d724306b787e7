"""The PyTorch source: a class per block, nothing of netspec, shared weights once, heads in training alone."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from netspec_torch import merging
from netspec_torch.options import TorchOptions

import netspec
from netspec.backend import get
from netspec.diagnostics.errors import Reporter
from netspec.network import Network, build
from netspec.syntax.reader import read_document
from netspec.weights.initialise import draw, initialise

SHARED = """\
netspec: 1
name: shared
input: [8, 6, 6]
use: [blocks/common]
body:
  - a = conv_bn: [8, 3]
  - b = conv_bn: [8, 3]
    share: {of: a, own: [bn]}
  - loop = conv_bn_relu: [8, 3]
    repeat: 3
    share: true
"""


def compiled(tmp_path: Path, text: str) -> Network:
    path = tmp_path / "spec.yaml"
    path.write_text(text, encoding="utf-8")
    document = read_document(path, Reporter())
    assert document is not None
    return build(document)


@pytest.mark.slow
def test_the_source_stands_alone(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "netspec", "compile", "squeezenet_11", "--to", "torch", "-o", "net.py", "--seed", "3"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    code = (
        "import sys, torch, net\n"
        "model = net.load()\n"
        "torch.save(model(torch.ones(1, 3, 224, 224)), 'out.pt')\n"
        "assert not [m for m in sys.modules if m.startswith('netspec')]\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    network = netspec.load("squeezenet_11")
    arrays = initialise(network.inference, 3)
    expected = (
        get("onnx").run(network.inference, arrays, {"input": np.ones((1, 3, 224, 224), np.float32)}).outputs["logits"]
    )
    found = torch.load(tmp_path / "out.pt", weights_only=True).detach().numpy()
    assert np.abs(found - expected).max() <= 1e-5 * np.abs(expected).max()


def test_a_class_per_block() -> None:
    source = get("torch").source(netspec.load("googlenet").graph)
    classes = re.findall(r"^class (\w+)", source, re.MULTILINE)
    assert classes == ["ConvRelu", "Inception", "Googlenet"]
    assert "def __init__(self, in_channels, n1x1, r3x3, n3x3, r5x5, n5x5, proj)" in source
    assert "netspec" not in re.sub(r'""".*?"""', "", source, flags=re.DOTALL)
    assert max(map(len, source.splitlines())) <= 120


def test_shared_weights_stand_once(tmp_path: Path) -> None:
    network = compiled(tmp_path, SHARED)
    module = network.to_torch()
    keys = [k for k in module.state_dict() if not k.endswith("num_batches_tracked")]
    assert sorted(keys) == sorted(network.inference.tensors())
    assert {"a.conv.weight", "b.bn.weight", "loop.conv.weight"} <= set(keys)
    assert not {"b.conv.weight", "loop.0.conv.weight", "loop.1.bn.weight"} & set(keys)
    assert sum(p.numel() for p in module.parameters()) == 8 * 8 * 9 * 2 + 16 * 3


SCALED = """\
netspec: 1
name: scaled
input: [4, 6, 6]
blocks:
  inner:
    body: [conv: [4, 1]]
  unit:
    params: {factor: float, deep: true}
    body:
      - inner
      - affine: {scale: =factor}
      - conv = conv: [4, 1]
        when: deep
      - tanh
body:
  - a = unit: 0.5
  - b = unit: 2.0
    share: a
  - c = unit: [0.5, false]
    share: a
  - d = unit: 0.5
    share: a
"""


def test_shared_blocks_that_differ_in_what_has_no_weights(tmp_path: Path) -> None:
    """Each by its definition: x -> tanh(B(factor * A(x))), without B where it is not deep."""
    network = compiled(tmp_path, SCALED)
    module = network.to_torch(seed=1)
    arrays = module.state_dict()
    assert sorted(arrays) == ["a.conv.bias", "a.conv.weight", "a.inner.conv.bias", "a.inner.conv.weight"]
    x = expected = torch.randn(2, 4, 6, 6, generator=torch.Generator().manual_seed(0))
    for factor, deep in ((0.5, True), (2.0, True), (0.5, False), (0.5, True)):
        expected = factor * torch.conv2d(expected, arrays["a.inner.conv.weight"], arrays["a.inner.conv.bias"])
        if deep:
            expected = torch.conv2d(expected, arrays["a.conv.weight"], arrays["a.conv.bias"])
        expected = expected.tanh()
    assert torch.allclose(module(x), expected, atol=1e-6)
    assert get("torch").emit(network.inference, draw(network.inference), tmp_path / "net.py", TorchOptions())
    assert (tmp_path / "net.py").read_text(encoding="utf-8").count("= self.a(x)") == 2  # a and d are one call


PARTS = """\
netspec: 1
name: parts
input: [4, 6, 6]
blocks:
  unit:
    outputs: [p, q]
    body:
      - r = conv: [4, 1]
      - p = conv: [4, 1]
      - q = conv: [4, 1]
        from: r
body:
  - a = unit:
  - b = unit:
    from: a.q
    share: a
  - c = unit:
    from: b.p
    share: a
  - tanh:
    from: c.q
"""


def test_calls_that_share_weights_may_each_hold_a_part_of_them(tmp_path: Path) -> None:
    """What nobody reads is left out: the first call has r and q of the weights, the second r and p."""
    module = compiled(tmp_path, PARTS).to_torch(seed=1)
    arrays = module.state_dict()
    assert sorted(arrays) == [f"a.{layer}.{name}" for layer in "pqr" for name in ("bias", "weight")]
    x = expected = torch.randn(2, 4, 6, 6, generator=torch.Generator().manual_seed(0))
    for layer in "rqrprq":
        expected = torch.conv2d(expected, arrays[f"a.{layer}.weight"], arrays[f"a.{layer}.bias"])
    assert torch.allclose(module(x), expected.tanh(), atol=1e-6)


@pytest.mark.slow
def test_own_weights_differ_and_shared_ones_do_not(tmp_path: Path) -> None:
    network = compiled(tmp_path, SHARED)
    arrays = draw(network.inference, 0)
    x = np.random.default_rng(0).standard_normal((2, 8, 6, 6), np.float32)

    def outputs(changed: str) -> np.ndarray:
        other = {k: v * 1.5 if k == changed else v for k, v in arrays.items()}
        found: np.ndarray = get("torch").run(network.graph, other, {"input": x}).outputs["output"]
        return found

    same = outputs("")
    for key in arrays:
        assert not np.allclose(outputs(key), same), f"{key} has no influence"


@pytest.mark.slow
def test_heads_run_in_training_alone() -> None:
    network = netspec.load("googlenet")
    module = network.to_torch(training=True)
    x = torch.zeros(2, 3, 224, 224)
    assert module.training
    assert {k: tuple(v.shape) for k, v in module(x).items()} == {
        "logits": (2, 1000),
        "aux1": (2, 1000),
        "aux2": (2, 1000),
    }
    assert tuple(module.eval()(x).shape) == (2, 1000)
    # 13,378,280 with both heads: Caffe's train_val of bvlc_googlenet
    assert sum(p.numel() for p in module.parameters()) == 13_378_280
    assert sum(p.numel() for p in network.to_torch().parameters()) == 6_998_552


def test_the_same_seed_gives_the_same_arrays() -> None:
    network = netspec.load("squeezenet")
    module = network.to_torch(seed=7)
    arrays = initialise(network.inference, 7)
    assert all(np.array_equal(module.state_dict()[k].numpy(), v) for k, v in arrays.items())
    assert not all(np.array_equal(initialise(network.inference, 8)[k], v) for k, v in arrays.items())


def test_text_of_a_spec_cannot_leave_its_docstring(tmp_path: Path) -> None:
    title = 'a""" + exit(3) + """\\\\" \\n import os'
    network = compiled(
        tmp_path,
        f"netspec: 1\nname: evil\ntitle: '{title}'\ninput: [3, 8, 8]\nblocks:\n  b:\n"
        f"    doc: '{title}'\n    body: [conv: [8, 1]]\nbody: [b]\n",
    )
    source = get("torch").source(network.graph)
    compile(source, "evil", "exec")
    assert tuple(network.to_torch()(torch.zeros(1, 3, 8, 8)).shape) == (1, 8, 8, 8)


@pytest.mark.parametrize("name", ["resnet50", "densenet121", "mobilenet_v2"])
def test_deterministic(name: str) -> None:
    network = netspec.load(name)
    assert get("torch").source(network.graph) == get("torch").source(netspec.load(name).graph)


@pytest.mark.slow
def test_a_step_that_instances_lack_may_have_a_name_as_long_as_names_are(tmp_path: Path) -> None:
    """Names have 200 letters at most: the `if` of one is wider than a line, and is written as it is."""
    for name in ("on", "o" * 200):
        text = "netspec: 1\nname: net\ninput: [8, 4, 4]\nblocks:\n  part:\n    params: {NAME: bool}\n    body:\n"
        text += "      - c = conv: [8, 1]\n      - relu: {}\n        when: =NAME\n      - d = conv: [8, 1]\n"
        text += "body:\n  - one = part: {NAME: true}\n  - two = part: {NAME: false}\n"
        module = compiled(tmp_path, text.replace("NAME", name)).to_torch()
        keys = [f"{part}.{layer}.{key}" for part in ("one", "two") for layer in "cd" for key in ("weight", "bias")]
        assert list(module.state_dict()) == keys


@pytest.mark.slow
def test_steps_that_are_alike_are_not_left_out_in_all_ways(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of 90 steps any three may be the ones that another block lacks, which are 117,480 ways: not all are tried."""
    tried = []
    stands = merging._stands
    monkeypatch.setattr(merging, "_stands", lambda *given: tried.append(given) or stands(*given))
    text = "netspec: 1\nname: net\ninput: [8, 4, 4]\nblocks:\n  part:\n    params: {n: int}\n    body:\n"
    text += "".join(f"      - relu6: {{}}\n        when: =n > {i}\n" for i in range(90))
    text += "      - sigmoid: {}\n        when: =n == 90\n        else:\n          - tanh: {}\n"
    text += "body:\n  - one = part: {n: 90}\n  - two = part: {n: 87}\n"
    written = get("torch").source(compiled(tmp_path, text).graph)
    assert written.count("F.relu6(") == 90 + 87
    assert 1000 < len(tried) <= 10_100
