"""Work over processes: what comes back of it, however large or wrong it is."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from netspec.processes import Ended, in_processes

LARGE = 4 * 2**20
"""Bytes, of which a pipe holds a few thousand."""


@dataclass(frozen=True, slots=True)
class Job:
    what: str
    size: int = 1


class OfTwo(Exception):
    """An exception that pickle cannot make again."""

    def __init__(self, one: int, other: int) -> None:
        super().__init__(f"{one} is not {other}")


def work(job: Job) -> object:
    match job.what:
        case "large":
            return b"x" * LARGE
        case "function":
            return lambda: None
        case "of two":
            raise OfTwo(1, 2)
        case "error":
            raise KeyError("absent")
        case "memory":
            raise MemoryError
        case "crash":
            os.kill(os.getpid(), signal.SIGABRT)
    return job.what


def done(*what: str) -> list[object]:
    return list(in_processes([Job(one) for one in what], work, 2, lambda job: None))


def test_an_outcome_may_be_larger_than_a_pipe() -> None:
    large = b"x" * LARGE
    assert done("large", "a", "large", "large", "b") == [large, "a", large, large, "b"]


@pytest.mark.parametrize(
    ("what", "raised", "said"),
    [
        ("function", Exception, "pickle|local object"),
        ("of two", RuntimeError, "OfTwo: 1 is not 2"),
        ("error", KeyError, "absent"),
    ],
)
def test_what_cannot_be_sent_is_an_error_that_says_so(what: str, raised: type[Exception], said: str) -> None:
    """And no process that was ended, of which there is nothing to say."""
    with pytest.raises(raised, match=said):
        done("a", what, "b")


def test_help_speaks_of_memory_where_memory_may_be_why() -> None:
    memory, crash, other = done("memory", "crash", "a")
    assert other == "a" and isinstance(memory, Ended) and isinstance(crash, Ended)
    assert "with a smaller -j" in memory.error("x.yaml").help
    error = crash.error("x.yaml")
    assert error.message.endswith("was ended by SIGABRT") and "memory" not in error.help


BEGUN_BEFORE = """
import multiprocessing.forkserver, os, signal, threading, time
from dataclasses import dataclass
from netspec.processes import in_processes

@dataclass
class Job:
    size: int

def work(job):
    os.kill(os.getpid(), signal.SIGINT)  # as a terminal sends to all of its processes
    time.sleep(0.1)
    return job.size

if __name__ == "__main__":
    multiprocessing.forkserver.ensure_running()
    threading.Thread(target=threading.Event().wait, daemon=True).start()
    print(in_processes([Job(1), Job(2)], work, 2, lambda job: None))
"""


@pytest.mark.slow
def test_an_interrupt_is_for_the_first_process_alone(tmp_path: Path) -> None:
    """Where the server of forks was begun before, with interrupts, too."""
    (tmp_path / "program.py").write_text(BEGUN_BEFORE, encoding="utf-8")
    command = [sys.executable, str(tmp_path / "program.py")]
    found = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert (found.stdout, found.stderr) == ("[1, 2]\n", "")
