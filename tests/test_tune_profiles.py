"""Profiles of `netspec tune` that are refused name a command that works; where nothing was decided, none is written."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import numpy as np
import pytest
from run_harness import Netspec

import netspec as api
from netspec.diagnostics.errors import SpecError
from netspec.reports.tuning import table_of_tuning
from netspec.running import tune
from netspec.running.tune import Ratio, Search

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
def netspec(netspec: Netspec) -> Netspec:
    """The command line, in a folder of its own: the exit code, stdout and stderr."""
    Path("net.yaml").write_text(SPEC, encoding="utf-8")
    return netspec


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
    api.load("net.yaml").to_onnx("python.onnx", for_=target)
    with pytest.raises(SpecError, match=f"not for {target}"):
        api.load("net.yaml").to_onnx("tuned.onnx", for_=target, profile="p.json")


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


@pytest.mark.slow
def test_where_no_pass_was_tried_nothing_is_decided_and_nothing_written(netspec: Netspec) -> None:
    code, out, err = netspec("tune", "net.yaml", "--target", "onnxruntime", "--seconds", "0")
    assert code == 1 and "error: nothing was decided, and no profile is written" in err
    assert "the time is over" in out and "undecided: lrn_as_conv; about `--seconds " in out
    assert [path.name for path in Path().iterdir()] == ["net.yaml"]


class Still:
    """A network that gives the same and takes no time."""

    provider = "none"

    def run(self, inputs: object) -> dict[str, np.ndarray]:
        return {"output": np.ones(3, np.float32)}

    def time(self, inputs: object, warmup: int, repeat: int) -> list[float]:
        return [1.0] * repeat

    def profile(self, inputs: object, repeat: int) -> dict[str, float]:
        return {}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("whole", "kept", "why"),
    [
        (Ratio(0.9, 0.02, 5), {"lrn_as_conv": [()]}, "faster"),
        (Ratio(0.966, 0.053, 5), {}, "within the noise: nothing is kept"),
        (Ratio(1.2, 0.02, 5), {}, "slower: nothing is kept"),
    ],
)
def test_all_together_is_kept_where_it_is_faster_beyond_the_noise(
    whole: Ratio, kept: object, why: str, netspec: Netspec, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = Ratio(0.9, 0.02, 5)
    said: list[str] = []
    monkeypatch.setattr(tune, "compared", lambda *_: whole if said[-1] == "all that is kept" else first)
    found = Search(api.load("net.yaml"), lambda _: Still(), {}, 60, said.append).run()
    assert found.chosen == kept and found.whole == whole
    assert table_of_tuning(found, []).rows[-1]["why"] == why
    assert ("all together" in found.undecided) == whole.may_gain
    assert found.needs == pytest.approx(60 * (0.053 / 0.034) ** 2 if whole.may_gain else 0)
