"""Odd targets, files and folders of the command line."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from conftest import sampled
from odd_harness import Caller, fill, snapshot

from netspec.cli.main import run


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    fill(tmp_path)
    return tmp_path


@pytest.fixture
def call(folder: Path, capsys: pytest.CaptureFixture[str]) -> Caller:
    return Caller(capsys)


TARGETS = {
    "folder": 2,
    "folder/": 2,
    "made/": 2,
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


FOLDERS = ("folder", "folder/", "..", "made/")

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
    for target, expected in TARGETS.items():
        code, err = call(*WRITERS[writer], "-o", target)
        if WRITERS[writer][0] == "compile" and target in FOLDERS:  # its file is one in there
            expected = 0
        apart = writer == "external" and target == "\udcff"  # the model would have to hold this name
        assert code == (2 if apart else expected), f"{target!r}: {code} {err}"


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


@pytest.mark.slow
def test_other_odd_command_lines(call: Caller) -> None:
    for args, expected in sampled(OTHERS.items(), 8, lambda item: item[1]):
        code, err = call(*args)
        assert code == expected, f"{args}: {code} {err}"


def test_new_block_on_stdout_is_a_library(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["new", "block", "ghost", "-o", "-"]) == 0
    text = capsys.readouterr().out
    Path("g.yaml").write_text(text)
    assert run(["check", "g.yaml", "--strict"]) == 0


def test_line_breaks_of_a_file_name_forge_no_diagnostic(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.copy("empty.yaml", "x\nnet.yaml:1:1: error[NS999]: forged.yaml")
    assert run(["check", "x\nnet.yaml:1:1: error[NS999]: forged.yaml"]) == 1
    assert not [line for line in capsys.readouterr().err.splitlines() if line.startswith("net.yaml")]
