"""Work on several specs in several processes; it is imported where that is asked for."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing.context import BaseContext
from multiprocessing.process import BaseProcess
from typing import Protocol, TypeVar

from netspec.diagnostics.errors import UsageError

GRACE = 10.0
"""Seconds that a process which is told to end has until it is killed."""


class Sized(Protocol):
    """Work that can be sent to another process."""

    @property
    def size(self) -> int:
        """How large it is, beside others: what is large is begun first."""


Job = TypeVar("Job", bound=Sized)
Outcome = TypeVar("Outcome")


def in_processes(
    jobs: Sequence[Job], work: Callable[[Job], Outcome], processes: int, tick: Callable[[Job], None]
) -> list[Outcome]:
    """What `work` gives of each job, in their order; `tick` is told of each that is done.

    However it ends, none that works is left behind; raises UsageError where one was ended from outside.
    """
    context = _context(work)
    if context is not None and not _main_can_be_imported():
        return [_alone(job, work, tick) for job in jobs]
    try:
        return _in_pool(jobs, work, processes, tick, context)
    except BrokenProcessPool:
        raise UsageError("a process that worked on a spec was ended", _help(context)) from None


def _in_pool(
    jobs: Sequence[Job],
    work: Callable[[Job], Outcome],
    processes: int,
    tick: Callable[[Job], None],
    context: BaseContext | None,
) -> list[Outcome]:
    """The same by processes of a context; raises BrokenProcessPool where one was ended from outside."""
    before = set(multiprocessing.active_children())
    pool = ProcessPoolExecutor(processes, context, initializer=_end_with_parent)
    try:
        order = sorted(range(len(jobs)), key=lambda place: -jobs[place].size)
        with _no_interrupt():  # of the keyboard, which is for this process alone
            futures = {pool.submit(_work, work, jobs[place]): place for place in order}
        for future in as_completed(futures):
            future.result()
            tick(jobs[futures[future]])
        done = {place: future.result() for future, place in futures.items()}
    except BrokenProcessPool:  # which has told the others to end
        raise
    except BaseException:
        _end(set(multiprocessing.active_children()) - before)
        raise
    finally:
        pool.shutdown(cancel_futures=True)
    return [done[place] for place in range(len(jobs))]


def in_fresh_process(work: Callable[[Job], Outcome], job: Job) -> Outcome | None:
    """What `work` gives of a job in a process that did nothing before; None where none can be begun, or it ended."""
    if not _main_can_be_imported():
        return None
    try:
        return _in_pool([job], work, 1, lambda job: None, _forkserver(work))[0]
    except BrokenProcessPool:
        return None


def _alone(job: Job, work: Callable[[Job], Outcome], tick: Callable[[Job], None]) -> Outcome:
    outcome = work(job)
    tick(job)
    return outcome


def _work(work: Callable[[Job], Outcome], job: Job) -> Outcome:
    """Does the work; a process that is told to end while it writes ends, once that is cleaned up.

    The pool takes the SystemExit of `files.atomic` for the outcome of the job and asks for the next, of a queue whose
    lock went with the process that held it.
    """
    try:
        return work(job)
    except SystemExit:
        os._exit(1)


def _end(children: Collection[BaseProcess]) -> None:
    """Ends processes, which have some seconds to remove what they have half written."""
    for child in children:
        child.terminate()
    last = time.monotonic() + GRACE
    for child in children:
        child.join(max(0.0, last - time.monotonic()))
    for child in children:
        child.kill()


def _help(context: BaseContext | None) -> str:
    if context is None:
        return "with a smaller -j each has more memory"
    return "with a smaller -j each has more memory; a script needs `if __name__ == '__main__':` around its call"


def _main_can_be_imported() -> bool:
    """Whether a process that is no fork finds the program again: it is none that was read from stdin."""
    path = getattr(sys.modules["__main__"], "__file__", None)
    return path is None or os.path.exists(path)


def _context(work: Callable[[Job], Outcome]) -> BaseContext | None:
    """How processes begin: as this system does it, but never as a fork of a process that has other threads.

    A lock that one of them holds would never be let go in the fork, which then waits for ever.
    """
    if multiprocessing.get_start_method() != "fork" or _threads() == 1:
        return None
    return _forkserver(work)


def _forkserver(work: Callable[[Job], Outcome]) -> BaseContext:
    """Processes that have imported what holds `work`, and nothing else; new ones where a system has no forks."""
    if "forkserver" not in multiprocessing.get_all_start_methods():
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([work.__module__])
    return context


def _threads() -> int:
    """How many threads this process has, those of libraries too where the system says it."""
    try:
        return len(os.listdir("/proc/self/task"))
    except OSError:
        return threading.active_count()


@contextmanager
def _no_interrupt() -> Iterator[None]:
    """Holds interrupts back, for good in processes that begin meanwhile."""
    if not hasattr(signal, "pthread_sigmask"):  # on Windows
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _end_with_parent() -> None:
    """Ends this process when the one that began it has ended, however that was."""
    parent = multiprocessing.parent_process()

    def wait() -> None:
        if parent is not None:
            parent.join()
            os._exit(1)

    threading.Thread(target=wait, daemon=True).start()
