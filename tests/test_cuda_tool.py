"""`tools/dev cuda`, rehearsed on the processor at tiny sizes: every part gives rows, and none that is absent fails."""

from __future__ import annotations

import importlib.util
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from netspec import backend
from netspec.backend import Result

TOOLS = Path(__file__).resolve().parent.parent / "tools"


@pytest.fixture
def cuda(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The tool as a module, whose path and arguments are put back."""
    monkeypatch.setattr(sys, "path", [str(TOOLS), *sys.path])
    spec = importlib.util.spec_from_file_location("cuda_tool", TOOLS / "cuda.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def called(cuda: ModuleType, monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    """The exit code of its main function."""
    monkeypatch.setattr(sys, "argv", ["cuda.py", *arguments])
    code: int = cuda.main()
    return code


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
    assert "- tests/test_cuda.py: " in tests and " passed" in tests and "failed" not in tests, tests
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


@pytest.mark.slow
@pytest.mark.parametrize("wheels", [["--wheels", "./w/"], ["--wheels=w"], ["--wheels", "w/."], ["--wheels=./w"]])
def test_the_process_in_the_environment_is_asked_for_the_same(
    wheels: list[str], cuda: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However the folder is written; what the environment took is no time of the parts."""
    monkeypatch.chdir(tmp_path)
    Path("w").mkdir()
    asked: list[Path] = []

    def made(folder: Path, end: float) -> Path:
        asked.append(folder)
        time.sleep(0.2)
        return Path(sys.executable)

    monkeypatch.setattr(cuda, "environment", made)
    run, commands = subprocess.run, list[list[str]]()

    def watched(command: list[str], **options: Any) -> subprocess.CompletedProcess[str]:
        commands.append(command)
        return run(command, **options, timeout=120)

    monkeypatch.setattr(subprocess, "run", watched)
    usual = ["--device", "cpu", "--tiny", "--parts", "levels,tensorrt"]
    code = called(cuda, monkeypatch, *wheels, *usual, "--minutes", "0.003", "-o", "page.md")
    assert code == 0 and asked == [tmp_path.resolve() / "w"]
    (command,) = commands
    assert not any(word.startswith("--wheels") for word in command)
    spent = float(command[command.index("--spent") + 1])
    assert 0.2 <= spent < 5
    _, levels, tensorrt = Path("page.md").read_text(encoding="utf-8").split("\n## ")
    for part in (levels, tensorrt):
        assert part.count("| not run |") == 1 and "the 0.003 minutes were over" in part


def test_installing_ends_with_the_time(cuda: ModuleType) -> None:
    begun = time.monotonic()
    assert cuda.done_by(begun + 0.2, [sys.executable, "-c", "import time; time.sleep(60)"]) == 0
    assert time.monotonic() - begun < 30
    assert cuda.done_by(time.monotonic() + 60, [sys.executable, "-c", "raise SystemExit(3)"]) == 3


@pytest.mark.parametrize("option", ["--wheels=absent", "--output=absent/page.md"])
def test_a_folder_that_is_not_there_is_said(
    option: str, cuda: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    """Before anything is measured."""
    with pytest.raises(SystemExit, match="2"):
        called(cuda, monkeypatch, option)
    assert "there is no folder absent" in capsys.readouterr().err


@pytest.mark.slow
def test_paths_are_those_of_the_folder_that_the_user_is_in(tmp_path: Path) -> None:
    command = [sys.executable, str(TOOLS / "dev.py"), "cuda", "--device", "cpu", "--tiny", "--parts", "levels"]
    done = subprocess.run([*command, "--minutes", "0.001", "-o", "page.md"], cwd=tmp_path, timeout=120)
    assert done.returncode == 0 and "not run" in (tmp_path / "page.md").read_text(encoding="utf-8")


@pytest.mark.skipif(os.name != "posix", reason="groups of processes are of POSIX")
def test_an_interrupt_ends_the_part_that_runs(cuda: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    """A session of its own hears nothing of a Control-C."""
    begun, start = list[subprocess.Popen[str]](), subprocess.Popen

    def interrupted(seconds: float) -> int:
        raise KeyboardInterrupt

    def sleeping(command: list[str], **options: Any) -> subprocess.Popen[str]:
        process = start([sys.executable, "-c", "import time; time.sleep(60)"], **options)
        begun.append(process)
        waits = iter([interrupted, process.wait])
        monkeypatch.setattr(process, "wait", lambda *args: next(waits)(*args))
        return process

    monkeypatch.setattr(subprocess, "Popen", sleeping)
    with pytest.raises(KeyboardInterrupt):
        cuda.run_part("levels", cuda.Asked("cpu", True), 60)
    assert begun[0].poll() == -signal.SIGKILL


def test_what_the_first_run_takes_counts_for_nothing(cuda: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    """An engine is built in it, for up to a minute, of which each further run is a millisecond."""
    asked = list[int]()

    class Opened:
        def run(self, inputs: dict[str, object], repeat: int) -> Result:
            asked.append(repeat)
            time.sleep(0.3 if len(asked) == 1 else 0.0)
            return Result({}, "", [1.0] * repeat)

    monkeypatch.setattr(backend, "able", lambda *args: SimpleNamespace(open=lambda *args: Opened()))
    parts = importlib.import_module("cuda_parts")
    assert len(parts.in_onnxruntime(Path("m.onnx"), ("x", None), "cpu")) == parts.REPEATS
    assert asked == [parts.WARM_UP, parts.REPEATS]


@pytest.mark.slow
def test_without_pytest_the_tests_are_not_run(tmp_path: Path) -> None:
    """Of a pytest that is there and finds no library, its last words are the reason."""
    for name, text, what, why in (
        ("sitecustomize.py", "import sys; sys.modules['pytest'] = None", "tests", "pytest is not installed"),
        ("hypothesis.py", "raise ImportError('hidden from the tests')", "tests/test_cuda.py", "hidden from the tests"),
    ):
        folder = tmp_path / name[:-3]
        folder.mkdir()
        (folder / name).write_text(text, encoding="utf-8")
        paths = os.pathsep.join(filter(None, (str(folder), os.environ.get("PYTHONPATH"))))
        command = [sys.executable, str(TOOLS / "cuda.py"), "--device", "cpu", "--tiny", "--parts", "tests"]
        done = subprocess.run(
            command, env=os.environ | {"PYTHONPATH": paths}, capture_output=True, text=True, timeout=120
        )
        (row,) = [line for line in done.stdout.splitlines() if f"| {what} | not run |" in line]
        assert done.returncode == 0 and why in row and "Traceback" not in done.stdout, done.stdout


@pytest.mark.slow
def test_a_page_stays_where_nothing_ran(
    cuda: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    """Tests pass without a GPU too, as they skip what needs one: that measures nothing."""
    page = tmp_path / "benchmarks-cuda.md"
    page.write_text("measured before", encoding="utf-8")
    monkeypatch.setattr(cuda, "PAGE", page)
    absent: list[dict[str, object]] = [{"what": "latency", "not run": "this PyTorch cannot use CUDA"}]
    passed: list[dict[str, object]] = [{"what": "tests", "result": "30 passed, 4 skipped"}]
    timed: list[dict[str, object]] = [{"what": "x", "batch": 1, "ms": 2.0, "least": 1.0, "most": 3.0, "images": 500.0}]
    for gpu, rows, replaced in (
        ("", absent, False),
        ("", passed, False),
        ("NVIDIA H200, 550", passed, True),
        ("NVIDIA H200, 550", absent, False),
        ("", timed, True),
    ):
        page.write_text("measured before", encoding="utf-8")
        monkeypatch.setattr(cuda, "gpu", lambda gpu=gpu: gpu)
        monkeypatch.setattr(cuda, "run_part", lambda *args, rows=rows: rows)
        assert called(cuda, monkeypatch, "--parts", "latency") == 0
        assert (page.read_text(encoding="utf-8") != "measured before") == replaced, (gpu, rows)
        assert ("nothing ran on a GPU: docs/benchmarks-cuda.md stays" in capsys.readouterr().err) != replaced
