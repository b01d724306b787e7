"""Work on several specs in several processes; it is imported where that is asked for."""

from __future__ import annotations

import multiprocessing
import os
import pickle
import signal
import sys
import threading
import time
import traceback
from collections import deque
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing import connection
from multiprocessing.context import BaseContext
from multiprocessing.process import BaseProcess
from multiprocessing.reduction import ForkingPickler
from typing import Generic, Protocol, TypeVar

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


@dataclass(frozen=True, slots=True)
class Ended:
    """In place of the outcome of a job: the process that had it was ended, by whom or by what."""

    how: str

    def error(self, name: str) -> UsageError:
        """The error of what the job was about."""
        help = MEMORY if self.how in OUT_OF_MEMORY else "run it without -j, which shows what ends it"
        return UsageError(f"{name}: a process that worked on a spec was ended{self.how}", help)


NO_MEMORY = ": it had no memory left"
OUT_OF_MEMORY = (NO_MEMORY, " by SIGKILL")
"""How a process ends that finds no memory, by itself or by the system."""


class _NoneToBlame(Exception):
    """A process was ended before it had a job."""


def in_processes(
    jobs: Sequence[Job], work: Callable[[Job], Outcome], processes: int, tick: Callable[[Job], None]
) -> list[Outcome | Ended]:
    """What `work` gives of each job, in their order; `tick` is told of each that is done.

    A process that is ended from outside takes its job along and no other. However it ends, none that works is left
    behind; raises what `work` raises, and UsageError where a process was ended before it had a job.
    """
    context = _context(work)
    if context is not None and not _main_can_be_imported():
        return [_alone(job, work, tick) for job in jobs]
    try:
        return _in_pool(jobs, work, processes, tick, context)
    except _NoneToBlame:
        raise UsageError("a process that worked on a spec was ended", _help(context)) from None


class _Worker(Generic[Job, Outcome]):
    """A process with a pipe of its own, so that it shares no lock that would go with another one."""

    def __init__(self, work: Callable[[Job], Outcome], context: BaseContext | None) -> None:
        self.place: int | None = None
        """Of the job that it has."""
        self.pipe, theirs = multiprocessing.Pipe()
        with _no_interrupt():  # of the keyboard, which is for this process alone
            self.process = (context or multiprocessing.get_context()).Process(target=_serve, args=(theirs, work))  # type: ignore[attr-defined]
            self.process.start()
        theirs.close()

    def begin(self, place: int, job: Job) -> None:
        """Gives it a job; that it is gone is seen when it is to be heard."""
        self.place = place
        with suppress(OSError):
            self.pipe.send(job)

    def receive(self) -> Outcome | Ended:
        """What it has sent, which says that it has begun where it has no job; raises what its job raised."""
        try:
            found, error = self.pipe.recv()
        except (EOFError, OSError):  # OSError is of a part of an outcome
            self.process.join()
            if self.place is None:
                raise _NoneToBlame from None
            return Ended(_how(self.process.exitcode))
        if error is not None:
            raise error
        outcome: Outcome | Ended = found
        return outcome

    def stop(self) -> None:
        """Lets it end by itself."""
        with suppress(OSError):
            self.pipe.send(None)


def _in_pool(
    jobs: Sequence[Job],
    work: Callable[[Job], Outcome],
    processes: int,
    tick: Callable[[Job], None],
    context: BaseContext | None,
) -> list[Outcome | Ended]:
    """The same by processes of a context; raises _NoneToBlame where one was ended before it had a job."""
    left = deque(sorted(range(len(jobs)), key=lambda place: -jobs[place].size))
    done: dict[int, Outcome | Ended] = {}
    workers: list[_Worker[Job, Outcome]] = []
    resting: list[_Worker[Job, Outcome]] = []
    before = set(multiprocessing.active_children())
    try:
        while len(done) < len(jobs):
            while len(workers) < min(processes, len(left) + sum(one.place is not None for one in workers)):
                workers.append(_Worker(work, context))
            waited = connection.wait([one.pipe for one in workers])
            for worker in [one for one in workers if one.pipe in waited]:
                outcome = worker.receive()
                if worker.place is not None:
                    done[worker.place] = outcome
                    tick(jobs[worker.place])
                    worker.place = None
                if left and worker.process.is_alive():
                    place = left.popleft()
                    worker.begin(place, jobs[place])
                else:  # how it ends, once it has no job, is no matter
                    workers.remove(worker)
                    resting.append(worker)
                    worker.stop()
        for worker in [*resting, *workers]:
            worker.stop()
            worker.process.join()
    except BaseException:
        _end(set(multiprocessing.active_children()) - before)
        raise
    finally:
        for worker in [*resting, *workers]:
            worker.pipe.close()
    return [done[place] for place in range(len(jobs))]


def in_fresh_process(work: Callable[[Job], Outcome], job: Job) -> Outcome | None:
    """What `work` gives of a job in a process that did nothing before; None where none can be begun, or it ended."""
    if not _main_can_be_imported():
        return None
    try:
        found = _in_pool([job], work, 1, lambda job: None, _forkserver(work))[0]
    except _NoneToBlame:
        return None
    return None if isinstance(found, Ended) else found


def _alone(job: Job, work: Callable[[Job], Outcome], tick: Callable[[Job], None]) -> Outcome:
    outcome = work(job)
    tick(job)
    return outcome


def _serve(pipe: connection.Connection, work: Callable[[Job], Outcome]) -> None:
    """Does jobs as they come; says first that it has begun.

    A process that is told to end while it writes ends, once that is cleaned up: it does not ask for the next job.
    """
    _end_with_parent()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # which a system without masks, or a server begun before, lets through
    with suppress(EOFError, BrokenPipeError, ConnectionResetError):  # the parent has ended
        pipe.send((None, None))
        while (job := pipe.recv()) is not None:
            pipe.send_bytes(_answer(work, job))


def _answer(work: Callable[[Job], Outcome], job: Job) -> memoryview:
    """The outcome of a job and what it raised, as they are sent; what cannot be sent is an error that says so."""
    try:
        return ForkingPickler.dumps((work(job), None))
    except SystemExit:
        os._exit(1)
    except MemoryError:
        return ForkingPickler.dumps((Ended(NO_MEMORY), None))
    except Exception as e:  # noqa: BLE001 - who asked for it is told
        said = "".join(traceback.format_exception(e))
        e.add_note(said)
        try:
            pickle.loads(sent := ForkingPickler.dumps((None, e)))
        except Exception:  # noqa: BLE001 - a class of a library may be made of other arguments than its message
            return ForkingPickler.dumps((None, RuntimeError(said)))
        return sent


def _how(code: int | None) -> str:
    """How a process has ended."""
    try:
        return f" by {signal.Signals(-(code or 0)).name}"
    except ValueError:
        return f" with exit code {code}"


def _end(children: Collection[BaseProcess]) -> None:
    """Ends processes, which have some seconds to remove what they have half written."""
    for child in children:
        child.terminate()
    last = time.monotonic() + GRACE
    for child in children:
        child.join(max(0.0, last - time.monotonic()))
    for child in children:
        child.kill()


MEMORY = "with a smaller -j each has more memory"


def _help(context: BaseContext | None) -> str:
    return MEMORY if context is None else f"{MEMORY}; a script needs `if __name__ == '__main__':` around its call"


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
