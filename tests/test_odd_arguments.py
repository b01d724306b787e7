"""Odd arguments of every kind: never a traceback or a bug, never a silent failure, never a file lost or left."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from conftest import sampled

from netspec.cli.main import run

NET = """\
netspec: 1
name: net
params:
  classes: 10
  act: {type: block, default: relu}
  layers: [2, 3]
  wide: false
  rate: 0.5
  k: {type: size, default: 3}
  p: {type: pad, default: half}
  s: {type: str, default: a, one_of: [a, b]}
variants: {small: {}, big: {classes: 20}}
input: [3, 16, 16]
blocks:
  cell:
    params: {out: int}
    examples: [{input: [3, 8, 8], args: 4}]
    body: [conv: [=out, 1]]
body:
  - cell: =4 * len(layers) if wide else 4
  - conv: {out: 4, kernel: =k, pad: =p}
  - act
  - dropout: =rate if s == 'a' else 0.1
  - global_avg_pool
  - flatten
  - linear: =classes
"""
LIB = """\
netspec: 1
name: lib
blocks:
  widen: {params: {out: int}, body: [conv: [=out, 1]]}
  two: {inputs: [a, b], body: [add: {l: a, r: b}]}
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "net.yaml").write_text(NET)
    (tmp_path / "lib.yaml").write_text(LIB)
    for name in ("folder", "dir.yaml"):
        (tmp_path / name).mkdir()
    files = {
        "empty.yaml": b"",
        "bin.yaml": bytes(range(256)),
        "null.yaml": b"null\n",
        "list.yaml": b"- a\n",
        "two.yaml": b"netspec: 1\n---\nnetspec: 1\n",
        "x.onnx": b"garbage",
        "empty.onnx": b"",
        "big.yaml": b"# x\n" * 1_100_000,
        "w.npz": b"PK\x03\x04",
        "w.pth": b"\x80",
        "i.png": b"\x89PNG",
        "w.safetensors": b"\0" * 20,
        "bad.npy": b"\x93NUMPY",
    }
    for name, data in files.items():
        (tmp_path / name).write_bytes(data)
    os.symlink("nowhere.yaml", "dangling.yaml")
    os.symlink("loop.yaml", "loop.yaml")
    os.symlink("net.yaml", "link.yaml")
    return tmp_path


def snapshot() -> dict[str, bytes]:
    return {str(p): p.read_bytes() for p in Path().rglob("*") if p.is_file()}


class Caller:
    """Runs command lines in a row and looks at what each leaves."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self.capsys, self.before = capsys, snapshot()

    def __call__(self, *args: str) -> tuple[int, str]:
        code = run(list(args))
        err = self.capsys.readouterr().err
        assert code in (0, 1, 2, 3) and "error: a bug" not in err, f"{args}: {code} {err}"
        assert code == 0 or err.strip(), f"{args}: exit code {code} and no message"
        after = snapshot()
        lost = [name for name, data in self.before.items() if after.get(name) != data]
        assert not lost, f"{args}: {lost} is not what it was"
        new = set(after) - set(self.before)
        assert code == 0 or not new, f"{args}: {new} is left behind"
        for name in new:
            Path(name).unlink()
        return code, err


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
    for setting, wanted in SETTINGS.items():
        code, err = call("summary", "net.yaml", "-s", setting)
        assert code == wanted, f"{setting!r}: {code} {err}"
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
    ("--input", "3x16x16x16"): 1,
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
    for option, wanted in OPTIONS.items():
        for command in (["summary", "net.yaml"], ["explain", "net.yaml"], ["draw", "net.yaml", "-f", "dot", "-o", "-"]):
            code, err = call(*command, *option)
            assert code == wanted, f"{command} {option}: {code} {err}"


TARGETS = {
    "folder": 2,
    "folder/": 2,
    "none/": 2,
    "none/x": 2,
    "net.yaml/x": 2,
    "": 2,
    " ": 2,
    "\0": 2,
    "a" * 300: 2,
    "/proc/x": 2,
    "/dev/full": 2,
    "net.yaml": 2,
    "./net.yaml": 2,
    "folder/../net.yaml": 2,
    "link.yaml": 2,
    "none/../y": 2,
    "..": 2,
    "\udcff": 0,
}
WRITERS = {
    "json": ["compile", "net.yaml", "--to", "json"],
    "summary": ["summary", "net.yaml", "-f", "csv"],
    "onnx": ["compile", "net.yaml", "--to", "onnx"],
    "external": ["compile", "net.yaml", "--to", "onnx", "--external-data"],
    "torch": ["compile", "net.yaml", "--to", "torch"],
    "draw": ["draw", "net.yaml"],
    "new": ["new", "block", "ghost"],
    "plot": ["plot", "macs", "net.yaml"],
}


@pytest.mark.parametrize(
    "writer", [w if w in ("json", "summary", "new") else pytest.param(w, marks=pytest.mark.slow) for w in WRITERS]
)
def test_odd_targets(call: Caller, writer: str) -> None:
    """Nothing that a command reads is overwritten by what it writes, and a name that is no file's is said."""
    for target, wanted in TARGETS.items():
        code, err = call(*WRITERS[writer], "-o", target)
        apart = writer == "external" and target == "\udcff"  # the model would have to hold this name
        assert code == (2 if apart else wanted), f"{target!r}: {code} {err}"


