"""Odd arguments of every kind: never a traceback or a bug, never a silent failure, never a file lost or left."""

from __future__ import annotations

from pathlib import Path

import pytest
from odd_harness import Caller, fill

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    fill(tmp_path)
    return tmp_path


@pytest.fixture
def call(folder: Path, capsys: pytest.CaptureFixture[str]) -> Caller:
    return Caller(capsys)


SPECS = [
    "net.yaml",
    "lib.yaml",
    "lib.yaml:widen",
    "lib.yaml:two",
    "net.yaml:cell",
    "net.yaml:none",
    "folder",
    "dir.yaml",
    "none.yaml",
    "empty.yaml",
    "bin.yaml",
    "null.yaml",
    "list.yaml",
    "two.yaml",
    "big.yaml",
    "x.onnx",
    "empty.onnx",
    "dangling.yaml",
    "loop.yaml",
    "link.yaml",
    "\0",
    "a" * 300,
    "~/x",
    "$HOME",
    "*",
    "net.yaml:",
    ".",
    "folder/",
    "\u7db2.yaml",
    "--",
    "-x",
    " ",
    "net.yaml ",
    "NET.YAML",
    "file:///x.yaml",
    "http://x/y.yaml",
    "\udcff.yaml",
    "",
    "net.yaml:cell:cell",
    "net.yaml/x",
    "net.yaml/",
    "blocks/none",
    "blocks/common",
    ":",
    "::",
    "a\nb.yaml",
]


COMMANDS = [
    ["check", "S"],
    ["summary", "S"],
    ["compile", "S", "--to", "json", "-o", "-"],
    ["explain", "S"],
    ["explain", "S", "relu"],
    ["draw", "S", "-f", "dot", "-o", "-"],
    ["draw", "--diff", "S", "net.yaml", "-f", "dot"],
    ["run", "S", "--repeat", "1"],
    ["plot", "macs", "S", "-o", "-"],
    ["plot", "pareto", "S", "-o", "-"],
    ["compile", "S", "--to", "onnx"],
    ["compile", "S", "--to", "torch"],
]


@pytest.mark.parametrize(
    "command",
    [c if c[0] in ("check", "summary", "explain") else pytest.param(c, marks=pytest.mark.slow) for c in COMMANDS],
    ids=" ".join,
)
@pytest.mark.quick(2)
def test_odd_specs(call: Caller, command: list[str]) -> None:
    codes = {spec: call(*[spec if word == "S" else word for word in command])[0] for spec in SPECS}
    assert codes["net.yaml"] == codes["link.yaml"] or "relu" in command
    for spec in ("none.yaml", "dangling.yaml", "\0", "*", "net.yaml:none", "net.yaml/x", "blocks/none", "loop.yaml"):
        assert codes[spec] == 2, spec
    for spec in ("empty.yaml", "bin.yaml", "two.yaml", "big.yaml"):
        assert codes[spec] == 1, spec


def test_files_that_are_nearly_there(call: Caller) -> None:
    assert "is a link to a file that is not there" in call("check", "dangling.yaml")[1]
    assert "did you mean 'net.yaml'?" in call("summary", "NET.YAML")[1]
    assert "did you mean 'net.yaml'?" in call("summary", "net.yaml ")[1]


SETTINGS = {
    "classes": 2,
    "classes=": 2,
    "=3": 2,
    "classes=x": 2,
    "classes=-1": 1,
    "classes=0": 1,
    "classes=1.5": 2,
    "classes=true": 2,
    "classes=[1]": 2,
    "classes={a: 1}": 2,
    "classes=null": 2,
    "classes=1e3": 2,
    "classes='3": 2,
    "classes=99999999999999999999": 2,
    "classes=!!python/x": 2,
    "classes==3": 0,
    "classes=a b": 2,
    "classes=*a": 2,
    "classes=1\nother: 2": 2,
    "act=sigmoid": 0,
    "act=nothing": 2,
    "act=conv": 1,
    "act={conv: [3, 1]}": 0,
    "act={conv: }": 2,
    "act={conv: [a, b]}": 2,
    "act=[relu]": 2,
    "act=cell": 1,
    "act={cell: 3}": 0,
    "layers=3": 2,
    "layers=[": 2,
    "layers=[[[]]]": 0,
    "wide=1": 2,
    "wide=yes": 2,
    "wide=true": 0,
    "rate=2": 1,
    "rate=nan": 2,
    "rate=.inf": 2,
    "k=0": 1,
    "k=[1, 2, 3]": 2,
    "k=-3": 1,
    "p=same": 2,
    "p=[1]": 2,
    "p=-1": 1,
    "s=c": 2,
    "s=": 2,
    "nope=1": 2,
    "input=3": 2,
    "variant=big": 2,
    "Classes=3": 2,
    "classes = 5": 0,
    "\0=3": 2,
    "classes=\0": 2,
    "classes=\x1b[31m": 2,
    "classes=\ud800": 2,
    "classes=" + "9" * 500: 2,
    "classes=" + "[" * 200: 2,
}


def test_odd_settings(call: Caller) -> None:
    """A value that is none for the parameter is a wrong command line; one that the network cannot have is an error."""
    for setting, expected in SETTINGS.items():
        code, err = call("summary", "net.yaml", "-s", setting)
        assert code == expected, f"{setting!r}: {code} {err}"
        assert code != 1 or "net.yaml:" in err, f"{setting!r}: {err}"
    for setting in ("out", "out=", "=3", "out=x", "out=[1]", "out={a: 1}", "out='3", "out=\0", "out=1\nb: 2", "b=3"):
        assert call("summary", "net.yaml:cell", "-s", setting)[0] == 2, setting
        assert call("summary", "lib.yaml:widen", "--input", "3x8x8", "-s", setting)[0] == 2, setting
    assert "twice" in call("summary", "net.yaml", "-s", "classes=3", "-s", "classes=4")[1]


OPTIONS = {
    ("--variant", "none"): 2,
    ("--variant", ""): 2,
    ("--variant", "Small"): 2,
    ("--input", "3x"): 2,
    ("--input", "0x3x3"): 2,
    ("--input", "3x16x16x16"): 2,
    ("--input", "99999999999x1x1"): 2,
    ("--input", ""): 2,
    ("--input", "3x2147483647x2147483647"): 1,
    ("--input", "-1x3x3"): 2,
    ("--input", "3X8X8"): 0,
    ("-I", "none"): 2,
    ("-I", "net.yaml"): 2,
    ("-I", ""): 2,
    ("--max-nodes", "1"): 1,
    ("--max-nodes", "0"): 2,
    ("--max-nodes", "1e9"): 2,
}


def test_odd_options(call: Caller) -> None:
    for option, expected in OPTIONS.items():
        for command in (["summary", "net.yaml"], ["explain", "net.yaml"], ["draw", "net.yaml", "-f", "dot", "-o", "-"]):
            code, err = call(*command, *option)
            assert code == expected, f"{command} {option}: {code} {err}"
