"""Runs of ONNX models: what ran, and what is refused."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
import pytest
from netspec_onnx.options import OnnxOptions
from session_harness import SPEC, noise

import netspec
from netspec.backend import get
from netspec.diagnostics.errors import DataError, MissingError, UsageError
from netspec.weights.initialise import draw

ONNX = get("onnx")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    (tmp_path / "net.yaml").write_text(SPEC, encoding="utf-8")
    graph = netspec.load(tmp_path / "net.yaml").inference
    ONNX.emit(graph, draw(graph, 1), tmp_path / "net.onnx", OnnxOptions())
    return tmp_path / "net.onnx"


def test_a_run_says_what_ran_and_how_long(path: Path) -> None:
    result = ONNX.run_file(path, {"input": noise(2, 4, 12, 12)}, repeat=3)
    assert result.provider == "CPUExecutionProvider"
    assert len(result.latency_ms) == 3 and min(result.latency_ms) > 0
    plain = ort.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    assert np.array_equal(result.outputs["output"], plain.run(None, {"input": noise(2, 4, 12, 12)})[0])
    assert {name: port.shape for name, port in ONNX.open(path).inputs.items()} == {"input": ("N", 4, 12, 12)}


@pytest.mark.parametrize(
    "inputs, message",
    [
        ({}, "the input 'input' is missing"),
        ({"input": noise(1, 4, 12, 12), "more": noise(1)}, "'more' is none of the model's"),
        ({"input": noise(4, 12, 12)}, "is 4x12x12, the model expects Nx4x12x12"),
        ({"input": noise(1, 3, 12, 12)}, "is 1x3x12x12, the model expects Nx4x12x12"),
    ],
)
def test_inputs_that_do_not_fit_are_refused(path: Path, inputs: dict[str, np.ndarray], message: str) -> None:
    with pytest.raises(DataError, match=message) as info:
        ONNX.run_file(path, inputs)
    assert info.value.code == "NS701"


def test_files_that_are_no_models_are_refused(tmp_path: Path) -> None:
    (tmp_path / "bad.onnx").write_bytes(b"no model at all")
    for run in (lambda p: ONNX.run_file(p, {}), ONNX.open):
        with pytest.raises(DataError, match="onnxruntime refuses the model"):
            run(tmp_path / "bad.onnx")
        for unreadable in (tmp_path / "missing.onnx", tmp_path):
            with pytest.raises(UsageError, match="cannot be read"):
                run(unreadable)


def test_a_device_that_does_not_start_is_an_error_and_no_silent_fallback(path: Path, capfd: Any) -> None:
    """On a machine with CUDA it runs there, and says so."""
    try:
        result = ONNX.run_file(path, {"input": noise(1, 4, 12, 12)}, device="cuda")
    except MissingError as error:
        assert "CUDA" in str(error) and error.help
    else:
        assert result.provider.partition(" (")[0] == "CUDAExecutionProvider"
    assert capfd.readouterr() == ("", "")
    with pytest.raises(UsageError, match="no device 'tpu'"):
        ONNX.run_file(path, {"input": noise(1, 4, 12, 12)}, device="tpu")


@pytest.mark.slow
@pytest.mark.parametrize(
    "library, help, call",
    [
        ("onnxruntime", "netspec-compiler[run]", "get('onnx').run_file('net.onnx', {})"),
        ("onnx", "pip install onnx", "get('onnx').emit(None, {}, 'net.onnx', None)"),
    ],
)
def test_a_missing_library_is_named_with_what_to_install(tmp_path: Path, library: str, help: str, call: str) -> None:
    program = (
        f"import sys; sys.modules[{library!r}] = None\nfrom netspec.backend import get\n"
        f"from netspec.diagnostics.errors import MissingError\ntry:\n    {call}\n"
        "except MissingError as e:\n    print(e, e.help, e.exit_code)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=tmp_path, timeout=300)
    assert f"needs {library}, which is not installed" in done.stdout, done.stderr
    assert help in done.stdout and done.stdout.endswith("3\n")


def test_an_unknown_backend_names_the_nearest() -> None:
    with pytest.raises(UsageError, match="no backend 'onx'") as info:
        get("onx")
    assert "onnx" in info.value.help