def test_no_input_is_overwritten(call: Caller, capsys: pytest.CaptureFixture[str]) -> None:
    """The used library, the checkpoint beside the source that is written, an array and the labels."""
    Path("uses.yaml").write_text("netspec: 1\nname: u\nuse: [./lib]\ninput: [3, 8, 8]\nbody: [{widen: 3}]\n")
    weights = {"widen.conv.weight": (3, 3, 1, 1), "widen.conv.bias": (3,)}
    np.savez("u.npz", **{k: np.ones(s, np.float32) for k, s in weights.items()})
    np.save("x.npy", np.zeros((1, 3, 8, 8), np.float32))
    Path("x.npz").write_bytes(Path("x.npy").read_bytes())
    call.before = snapshot()
    for args in (
        ["summary", "uses.yaml", "-o", "lib.yaml"],
        ["compile", "uses.yaml", "--to", "json", "-o", "lib.yaml"],
        ["compile", "uses.yaml", "--to", "onnx", "--weights", "u.npz", "-o", "u.npz"],
        ["run", "uses.yaml", "--weights", "u.npz", "--save", "u.npz"],
        ["run", "uses.yaml", "--npy", "x.npz", "--save", "x.npz"],
    ):
        code, err = call(*args)
        assert code == 2, args  # a suffix that the written kind never has is said first
        assert ("would be overwritten" if args[0] == "run" else "is the suffix of") in err, args


@pytest.mark.slow
def test_checkpoint_beside_the_source_stays(call: Caller) -> None:
    """`-o net.py` writes net.pth beside it, which may be the very file that the weights come from."""
    torch = pytest.importorskip("torch")
    import netspec

    torch.save(netspec.load("net.yaml").to_torch().state_dict(), "net.pth")
    call.before = snapshot()
    code, err = call("compile", "net.yaml", "--to", "torch", "--weights", "net.pth", "-o", "net.py")
    assert code == 2 and "net.pth is read by this command" in err
    assert call("compile", "net.yaml", "--to", "torch", "--weights", "net.pth", "-o", "other.py")[0] == 0


