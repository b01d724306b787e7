"""Writing files so that a failure leaves nothing half-written: beside, then renamed."""

from __future__ import annotations

import os
import signal
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

from netspec.errors import UsageError


@contextmanager
def writing(target: str | Path) -> Iterator[IO[bytes]]:
    """A binary file that takes its place under `target` when the block ends well; raises UsageError.

    The folder must be there. What stood there before stays until the new file is whole and on the disk; a link stays
    a link, its file is replaced. A device or a pipe (/dev/stdout, /dev/null) is written as it is.
    """
    try:
        path = Path(target)
        if path.is_dir():
            raise UsageError(f"{target} is a folder", "name a file in it")
        device = path.exists() and not path.is_file()
        real = Path(os.path.realpath(target))
    except (OSError, ValueError) as e:  # a name that is too long, or with a NUL
        raise _cannot(target, e) from None
    try:
        if device:
            with path.open("wb") as f:
                yield f
        else:
            with _terminable():
                yield from _beside(real)
    except BrokenPipeError:
        raise  # the reader has gone: nothing is wrong with the name
    except OSError as e:
        raise _cannot(target, e) from None


def _cannot(target: str | Path, error: Exception) -> UsageError:
    return UsageError(f"{str(target)!r} cannot be written: {getattr(error, 'strerror', None) or error}")


def _beside(path: Path) -> Iterator[IO[bytes]]:
    """Yields a new file in the folder of `path`; afterwards it is synchronised and renamed, or removed."""
    fd, name = tempfile.mkstemp(prefix=".netspec-", suffix=".part", dir=path.parent)
    try:
        with os.fdopen(fd, "wb") as f:
            yield f
            f.flush()
            os.fsync(f.fileno())
        os.chmod(name, path.stat().st_mode & 0o777 if path.exists() else 0o666 & ~_umask())
        os.replace(name, path)
    except BaseException:
        _remove(name)
        raise
    _sync_folder(path.parent)


def write_bytes(target: str | Path, data: bytes) -> Path:
    """Writes a whole file; raises UsageError."""
    with writing(target) as f:
        f.write(data)
    return Path(target)


def write_text(target: str | Path, text: str) -> Path:
    """Writes a whole file as UTF-8; raises UsageError."""
    return write_bytes(target, text.encode("utf-8"))


def _remove(name: str) -> None:
    with suppress(FileNotFoundError):  # renamed already
        os.unlink(name)


def _sync_folder(folder: Path) -> None:
    """Puts a rename on the disk where the system lets folders be opened; elsewhere it does so in its own time."""
    if os.name == "posix":
        with suppress(OSError):
            fd = os.open(folder, os.O_RDONLY)
            try:
                os.fsync(fd)
            finally:
                os.close(fd)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


@contextmanager
def _terminable() -> Iterator[None]:
    """SIGTERM ends the program through its clean-up, as SIGINT does; outside the main thread it stays as it is."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(number: int, frame: Any) -> None:
        raise SystemExit(128 + number)

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
