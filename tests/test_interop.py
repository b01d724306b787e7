"""tools/dev interop: what a runner gives, and that one which fails or crashes is a reason and not an end."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent.parent / "tools"))

import interop

EXPECTED = [np.ones((1, 2), np.float32)]


def ran(tmp_path: Path, code: str, limit: float = 60) -> str:
    """The outcome of a runner of this code, whose argument is the file of the outputs."""
    out = tmp_path / "out.npz"
    return interop.outcome([sys.executable, "-c", f"import os, sys\n{code}", out], out, EXPECTED, limit)


@pytest.mark.slow
def test_a_network_in_onnxruntime_is_within_the_bound(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(interop, "python_of", lambda _: Path(sys.executable))
    pairs = interop.measured("lenet", ["onnxruntime 1.32.0"])
    assert all(interop.good(cell) for pair in pairs for cell in pair), pairs


@pytest.mark.slow
def test_a_runner_that_fails_is_a_reason(tmp_path: Path) -> None:
    assert ran(tmp_path, "raise RuntimeError('No rule | for `netspec`')") == "RuntimeError: No rule ' for 'netspec'"
    assert ran(tmp_path, "import time; time.sleep(9)", 0.1) == "no result within 0.1 s"
    if os.name != "nt":
        assert ran(tmp_path, "os.kill(os.getpid(), 11)") == "crashed with signal 11"


@pytest.mark.slow
def test_what_differs_is_no_number_that_passes(tmp_path: Path) -> None:
    save = "import numpy as np; np.savez(sys.argv[1], **{'0': np.full((1, 2), %s, np.float32)})"
    assert interop.good(ran(tmp_path, save % "1.00001"))
    assert ran(tmp_path, save % "1.01") == "differs by 1e-02"
    assert ran(tmp_path, save % "np.nan") == "differs by nan"
    assert ran(tmp_path, "import numpy as np; np.savez(sys.argv[1])") == "gives 0 outputs, not 1"
