"""A command that does the same for each of many specs, in one process or several."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter
from pathlib import Path

import click

from netspec.cli.output import colored, show_error
from netspec.cli.progress import Progress
from netspec.cli.request import Request
from netspec.diagnostics.errors import NetspecError
from netspec.diagnostics.streams import put, tell
from netspec.files.pipes import STDIN

Work = Callable[[Request], None]
"""What is done for one spec; other processes can be sent it."""


def each(requests: Sequence[Request], work: Work, processes: int) -> int:
    """Does the work for each request; gives the exit code: the highest of those that each would have had alone.

    One that fails hinders no other. What each says is printed in the order of the requests, whatever the processes are.
    """
    if len(requests) == 1:
        work(requests[0])
        return 0
    count = 1 if any(request.spec in STDIN for request in requests) else min(processes, len(requests))
    if count == 1:
        return max(_code(request, work) for request in requests)
    from netspec.processes import Ended, in_processes

    options = {**click.get_current_context().find_root().obj, "color": "always" if colored(sys.stderr) else "never"}
    jobs = [_Job(request, work, options) for request in requests]
    with Progress(len(jobs), shown=not requests[0].quiet) as progress:
        done = in_processes(jobs, _apart, count, lambda job: progress.step(job.request.label))
    codes = []
    for request, one in zip(requests, done, strict=True):
        if isinstance(one, Ended):
            show_error(error := one.error(request.label))
            codes.append(error.exit_code)
            continue
        for is_stdout, pieces in groupby(one.said, key=itemgetter(0)):
            text = "".join(piece for _, piece in pieces)
            if is_stdout:
                put(text)
            else:
                tell(text.removesuffix("\n"))
        codes.append(one.code)
    return max(codes)


def _code(request: Request, work: Work) -> int:
    try:
        work(request)
    except NetspecError as e:
        show_error(e)
        return e.exit_code
    return 0


@dataclass(frozen=True, slots=True)
class _Job:
    request: Request
    work: Work
    options: Mapping[str, object]
    """Those of the command line, which say how errors are printed."""

    @property
    def size(self) -> int:
        """The bytes of its file, where it names one."""
        path = Path(self.request.spec)
        return path.stat().st_size if path.is_file() else 0


@dataclass(frozen=True, slots=True)
class _Done:
    code: int
    said: list[tuple[bool, str]]
    """What it wrote, in order, and whether on stdout."""


class _Kept(io.StringIO):
    """A stream that adds what is written to that of another one."""

    def __init__(self, said: list[tuple[bool, str]], is_stdout: bool) -> None:
        super().__init__()
        self.said, self.is_stdout = said, is_stdout

    def write(self, text: str, /) -> int:
        self.said.append((self.is_stdout, text))
        return len(text)


def _apart(job: _Job) -> _Done:
    """Does a job in a process of its own; what it says is sent back."""
    said: list[tuple[bool, str]] = []
    with (
        redirect_stdout(_Kept(said, True)),
        redirect_stderr(_Kept(said, False)),
        click.Context(click.Command("netspec"), obj=job.options),
    ):
        code = _code(job.request, job.work)
    return _Done(code, said)
