"""The streams of the command line: closed, full or slow ones, signals, and bugs."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from cli_harness import TINY
from conftest import sampled

from netspec.cli.main import run

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Every test works in a folder of its own, with tiny.yaml in it."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tiny.yaml").write_text(TINY)
    return tmp_path


def process(*args: str, **options) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "netspec", *args], stdout=subprocess.PIPE, stderr=subprocess.PIPE, **options
    )


def test_reader_that_leaves_is_no_mistake() -> None:
    """`netspec summary ... | head -1`."""
    child = process("summary", "densenet264", "-f", "json")
    assert child.stdout is not None and child.stderr is not None
    child.stdout.readline()
    child.stdout.close()
    assert (child.stderr.read(), child.wait(timeout=60)) == (b"", 0)
    child.stderr.close()


def test_stdout_that_holds_ascii_only(folder: Path) -> None:
    (folder / "tiny.yaml").write_text(TINY + "title: Gr\u00f6\u00dfe \u7db2\n", encoding="utf-8")
    out, err = process("summary", "tiny.yaml", env={**os.environ, "PYTHONIOENCODING": "ascii"}).communicate(timeout=60)
    assert out.startswith(b"Gr\\xf6\\xdfe \\u7db2") and err == b""


@pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")
def test_ctrl_c(folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def interrupted(*args: object) -> None:
        os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr("netspec.cli.request.read_document", interrupted)
    # A job that a shell started in the background ignores SIGINT.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        assert run(["summary", "tiny.yaml"]) == 130
    finally:
        signal.signal(signal.SIGINT, before)
    assert capsys.readouterr().err.strip() == "stopped"


def test_bug_says_what_to_report(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def broken(*args: object) -> None:
        raise KeyError("surprise")

    monkeypatch.setattr("netspec.cli.request.read_document", broken)
    assert run(["summary", "tiny.yaml"]) == 4
    err = capsys.readouterr().err
    assert "a bug of netspec: KeyError" in err and "report" in err and "Traceback" not in err


CLOSED = {
    "summary": ["summary", "tiny.yaml"],
    "wrong": ["summary", "wrong.yaml"],
    "check": ["check", "tiny.yaml"],
    "check wrong": ["check", "wrong.yaml"],
    "list": ["list", "ops"],
    "explain": ["explain", "NS402"],
    "draw": ["draw", "tiny.yaml", "-f", "dot", "-o", "-"],
    "json": ["compile", "tiny.yaml", "--to", "json", "-o", "-"],
    "onnx": ["compile", "tiny.yaml", "--to", "onnx"],
    "schema": ["schema"],
    "help": ["--help"],
    "usage": ["sumary"],
    "run": ["run", "tiny.yaml", "--repeat", "1"],
    "plot": ["plot", "macs", "tiny.yaml", "-o", "-"],
    "help of a command": ["check", "--help"],
    "new": ["new", "block", "ghost"],
    "version": ["--version"],
}


QUICK = ("summary", "check wrong")


REDIRECTS = (">&-", ">&- 2>&-", "<&-", "2>&-", ">/dev/full", "2>/dev/full", "> >(exec true)", "2> >(exec true)")


RIGHT = {"wrong": 1, "check wrong": 1, "usage": 2}


@pytest.mark.skipif(os.name != "posix", reason="streams are closed by a shell")
@pytest.mark.parametrize("which", [w if w in QUICK else pytest.param(w, marks=pytest.mark.slow) for w in CLOSED])
@pytest.mark.quick(1)
def test_streams_that_cannot_be_written(folder: Path, which: str) -> None:
    """A closed stdout is a message and exit code 2, a closed or full stderr changes nothing, `| head` is no mistake."""
    (folder / "wrong.yaml").write_text(TINY.replace("relu", "rleu"))
    writes = which not in ("wrong", "check", "check wrong", "onnx", "usage", "new")
    right = RIGHT.get(which, 0)

    def shell(redirect: str) -> tuple[int, str]:
        command = ["bash", "-c", f'exec "$0" -m netspec "$@" {redirect}', sys.executable, *CLOSED[which]]
        done = subprocess.run(command, capture_output=True, text=True, timeout=300)
        (folder / "ghost.yaml").unlink(missing_ok=True)
        assert "Exception" not in done.stderr and "a bug of" not in done.stderr, done.stderr
        return done.returncode, done.stderr

    first = list(CLOSED).index(which) % 2  # one command takes every other, the next those between them
    for redirect in sampled((*REDIRECTS[first:], *REDIRECTS[:first]), 2, slow=4):
        code, err = shell(redirect)
        if ">&-" in redirect.split():
            assert code == 2 and ("stdout is closed" in err) == (redirect == ">&-"), redirect
        elif redirect == ">/dev/full":
            assert code == (2 if writes else right) and (not writes or "No space left" in err)
        else:
            assert code == right, redirect


def test_files_do_not_take_the_place_of_closed_streams(folder: Path) -> None:
    """A file opened where stderr was closed would have its number, and get what libraries print there."""
    command = f'exec "{sys.executable}" -m netspec compile tiny.yaml --to json -o t.json 2>&- <&-'
    assert subprocess.run(["bash", "-c", command], stdout=subprocess.PIPE, timeout=300).returncode == 0
    assert json.loads((folder / "t.json").read_text())["name"] == "tiny"
