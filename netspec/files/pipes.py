"""The bytes of specs: from files, and from stdin and pipes, which can be read only once; where a pipe is none."""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from pathlib import Path

from netspec.diagnostics.errors import UsageError

MAX_BYTES = 4 * 2**20
"""What a spec may take; one byte more is read, to tell a spec that is larger."""

STDIN = ("-", "/dev/stdin", "/dev/fd/0", "/proc/self/fd/0")

_inputs: ContextVar[set[tuple[int, int]] | None] = ContextVar("inputs", default=None)
_kept: ContextVar[dict[object, bytes] | None] = ContextVar("kept", default=None)


@contextmanager
def read_once() -> Iterator[None]:
    """Around one command line, which may name the same pipe twice, and must not overwrite what it reads."""
    kept, inputs = _kept.set({}), _inputs.set(set())
    try:
        yield
    finally:
        _kept.reset(kept)
        _inputs.reset(inputs)


def is_read(file: str | Path | int) -> None:
    """Notes that a file is an input of the command line, so that no output takes its place."""
    inputs = _inputs.get()
    if inputs is not None:
        with suppress(OSError, ValueError):
            found = os.stat(file)
            inputs.add((found.st_dev, found.st_ino))


def keep_inputs(target: Path) -> None:
    """Raises UsageError where a file that is to be written is an input of the command line."""
    inputs = _inputs.get()
    if inputs:
        with suppress(OSError, ValueError):
            found = os.stat(target)
            if (found.st_dev, found.st_ino) in inputs and stat.S_ISREG(found.st_mode):
                raise UsageError(f"{target} is read by this command, and would be overwritten", "name another with -o")


def check_file(path: str | Path, help: str = "", name: str = "") -> None:
    """Raises UsageError for what is not a regular file; a pipe would be waited for without end when it is opened."""
    path, shown = Path(path), name or str(path)
    try:
        if not path.is_file():
            why = f"{shown} is not a file, but {'a folder' if path.is_dir() else 'a pipe or a device'}"
            raise UsageError(why if path.exists() else f"there is no file {shown}", help)
    except (OSError, ValueError) as e:  # a name that is too long, or with a NUL
        raise UsageError(f"{shown} cannot be read: {getattr(e, 'strerror', None) or e}", help) from None


def from_file(path: Path, name: str) -> bytes:
    """What a file holds, as far as a spec may be large; raises UsageError."""
    try:
        check_file(path, name=name)
        is_read(path)
        with path.open("rb") as f:
            return f.read(MAX_BYTES + 1)
    except (OSError, ValueError) as e:
        raise UsageError(f"{name} cannot be read: {getattr(e, 'strerror', None) or e}") from None


def from_stdin() -> bytes:
    """Reads stdin to its end, but no further than the largest spec; raises UsageError."""

    def read() -> bytes:
        if sys.stdin is None or sys.stdin.closed:
            raise UsageError("stdin is closed", "name a file in place of -")
        binary = getattr(sys.stdin, "buffer", None)
        if binary is None:  # a stream that only has text
            return sys.stdin.read(MAX_BYTES + 1).encode("utf-8", "surrogatepass")
        data: bytes = binary.read(MAX_BYTES + 1)
        return data

    return _keep("-", "<stdin>", read)


def from_pipe(path: Path) -> bytes | None:
    """What a pipe gives, such as bash's <(...); None for a path that is none; raises UsageError."""
    found = os.stat(path)
    if not stat.S_ISFIFO(found.st_mode):
        return None

    def read() -> bytes:
        with path.open("rb") as f:
            return f.read(MAX_BYTES + 1)

    return _keep((found.st_dev, found.st_ino), str(path), read)


def _keep(key: object, name: str, read: Callable[[], bytes]) -> bytes:
    kept = _kept.get()
    if kept is not None and key in kept:
        return kept[key]
    try:
        data = read()
    except (OSError, ValueError) as e:
        raise UsageError(f"{name} cannot be read: {getattr(e, 'strerror', None) or e}") from None
    if kept is not None:
        kept[key] = data
    return data
