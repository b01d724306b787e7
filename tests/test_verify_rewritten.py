"""`netspec verify` of files that were written after passes: what these no longer leave is not compared."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import onnx
import planted
import pytest
from conftest import sampled
from run_harness import Netspec

import netspec as api
from netspec.passes import of_level

PASSES_PAGE = (Path(__file__).parent.parent / "docs" / "passes.md").read_text(encoding="utf-8")


def rewritten_and_verified(netspec: Netspec, spec: str, made: list[str], *asked: str) -> list[dict[str, Any]]:
    """What `verify` says of a file that was written after passes, and of the target after the same passes."""
    assert netspec("compile", spec, "--to", "onnx", *made, "-o", "made.onnx", "-q", *asked)[0] == 0
    word = "+".join(["onnx", *(text.lstrip("-") for text in made if text != "--pass")])
    rows = []
    for target in ("made.onnx", word):
        code, out, err = netspec("verify", spec, target, *asked, "-f", "json")
        (row,) = json.loads(out)
        assert (code, row["result"]) == (0, "same"), (err, row)
        rows.append(row)
    return rows


SAMPLES = dict(re.findall(r"^### (\w+)\n.*?^```yaml\n(.*?)^```", PASSES_PAGE, re.MULTILINE | re.DOTALL))


@pytest.mark.quick(1)
@pytest.mark.parametrize("name", ["fill_blocks", *sorted(SAMPLES.keys() - {"fill_blocks"})])
def test_a_file_after_a_pass_is_compared_where_the_pass_left_it_alone(name: str, netspec: Netspec) -> None:
    """As many values as of the target after the same pass, and the file says its passes, the default one does not."""
    Path("sample.yaml").write_text(f"netspec: 1\nname: sample\n{SAMPLES[name]}", encoding="utf-8")
    file, target = rewritten_and_verified(netspec, "sample.yaml", ["-O1", "--pass", name])
    said = {p.key: p.value for p in onnx.load("made.onnx").metadata_props}.get("netspec.passes")
    assert netspec("compile", "sample.yaml", "--to", "onnx", "-o", "usual.onnx", "-q")[0] == 0
    assert not any(p.key == "netspec.passes" for p in onnx.load("usual.onnx").metadata_props)
    if name in {p.name for p in of_level(1)}:
        assert said is None
    else:
        assert said is not None and name in said.split(",")
        assert (file.get("compared"), file.get("of")) == (target.get("compared"), target.get("of"))


@pytest.mark.parametrize(
    "network", sampled(["shufflenet_v2_x1_0", "repvgg_a0", "regnet_y_400mf", "densenet121"], 1, slow=1)
)
@pytest.mark.slow
def test_a_file_of_level_2_is_the_same_inside(network: str, netspec: Netspec) -> None:
    file, target = rewritten_and_verified(netspec, network, ["-O2"], "--input", "3x64x64")
    assert file["compared"] == target["compared"] > 20


@pytest.mark.slow
def test_a_fault_in_a_rewritten_file_is_found_at_its_step(netspec: Netspec) -> None:
    asked = ("--input", "3x64x64")
    made = ["compile", "shufflenet_v2_x1_0", "--to", "onnx", "-O2", "-o", "made.onnx", "-q", *asked]
    assert netspec(*made)[0] == 0
    nodes = [*api.load("shufflenet_v2_x1_0", input=[3, 64, 64]).optimised(2).inference.nodes]
    step = next(path for path in nodes if path.startswith("stage3.") and path.endswith("shuffle"))
    model = onnx.load("made.onnx")
    planted.scaled_after(model, step)
    onnx.save(model, "made.onnx")
    code, out, _ = netspec("verify", "shufflenet_v2_x1_0", "made.onnx", *asked, "-f", "json")
    (row,) = json.loads(out)
    assert (code, row["step"]) == (1, step)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("said", "listed"),
    [
        ("nonsense", "'nonsense'"),
        ("fc_to_conv", "'fc_to_conv'"),
        ("pool_first@nowhere", "'pool_first@nowhere'"),
        ("a\x1b[31m\nb", r"'a\x1b[31m\nb'"),
        (",".join(f"p{i}" for i in range(100_000)), "'p0', 'p1', 'p2' and 99,997 more"),
    ],
    ids=["unknown", "of training", "nowhere", "escapes", "many"],
)
def test_what_a_file_says_of_its_passes_is_not_believed(said: str, listed: str, netspec: Netspec) -> None:
    """Its outputs are compared whatever it says, and what is no pass is said."""
    text = (
        "netspec: 1\nname: two\ninput: [3, 8, 8]\nbody:\n  - a = conv: [4, 3]\n  - b = lrn: 3\n  - c = conv: [2, 1]\n"
    )
    Path("two.yaml").write_text(text, encoding="utf-8")
    assert netspec("compile", "two.yaml", "--to", "onnx", "-q")[0] == 0
    model = onnx.load("two.onnx")
    model.metadata_props.add(key="netspec.passes", value=said)
    onnx.save(model, "two.onnx")
    code, out, _ = netspec("verify", "two.yaml", "two.onnx")
    assert code == 0 and f"two.onnx says that it was written after {listed}, no passes of this network" in out
    planted.weight(model, "a")
    model.metadata_props[-1].value = "lrn_as_conv,fold_batch_norm,fill_blocks"
    onnx.save(model, "two.onnx")
    code, out, _ = netspec("verify", "two.yaml", "two.onnx", "-f", "json")
    assert code == 1 and json.loads(out)[0]["result"] == "differs"
