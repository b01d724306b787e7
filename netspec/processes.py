"""Work on several specs in several processes; it is imported where that is asked for."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing.context import BaseContext
from typing import Protocol, TypeVar

from netspec.diagnostics.errors import UsageError


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

    However it ends, no process is left behind; raises UsageError where one was ended from outside.
    """
    before = set(multiprocessing.active_children())
    pool = ProcessPoolExecutor(processes, _context(work), initializer=_end_with_parent)
    try:
        order = sorted(range(len(jobs)), key=lambda place: -jobs[place].size)
        with _no_interrupt():  # of the keyboard, which is for this process alone
            futures = {pool.submit(work, jobs[place]): place for place in order}
        for future in as_completed(futures):
            future.result()
            tick(jobs[futures[future]])
        done = {place: future.result() for future, place in futures.items()}
    except BrokenProcessPool:
        raise UsageError(
            "a process that worked on a spec was ended", "with a smaller -j each has more memory"
        ) from None
    except BaseException:
        for child in set(multiprocessing.active_children()) - before:
            child.terminate()
        raise
    finally:
        pool.shutdown(cancel_futures=True)
    return [done[place] for place in range(len(jobs))]


def _context(work: Callable[[Job], Outcome]) -> BaseContext | None:
    """How processes begin: as this system does it, but never as a fork of a process that has other threads.

    A lock that one of them holds would never be let go in the fork, which then waits for ever.
    """
    if multiprocessing.get_start_method() != "fork" or _threads() == 1:
        return None
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
