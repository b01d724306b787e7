"""The option --pass: for every target, for what shows and runs a network, and its errors."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import agreement

import netspec
from netspec.backend import get
from netspec.cli.main import run
from netspec.passes import NAMED
from netspec.weights.initialise import draw

FOLD = ["--pass", "fold_batch_norm"]
NET = """\
netspec: 1
name: net
input: [3, 8, 8]
blocks:
  unit: {params: {out: int}, body: [conv: {out: =out, kernel: 3, bias: false}, bn = batch_norm, relu]}
body:
  - a = unit: 6
  - b = unit: 4
  - global_avg_pool
  - flatten
  - dropout: 0.5
  - fc = linear: 5
  - head = tee: [linear: 2]
outputs: {scores: fc, head: {from: head, training_only: true}}
"""


@pytest.fixture
def net(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "net.yaml"
    path.write_text(NET, encoding="utf-8")
    return path


def outputs(path: Path, x: np.ndarray) -> np.ndarray:
    """What a compiled file gives."""
    if path.suffix == ".onnx":
        return np.asarray(get("onnx").run_file(path, {"input": x}).outputs["scores"])
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return np.asarray(module.load()(torch.from_numpy(x)).detach().numpy())


@pytest.mark.parametrize(("target", "suffix"), [("torch", ".py"), ("onnx", ".onnx")])
def test_both_targets_compute_the_same_after_the_pass(target: str, suffix: str, net: Path) -> None:
    """With the statistics of a checkpoint, which is read for the network before the pass."""
    np.savez("weights.npz", **draw(netspec.load(net).inference, 2))
    x = np.random.default_rng(0).standard_normal((2, 3, 8, 8), np.float32)
    common = ["compile", str(net), "--to", target, "--weights", "weights.npz", "-q"]
    assert run([*common, "-o", f"plain{suffix}"]) == 0 and run([*common, *FOLD, "-o", f"folded{suffix}"]) == 0
    agreement(outputs(net.parent / f"plain{suffix}", x), outputs(net.parent / f"folded{suffix}", x))
    if target == "torch":
        text = Path("folded.py").read_text(encoding="utf-8")
        assert "BatchNorm2d" in Path("plain.py").read_text(encoding="utf-8") and "BatchNorm2d" not in text


def test_what_is_shown_is_what_is_run(net: Path, capsys: pytest.CaptureFixture[str]) -> None:
    params = 6 * 27 + 6 + 4 * 54 + 4 + 5 * 4 + 5
    assert run(["compile", str(net), *FOLD, "--to", "json", "-o", "-"]) == 0
    graph = json.loads(capsys.readouterr().out)
    assert not {"batch_norm", "dropout"} & {node["op"] for node in graph["nodes"]}
    assert [scope["path"] for scope in graph["scopes"]] == ["a", "b"]
    assert run(["summary", str(net), *FOLD, "-f", "json"]) == 0
    assert json.loads(capsys.readouterr().out)["totals"]["params"] == params
    assert run(["draw", str(net), *FOLD, "-f", "mermaid", "-o", "-"]) == 0
    assert "norm" not in capsys.readouterr().out
    assert run(["explain", str(net), *FOLD]) == 0
    assert f"parameters  {params}" in capsys.readouterr().out
    assert run(["compile", str(net), *FOLD, *FOLD, "--to", "onnx"]) == 0  # named twice, done once
    assert f"net: {params} parameters" in capsys.readouterr().err


def test_a_network_runs_after_a_pass(net: Path, capsys: pytest.CaptureFixture[str]) -> None:
    seen = []
    for passes in ([], FOLD, [*FOLD, "--pass", "fc_to_conv"]):
        assert run(["run", str(net), *passes, "--seed", "3", "--repeat", "1", "--save", "out.npz"]) == 0
        seen.append(np.load("out.npz")["scores"].reshape(1, 5))
    assert "5x1x1" in capsys.readouterr().out.replace("1x5x1x1", "5x1x1")
    assert np.allclose(seen[0], seen[1], atol=1e-6) and np.allclose(seen[0], seen[2], atol=1e-6)


def test_the_size_comes_after_a_pass_as_in_a_variant(capsys: pytest.CaptureFixture[str]) -> None:
    """`vgg_d_dense` is `vgg_d` with the pass and the size: both take the checkpoints of VGG-D."""
    found = []
    for spec in (["vgg_d", "--pass", "fc_to_conv", "--input", "3x384x384"], ["vgg_d_dense"]):
        assert run(["compile", *spec, "--to", "json", "-o", "-"]) == 0
        found.append(json.loads(capsys.readouterr().out))
    assert found[0]["nodes"] == found[1]["nodes"]


@pytest.mark.parametrize(
    ("arguments", "message", "code"),
    [
        (["compile", "NET", "--pass", "fold_batchnorm", "--to", "json"], "did you mean 'fold_batch_norm'?", 2),
        (["compile", "NET", *FOLD, "--training", "--to", "torch"], "cannot be trained", 2),
        (["compile", "NET", *FOLD, "--training", "--to", "json"], "cannot be trained", 2),
        (["summary", "NET", *FOLD, "--training"], "cannot be trained", 2),
        (["run", "model.onnx", *FOLD], "these options go with a spec", 2),
        (["summary", "softmax.yaml", "--pass", "fc_to_conv"], "'softmax' reads a flattened map", 1),
    ],
)
def test_errors(arguments: list[str], message: str, code: int, net: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("softmax.yaml").write_text(
        "netspec: 1\nname: net\ninput: [3, 4, 4]\nbody:\n  - flatten\n  - softmax\n  - linear: 3\n", encoding="utf-8"
    )
    Path("model.onnx").touch()
    assert run([str(net) if a == "NET" else a for a in arguments]) == code
    assert message in capsys.readouterr().err


def test_passes_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["list", "passes", "-f", "json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    found = {row["name"]: (row["graph"], row["summary"]) for row in rows}
    assert found == {name: (p.stage.value, p.doc) for name, p in NAMED.items()}
    assert found["fc_to_conv"][0] == "training" and found["fold_batch_norm"][0] == "inference"


def test_a_diff_shows_what_a_pass_does(net: Path) -> None:
    assert run(["draw", "--diff", str(net), str(net), *FOLD, "-f", "dot", "-o", "diff.dot", "-q"]) == 0
    assert "batch norm" in Path("diff.dot").read_text(encoding="utf-8")  # removed, so it is shown
