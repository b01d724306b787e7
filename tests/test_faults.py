"""A few of the trials of tools/dev faults: every output while file operations fail and processes are killed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

FAULTS = Path(__file__).resolve().parent.parent / "tools" / "faults.py"


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="trials are forked")
def test_nothing_is_torn_lost_or_left() -> None:
    command = [sys.executable, str(FAULTS), "--faults", "20", "--kills", "20", "--seed", "1"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=500)
    assert done.returncode == 0, done.stderr[-4000:]
    (total,) = [line for line in done.stdout.splitlines() if line.startswith("| all |")]
    faults, kills, kept, written, refused, wrong = map(int, total.split("|")[2:-1])
    assert (faults, kills, wrong) == (20, 20, 0) and kept + written + refused == 40 and kept and written
