"""Profiles of `netspec tune` that are refused name a command that works; where nothing was decided, none is written."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import pytest
from run_harness import Netspec

import netspec as api
from netspec.cli.main import run

SPEC = """\
netspec: 1
name: net
params: {width: 8}
input: [8, 12, 12]
body:
  - a = conv: {out: =width, kernel: 3, pad: 1, bias: false}
  - batch_norm
  - relu
  - norm = lrn: 5
"""


@pytest.fixture
def netspec(folder: Path, capsys: pytest.CaptureFixture[str]) -> Netspec:
    """The command line, in a folder of its own: the exit code, stdout and stderr."""
    Path("net.yaml").write_text(SPEC, encoding="utf-8")

    def call(*args: str) -> tuple[int, str, str]:
        code = run([*args])
        printed = capsys.readouterr()
        return code, printed.out, printed.err

    return call


def profile() -> str:
    """The text of a profile of net.yaml."""
    network = api.load("net.yaml")
    known = {"netspec_profile": 1, "network": network.name, "graph": network.digest, "target": "onnxruntime"}
    return json.dumps({**known, "passes": [{"name": "lrn_as_conv"}]}, indent=1)


@pytest.mark.slow
@pytest.mark.parametrize("target", ["openvino", "tract", "browser"])
def test_a_profile_is_refused_for_what_it_was_not_measured_in(target: str, netspec: Netspec) -> None:
    Path("p.json").write_text(profile(), encoding="utf-8")
    asked = ["compile", "net.yaml", "--to", "onnx", "-O2", "--profile", "p.json", "--for"]
    status, _, err = netspec(*asked, target)
    assert status == 1 and f"this is a profile for onnxruntime, not for {target}" in err and "leave out" in err
    assert not Path("net.onnx").exists() and f"--target {target}" not in err
    assert netspec(*asked, "onnxruntime")[0] == 0


@pytest.mark.slow
def test_the_command_that_a_refused_profile_names_works(netspec: Netspec) -> None:
    """It names the file, its params, its size and passes, quoted; what it writes is taken."""
    Path("my net.yaml").write_text(SPEC, encoding="utf-8")
    Path("p.json").write_text(profile(), encoding="utf-8")
    more = ["-s", "width=9", "--input", "8x14x14"]
    asked = ["compile", "my net.yaml", *more, "--pass", "fold_batch_norm", "--to", "onnx", "-O2", "--profile"]
    status, _, err = netspec(*asked, "p.json")
    found = re.search(r"measure it: `netspec (.*)`", err)
    assert status == 1 and found, err
    words = shlex.split(found[1])
    assert words == ["tune", "my net.yaml", *more, "--pass", "fold_batch_norm", "--target", "onnxruntime"]
    assert netspec(*words, "--seconds", "0.1", "--try", "lrn_as_conv", "-o", "q.json")[0] == 0
    assert netspec(*asked, "q.json")[0] == 0
