"""What a cell of the table of runtimes says: a file run in a process of its own, and its outputs compared."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

import numpy as np

Kind: TypeAlias = Literal["ok", "differs", "refused"]

SECONDS = 900
"""After so long a run is ended; what a process may take of the processor is limited by its runner."""
LATE = "no result within"
"""How the reason of a run that was ended begins; on a machine with less to do it may have one."""
TO_END = 2
"""So many seconds after its outputs a process has to end; OpenVINO does not always."""


@dataclass(frozen=True, slots=True)
class Cell:
    """What became of a file in a runtime."""

    kind: Kind
    text: str
    """The largest error of the largest value of an output; or why there is none."""

    @property
    def error(self) -> float:
        """The error as a number, infinite where there is none."""
        return float(self.text) if re.fullmatch(r"\de[-+]\d+", self.text) else float("inf")


def quoted(text: str) -> str:
    """A message as one line that stands as code in a page: printable ASCII without folders of this machine."""
    line = re.sub(r"\x1b\[[\d;]*m", "", " ".join(text.split()))
    line = re.sub(r"(/[\w.+-]+){2,}/", "", line)
    return re.sub(r"[^ -~]|[`|]", "'", line)[:160]


def reason(stderr: str, code: int) -> str:
    """Why a process failed: the error that it printed last, or the signal that ended it."""
    lines = [line for line in stderr.splitlines() if line.strip()]
    if code == -getattr(signal, "SIGXCPU", 0):
        return f"{LATE} the seconds of a processor that it may take"
    if code < 0:
        return f"crashed with signal {-code}" + (f": {quoted(lines[-1])}" if lines else "")
    start = max((i for i, line in enumerate(lines) if re.match(r"[\w.]+: ", line)), default=-1)
    return quoted(" ".join(lines[start:])) if lines else f"ended with {code}"


def finished(process: subprocess.Popen[bytes], out: Path, limit: float) -> int | None:
    """The exit status of a process, 0 once it has written `out`; None for one that is not done in time."""
    end = time.monotonic() + limit
    while time.monotonic() < end:
        if (code := process.poll()) is not None:
            return 0 if out.exists() else code
        if out.exists():
            with suppress(subprocess.TimeoutExpired):
                process.wait(TO_END)
            return 0
        time.sleep(0.05)
    return None


def kill(process: subprocess.Popen[bytes]) -> None:
    """Ends a process and, where the system has groups, those that it began."""
    with suppress(ProcessLookupError):
        if os.name == "posix":
            os.killpg(process.pid, signal.SIGKILL)
        else:
            process.kill()
    process.wait()


def outcome(
    command: Sequence[str | Path],
    out: Path,
    expected: Sequence[np.ndarray],
    bound: float = 1e-4,
    limit: float = SECONDS,
) -> Cell:
    """Runs a command that writes its outputs at once, by renaming; the largest error, or the reason of its failure."""
    with tempfile.TemporaryFile() as errors:
        process = subprocess.Popen(
            [str(part) for part in command],
            stdout=subprocess.DEVNULL,
            stderr=errors,
            start_new_session=os.name == "posix",
        )
        try:
            code = finished(process, out, limit)
        finally:
            kill(process)
        errors.seek(0)
        stderr = errors.read().decode(errors="replace")
    if code is None:
        return Cell("refused", f"{LATE} {limit:g} s")
    if code or not out.exists():
        return Cell("refused", reason(stderr, code))
    with np.load(out) as file:
        found = [file[str(i)] for i in range(len(file.files))]
    return compared(found, expected, bound)


def relative_error(value: np.ndarray, right: np.ndarray) -> float:
    """The largest difference of two values of a shape, of the largest value of the second."""
    return float(np.abs(value - right).max() / max(float(np.abs(right).max()), 1e-12))


def compared(found: Sequence[np.ndarray], expected: Sequence[np.ndarray], bound: float) -> Cell:
    """The cell of outputs beside those of torch; sizes of 1 may be missing, as in runtimes without a batch axis."""
    if len(found) != len(expected):
        return Cell("differs", f"gives {len(found)} outputs, not {len(expected)}")
    worst = 0.0
    for value, right in zip(found, expected, strict=True):
        if [size for size in value.shape if size != 1] != [size for size in right.shape if size != 1]:
            return Cell("differs", f"gives the shape {value.shape}, not {right.shape}")
        error = relative_error(value.reshape(right.shape), right)
        worst = error if not error <= worst else worst
    return Cell("ok" if worst <= bound else "differs", f"{worst:.0e}")