def test_folders_are_checked_whole_or_it_is_said(
    call: Caller, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A folder that may not be read and a link to nothing are no files that are fine; links between folders end."""
    for name in ("a", "a/good", "a/closed"):
        Path(name).mkdir()
        shutil.copy("net.yaml", name)
    os.symlink("..", "a/good/up")
    call.before = snapshot()
    assert call("check", "a")[1].endswith("ok: 3 files, 6 networks\n")
    os.symlink("nowhere", "a/good/link.yaml")
    code, err = call("check", "a")
    assert code == 2 and "link.yaml is a link to a file that is not there" in err
    os.unlink("a/good/link.yaml")
    scan = os.scandir

    def denied(path: str) -> object:
        if str(path).endswith("closed"):
            raise PermissionError(13, "Permission denied", path)
        return scan(path)

    monkeypatch.setattr("os.scandir", denied)
    codes = [run(["check", "a"]), run(["check", "a/closed"])]
    assert codes == [2, 2] and capsys.readouterr().err.count("a/closed cannot be read: Permission denied") == 2


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may write everywhere")
def test_folder_that_may_not_be_written(call: Caller) -> None:
    Path("folder").chmod(0o500)
    for args in WRITERS.values():
        code, err = call(*args, "-o", "folder/x")
        assert code == 2 and "Permission denied" in err, args


OTHERS = {
    ("run", "none.onnx"): 2,
    ("run", "x.onnx"): 1,
    ("run", "empty.onnx"): 1,
    ("run", "net.yaml", "--backend", ""): 2,
    ("run", "net.yaml", "--npy", "bad.npy"): 1,
    ("run", "net.yaml", "--npy", "none.npy"): 2,
    ("run", "net.yaml", "--npy", "folder"): 2,
    ("run", "net.yaml", "--npy", "net.yaml"): 1,
    ("run", "net.yaml", "--image", "i.png"): 1,
    ("run", "net.yaml", "--image", "none"): 2,
    ("run", "net.yaml", "--weights", "w.npz"): 1,
    ("run", "net.yaml", "--weights", "w.safetensors"): 1,
    ("run", "net.yaml", "--weights", "folder"): 2,
    ("run", "net.yaml", "--weights", ""): 2,
    ("compile", "net.yaml", "--to", "onnx", "--opset", "-1"): 2,
    ("compile", "net.yaml", "--to", ""): 2,
    ("compile", "net.yaml", "--to", "json", "--weights", "w.npz"): 2,
    ("draw", "net.yaml", "-o", ".gif"): 2,
    ("draw", "net.yaml", "--collapse", "none"): 2,
    ("draw", "net.yaml", "--show", ""): 2,
    ("plot", "macs"): 2,
    ("draw", "net.yaml", "--diff", ""): 2,
    ("draw", "net.yaml", "--diff", "lib.yaml"): 2,
    ("plot", "x"): 2,
    ("explain", "NS0"): 2,
    ("explain", "NS402", "x"): 2,
    ("explain", "net.yaml", "\0"): 2,
    ("list", "specs", "("): 2,
    ("explain", "net.yaml", "a" * 10_000): 2,
    ("explain", "ns\u0661\u0661\u0661"): 2,
    ("list", "specs", "", ""): 2,
    ("new", "block", "conv"): 2,
    ("new", "block", "class"): 2,
    ("new", "block", "../x"): 2,
    ("new", "block", "tee"): 2,
    ("new", "block", "ghost", "-o", "-"): 0,
    ("new", "block", "ghost", "-o", "net.yaml"): 2,
    ("new",): 2,
    (): 2,
    ("check", "folder"): 2,
    ("check", "folder", "net.yaml"): 2,
    ("check", "net.yaml", "--variant", "x"): 2,
    ("--color",): 2,
    ("--color", "x"): 2,
    ("help",): 2,
    ("",): 2,
    ("check",): 2,
    ("check", "--", "net.yaml"): 0,
}


def test_other_odd_command_lines(call: Caller) -> None:
    for args, wanted in sampled(OTHERS.items(), 15, lambda item: item[1]):
        code, err = call(*args)
        assert code == wanted, f"{args}: {code} {err}"


def test_new_block_on_stdout_is_a_library(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["new", "block", "ghost", "-o", "-"]) == 0
    text = capsys.readouterr().out
    Path("g.yaml").write_text(text)
    assert run(["check", "g.yaml", "--strict"]) == 0


def test_line_breaks_of_a_file_name_forge_no_diagnostic(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.copy("empty.yaml", "x\nnet.yaml:1:1: error[NS999]: forged.yaml")
    assert run(["check", "x\nnet.yaml:1:1: error[NS999]: forged.yaml"]) == 1
    assert not [line for line in capsys.readouterr().err.splitlines() if line.startswith("net.yaml")]
