"""Mistakes in a copy of specs/resnet.yaml: each is found at its place, with help, and nothing is written."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from netspec.cli.main import run

Compiled = Callable[[str], tuple[int, str]]
SPEC = (Path(__file__).parent.parent / "specs" / "resnet.yaml").read_text(encoding="utf-8")

MISTAKES = {
    "op": ("- maxpool = max_pool:", "- maxpool = max_pol:", "max_pol", ["NS201", "max_pool"]),
    "channels": (
        "- avgpool = global_avg_pool",
        "- wide = add: {a: [conv_bn: [64, 1]], b: [conv_bn: [63, 1]]}\n  - avgpool = global_avg_pool",
        "add: {a",
        ["NS402", "64x7x7", "63x7x7"],
    ),
    "parameter": ("kernel: 7, stride: 2}", "kernal: 7, stride: 2}", "kernal", ["NS206", "kernel"]),
    "bracket": (
        "{kernel: 3, stride: 2, pad: 1}",
        "{kernel: 3, stride: 2, pad: 1",
        "{kernel: 3, stride: 2, pad: 1",
        ["NS102", "never closed"],
    ),
    "key": (
        "- fc = linear: =classes",
        "- fc = linear: {out: =classes, bias: true, out: 3}",
        "out: 3",
        ["NS103", "out"],
    ),
}


def place(text: str, piece: str) -> str:
    """line:column of a piece, which stands once."""
    assert text.count(piece) == 1
    before = text[: text.index(piece)]
    return f"{before.count(chr(10)) + 1}:{len(before) - before.rfind(chr(10))}"


@pytest.fixture
def compiled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Compiled:
    """Runs the command line on a spec; nothing but the spec may be there afterwards."""
    monkeypatch.chdir(tmp_path)

    def compiled(text: str) -> tuple[int, str]:
        Path("mine.yaml").write_text(text, encoding="utf-8")
        code = run(["compile", "mine.yaml", "--to", "onnx"])
        out, err = capfd.readouterr()
        assert [p.name for p in tmp_path.iterdir()] == ["mine.yaml"]
        assert "Traceback" not in err
        assert out == ""
        return code, err

    return compiled


@pytest.mark.parametrize("which", MISTAKES)
def test_alone(which: str, compiled: Compiled) -> None:
    old, new, piece, said = MISTAKES[which]
    assert SPEC.count(old) == 1
    text = SPEC.replace(old, new)
    code, err = compiled(text)
    assert code == 1
    assert f"mine.yaml:{place(text, piece)}: error[{said[0]}]" in err
    assert all(s in err for s in said), err
    assert err.count("error[") == 1, err


def test_three_together(compiled: Compiled) -> None:
    text = SPEC
    three = [MISTAKES[k] for k in ("op", "channels", "parameter")]
    for old, new, _, _ in three:
        text = text.replace(old, new)
    code, err = compiled(text)
    assert code == 1
    assert err.count("error[") == 3, err
    for _, _, piece, said in three:
        assert f"mine.yaml:{place(text, piece)}: error[{said[0]}]" in err
        assert all(s in err for s in said), err


@pytest.mark.slow
def test_the_spec_itself_is_fine() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "netspec", "check", "resnet18"], capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
