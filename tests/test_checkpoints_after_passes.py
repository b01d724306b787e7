"""Checkpoints that were written after passes: they load after the same ones, and elsewhere it is said what they are."""

from __future__ import annotations

import json
import runpy
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import agreement
from run_harness import Netspec
from safetensors import safe_open
from safetensors.torch import load_file, save_file

import netspec as api
from netspec.cli.main import run
from netspec.diagnostics.errors import DataError

SPEC = """\
netspec: 1
name: small
input: [3, 8, 8]
blocks:
  unit:
    params: {width: int}
    body: [{conv: {out: =width, kernel: 3, bias: false}}, batch_norm, relu]
body:
  - stem = unit: 8
  - tail = unit: 8
  - flatten
  - fc = linear: 4
"""
FOLDS = "its weights were written after the passes of -O1 (fold_batch_norm)"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.chdir(tmp_path)
    Path("small.yaml").write_text(SPEC, encoding="utf-8")
    yield tmp_path


@pytest.fixture
def netspec(capsys: pytest.CaptureFixture[str]) -> Netspec:
    """`netspec ARGS` as its exit code and what it says on stdout and stderr."""

    def call(*args: str) -> tuple[int, str, str]:
        code = run([*args])
        printed = capsys.readouterr()
        return code, printed.out, printed.err

    return call


