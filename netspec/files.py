"""Writing files so that a failure leaves nothing half-written: beside, then renamed."""

from __future__ import annotations

import os
import signal
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from netspec.errors import UsageError


@contextmanager
def writing(target: str | Path) -> Iterator[IO[bytes]]:
    """A binary file that takes its place under `target` when the block ends well; raises UsageError.

    The folder must be there. What stood there before stays until the new file is whole and on the disk.
    """
    path = Path(target)
    if path.is_dir():
        raise UsageError(f"{path} is a folder", "name a file in it")
    try:
        fd, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".part", dir=path.parent)
    except OSError as e:
        raise UsageError(f"{path} cannot be written: {e.strerror}") from None
    with _terminable():
        try:
            with os.fdopen(fd, "wb") as f:
                yield f
                f.flush()
                os.fsync(f.fileno())
            os.chmod(name, path.stat().st_mode & 0o777 if path.exists() else 0o666 & ~_umask())
            os.replace(name, path)
        except OSError as e:
            _remove(name)
            raise UsageError(f"{path} cannot be written: {e.strerror or e}") from None
        except BaseException:
            _remove(name)
            raise


def write_bytes(target: str | Path, data: bytes) -> Path:
    """Writes a whole file; raises UsageError."""
    with writing(target) as f:
        f.write(data)
    return Path(target)


def write_text(target: str | Path, text: str) -> Path:
    """Writes a whole file as UTF-8; raises UsageError."""
    return write_bytes(target, text.encode("utf-8"))


def _remove(name: str) -> None:
    try:
        os.unlink(name)
    except FileNotFoundError:
        pass  # renamed already


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
