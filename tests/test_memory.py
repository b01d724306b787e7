"""A network takes the memory of its largest tensor, or of its weights, however it is written."""

from __future__ import annotations

import math
import subprocess
import sys
from pathlib import Path

import pytest

import netspec

MEMORY = Path(__file__).resolve().parent.parent / "tools" / "memory.py"


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="the peak of a process is known on POSIX")
def test_vgg_takes_no_more_memory_than_it_must() -> None:
    sizes = [4 * math.prod(map(int, shape)) for shape, _, _ in netspec.load("vgg_d").inference.tensors().values()]
    assert (sum(sizes), max(sizes)) == (553_430_176, 411_041_792)  # what the bounds are made of
    done = subprocess.run(
        [sys.executable, str(MEMORY), "--network", "vgg_d"], capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stdout + done.stderr[-2000:]
    assert len(done.stdout.splitlines()) == 11
