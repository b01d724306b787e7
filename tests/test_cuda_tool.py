"""`tools/dev cuda`, rehearsed on the processor at tiny sizes: every part gives rows, and none that is absent fails."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

TOOLS = Path(__file__).resolve().parent.parent / "tools"


def rehearse(*arguments: str) -> subprocess.CompletedProcess[str]:
    """The tool on the processor, with tiny sizes."""
    command = [sys.executable, str(TOOLS / "cuda.py"), "--device", "cpu", "--tiny", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=300)


@pytest.mark.slow
def test_every_part_is_rehearsed(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    done = rehearse("-o", str(page))
    assert done.returncode == 0, done.stderr
    text = page.read_text(encoding="utf-8")
    assert "on a CPU" in text and "whose figures say nothing of a GPU" in text
    first, *parts = text.split("\n## ")
    tests, latency, compiled, levels, tensorrt = parts
    assert " passed" in tests and "failed" not in tests, tests
    assert latency.count(" images a second") == 1 and "not run" not in latency, latency
    assert latency.count("| torch eager |") == latency.count("| onnxruntime |") == 2 * 3
    assert all(f"| {who}, {how} |" in compiled for who in ("netspec", "torchvision") for how in ("eager", "compiled"))
    assert "not run" not in compiled + levels, compiled + levels
    assert [f"-O{level}" in levels for level in (0, 1, 2)] == [True] * 3
    assert (
        "| not run | MissingError: " in tensorrt and "TensorRT" in tensorrt
    )  # there is none on a machine without a GPU


@pytest.mark.slow
def test_what_has_no_time_is_not_run(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    done = rehearse("--parts", "latency,levels", "--minutes", "0.02", "-o", str(page))
    assert done.returncode == 0, done.stderr
    latency, levels = page.read_text(encoding="utf-8").split("\n## ")[1:]
    assert "its 1 s were over" in latency and "not run" in levels
    wrong = rehearse("--parts", "laten")
    assert wrong.returncode == 2 and "there is no part 'laten'" in wrong.stderr