def values(module: torch.nn.Module) -> dict[str, torch.Tensor]:
    x = torch.randn(2, 3, 8, 8, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        return {"logits": module(x)}


def state(file: str) -> Any:
    return torch.load(file, weights_only=True)


@pytest.mark.slow
def test_a_file_of_a_level_loads_at_that_level_and_nowhere_else(folder: Path, netspec: Netspec) -> None:
    """Weights of random statistics, so that folding twice, or not at all, would show."""
    net = api.load("small.yaml")
    rng = np.random.default_rng(0)
    arrays = {
        key: (rng.normal(0, 0.1, value.shape) if value.ndim > 1 else rng.uniform(0.5, 2, value.shape)).astype("f")
        for key, value in net.arrays().items()
    }
    expected = values(net.to_torch(weights=arrays))
    torch.save({key: torch.from_numpy(value) for key, value in arrays.items()}, "arrays.pth")
    line = ["compile", "small.yaml", "--to", "torch", "-q"]
    assert netspec(*line, "-O1", "--weights", "arrays.pth", "-o", "made.py")[0] == 0
    agreement(expected, values(runpy.run_path("made.py")["load"]()))
    for option in ("-O1", "-O2", "--pass=fold_batch_norm"):
        assert netspec(*line, option, "--weights", "made.pth", "-o", "again.py")[0] == 0
        agreement(expected, values(runpy.run_path("again.py")["load"]()))
        assert all(torch.equal(value, state("again.pth")[key]) for key, value in state("made.pth").items())
    agreement(expected, values(net.optimised(1).to_torch(weights="made.pth")))
    net.to_onnx("made.onnx", weights="made.pth")
    x = torch.randn(2, 3, 8, 8, generator=torch.Generator().manual_seed(1)).numpy()
    agreement(expected, {"logits": next(iter(api.Session("made.onnx", threads=1).run(x).values()))})
    for options in (["-O0"], [], ["--training"]):
        code, _, err = netspec(*line, *options, "--weights", "made.pth", "-o", "wrong.py")
        assert code == 1 and FOLDS in err and "write it again with -O0" in err and not Path("wrong.py").exists()
    assert "load it with -O1, or" in netspec("run", "small.yaml", "-O0", "--weights", "made.pth")[2]
    code, _, err = netspec(*line, "-O1", "--weights", "made.pth", "--exclude", "fc", "-o", "wrong.py")
    assert code == 1 and "without --layers, --exclude and --adapt" in err


@pytest.mark.slow
def test_a_pass_that_was_named_is_said_by_its_name(folder: Path, netspec: Netspec) -> None:
    """Of a network without norms, -O2 for a runtime where the pass pays gives the same weights: nobody asked for it."""
    text = "netspec: 1\nname: plain\ninput: [16, 8, 8]\nbody: [conv: [58, 1], relu: , conv: {}, conv: [16, 1]]\n"
    grouped = "{out: 58, kernel: 3, pad: 1, groups: 58}"
    Path("plain.yaml").write_text(text.replace("{}", grouped), encoding="utf-8")
    line = ["compile", "plain.yaml", "--to", "torch", "-q", "-o"]
    assert netspec(*line, "made.py", "--pass", "fill_blocks")[0] == 0
    code, _, err = netspec(*line, "wrong.py", "--weights", "made.pth")
    assert code == 1 and "its weights were written after fill_blocks\n" in err
    assert "load it with --pass fill_blocks, or write it again with -O0" in err
    assert netspec(*line, "again.py", "--weights", "made.pth", "--pass", "fill_blocks")[0] == 0
    with pytest.raises(DataError, match="load it with passes fill_blocks"):
        api.load("plain.yaml").to_torch(weights="made.pth")


@pytest.mark.slow
def test_python_says_it_in_its_own_words(folder: Path) -> None:
    net = api.load("small.yaml")
    folded = net.optimised(1).to_torch(seed=1).state_dict()
    with pytest.raises(DataError) as error:
        net.to_torch(weights=folded)
    assert "load it with .optimised(1), or write it again with level=0" in str(error.value)
    with pytest.raises(DataError, match="are not to be trained"):
        net.to_torch(training=True, weights=folded)
    assert net.optimised(1).to_torch(weights=folded) is not None


@pytest.mark.slow
def test_a_file_that_says_nothing_is_told_by_its_names(folder: Path, netspec: Netspec) -> None:
    """As a state dict that somebody saved of the module; a file that says that it is plain is never guessed at."""
    net = api.load("small.yaml")
    torch.save(net.optimised(1).to_torch(seed=1).state_dict(), "mine.pth")
    save_file(dict(net.after(["fold_batch_norm"]).to_torch(seed=1).state_dict()), "mine.safetensors")
    for file in ("mine.pth", "mine.safetensors"):
        code, _, err = netspec("compile", "small.yaml", "--to", "torch", "--weights", file, "-o", "x.py")
        assert code == 1 and FOLDS in err, err
        assert netspec("compile", "small.yaml", "--to", "torch", "-O1", "--weights", file, "-o", "x.py")[0] == 0
        assert all(torch.equal(value, state("x.pth")[key]) for key, value in state("mine.pth").items())


@pytest.mark.slow
def test_files_say_which_passes_changed_their_weights(
    folder: Path, netspec: Netspec, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the metadata of both formats, next to what PyTorch and safetensors read as ever; of passes that left the
    weights alone nothing is said."""
    for number, options in enumerate(([], ["-O1"], ["--pass", "add_softmax"])):
        assert netspec("compile", "small.yaml", "--to", "torch", *options, "-o", f"{number}.py", "-q")[0] == 0
    said = [state(f"{number}.pth")._metadata[""]["netspec.passes"] for number in range(3)]
    assert said == ["", "fold_batch_norm", ""]
    plain = api.load("small.yaml").to_torch()
    plain.load_state_dict(state("2.pth"), strict=True)
    assert netspec("compile", "small.yaml", "--to", "torch", "--weights", "2.pth", "-o", "3.py")[0] == 0
    monkeypatch.setitem(sys.modules, "torch", None)
    monkeypatch.delitem(sys.modules, "netspec_torch.weights", raising=False)
    assert netspec("compile", "small.yaml", "--to", "torch", "-O1", "-o", "4.py", "-q")[0] == 0
    monkeypatch.undo()
    with safe_open(folder / "4.safetensors", framework="numpy") as file:
        assert file.metadata() == {"format": "pt", "netspec.passes": "fold_batch_norm"}
    assert load_file(folder / "4.safetensors").keys() == state(str(folder / "1.pth")).keys()


@pytest.mark.slow
@pytest.mark.parametrize("said", ["no_such_pass", "fold_batch_norm@nowhere", "x" * 10_000, "a\x1b[2Jb", 7])
def test_what_a_file_says_is_not_believed(folder: Path, said: object, netspec: Netspec) -> None:
    """A pass that this network never runs through, or no text at all; nothing of it reaches a terminal as it is."""
    made = api.load("small.yaml").to_torch().state_dict()
    held = vars(made)["_metadata"] = {"": {"netspec.passes": said}}
    torch.save(made, "w.pth")
    code, _, err = netspec("compile", "small.yaml", "--to", "torch", "--weights", "w.pth", "-o", "x.py")
    assert code == (0 if isinstance(said, int) else 1) and "\x1b" not in err and len(err) < 1500, (held, err)


@pytest.mark.slow
def test_a_part_takes_what_it_has_of_the_file_of_a_whole(folder: Path, netspec: Netspec) -> None:
    """At the same level; where the part ends before a step that was folded into what it ends with, it says that."""
    assert netspec("compile", "small.yaml", "--to", "torch", "-O1", "-o", "whole.py", "-q")[0] == 0
    net = api.load("small.yaml")
    part = net.tapped(["stem"]).optimised(1).arrays(weights="whole.pth")
    assert part.keys() == {"stem.conv.weight", "stem.conv.bias"}
    assert all(np.array_equal(value, state("whole.pth")[key].numpy()) for key, value in part.items())
    with pytest.raises(DataError):
        net.tapped(["stem.conv"]).optimised(1).arrays(weights="whole.pth")


@pytest.mark.slow
def test_a_merged_repvgg_is_told_from_the_one_that_is_trained(folder: Path, netspec: Netspec) -> None:
    """Three branches become one convolution (Ding et al. 2021, section 3.3)."""
    net = api.load("repvgg_a0", input=[3, 32, 32])
    merged = net.optimised(2)
    assert merged.folding == ("fold_batch_norm", "merge_branches")
    with pytest.raises(DataError, match=r"of level=2 \(fold_batch_norm, merge_branches\)"):
        net.arrays(weights=merged.to_torch().state_dict())


def test_a_state_dict_of_a_network_is_of_no_pass() -> None:
    """What changes no weight is none of them, so that files of such a level load everywhere."""
    net = api.load("lenet5")
    assert net.folding == net.optimised(1).folding == ()
    assert json.dumps(sorted(net.optimised(1).arrays())) == json.dumps(sorted(net.arrays()))
