"""A command that does the same for each of many specs, in one process or several."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
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
    from netspec.processes import in_processes

    options = {**click.get_current_context().find_root().obj, "color": "always" if colored(sys.stderr) else "never"}
    jobs = [_Job(request, work, options) for request in requests]
    with Progress(len(jobs), shown=not requests[0].quiet) as progress:
        done = in_processes(jobs, _apart, count, lambda job: progress.step(job.request.label))
    for one in done:
        if one.out:
            put(one.out)
        if one.err:
            tell(one.err.removesuffix("\n"))
    return max(one.code for one in done)


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
    out: str
    err: str


def _apart(job: _Job) -> _Done:
    """Does a job in a process of its own; what it says is sent back."""
    with (
        redirect_stdout(io.StringIO()) as out,
        redirect_stderr(io.StringIO()) as err,
        click.Context(click.Command("netspec"), obj=job.options),
    ):
        code = _code(job.request, job.work)
    return _Done(code, out.getvalue(), err.getvalue())
