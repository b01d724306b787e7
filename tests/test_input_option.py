"""`--input` of several inputs: repeated, or with commas between, in every command alike."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from run_harness import Netspec

SPEC = """\
netspec: 1
name: two
input: {left: [3, 16, 16], right: [3, 16, 16]}
body:
  - a = conv: {out: 4, kernel: 3, pad: 1}
    from: left
  - b = conv: {out: 4, kernel: 3, pad: 1}
    from: right
  - add:
    from: [a, b]
"""
SIZES = ["left=3x20x24", "right=3x20x24"]


@pytest.fixture(autouse=True)
def spec(folder: Path) -> None:
    Path("two.yaml").write_text(SPEC, encoding="utf-8")


@pytest.mark.parametrize("given", [SIZES, [", ".join(SIZES)]], ids=["repeated", "commas"])
@pytest.mark.parametrize("command", ["summary", "compile", "run", "bench"])
def test_each_input_has_its_size(command: str, given: list[str], netspec: Netspec) -> None:
    """20 x 24 x (3 x 9) x 4 multiply-accumulates of each of the two convolutions."""
    words = {
        "summary": ["two.yaml", "-f", "csv"],
        "compile": ["two.yaml", "--to", "onnx"],
        "run": ["two.yaml", "--repeat", "1"],
        "bench": ["two.yaml", "--target", "onnx", "--blocks", "--depth", "1", "--repeat", "1", "-f", "csv"],
    }[command]
    code, out, err = netspec(command, *words, *(word for size in given for word in ("--input", size)))
    assert code == 0, err
    macs = 20 * 24 * 27 * 4
    expected = {
        "summary": f",{macs}",
        "compile": f"{2 * macs:,} MACs",
        "run": "input right: 1x3x20x24",
        "bench": f",{macs},",
    }
    assert expected[command] in out + err


@pytest.mark.parametrize("given", [["left=3x20x24", "left=3x16x16"], ["3x20x24", "right=3x20x24"], ["3x8x8", "3x9x9"]])
@pytest.mark.parametrize("command", ["summary", "run"])
def test_two_sizes_of_one_input_are_refused(command: str, given: list[str], netspec: Netspec) -> None:
    code, out, err = netspec(command, "two.yaml", *(word for size in given for word in ("--input", size)))
    assert code == 2 and not out and "input" in err
    if command == "summary":
        assert "--input left=1x64x64 --input right=1x64x64" in " ".join(err.split())


APART = """\
netspec: 1
name: two
input: {left: [3, 16, 16], right: [1, 16, 16]}
body:
  - a = global_avg_pool:
    from: left
  - b = global_avg_pool:
    from: right
  - concat:
    from: [a, b]
  - conv: [2, 1]
"""
INT8 = ["compile", "two.yaml", "--to", "onnx", "--dtype", "int8", "--calibrate", "images.npz"]


@pytest.mark.parametrize("command", [INT8, ["run", "two.yaml", "--npy", "left=left.npy"]], ids=["calibrate", "npy"])
def test_the_size_that_is_suggested_for_an_array_is_taken(command: list[str], netspec: Netspec) -> None:
    """Of several inputs it is that of one, by its name."""
    Path("two.yaml").write_text(APART, encoding="utf-8")
    left, right = (np.random.default_rng(0).random((4, c, h, 16), np.float32) for c, h in ((3, 17), (1, 16)))
    np.savez("images.npz", left=left, right=right)
    np.save("left.npy", left)
    code, _, err = netspec(*command)
    assert code == 1 and (said := re.search(r"help: .*(--input \S+[0-9])", err)) is not None, err
    code, _, err = netspec(*command, *said[1].split())
    assert code == 0, err
