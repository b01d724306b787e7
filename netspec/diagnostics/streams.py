"""The standard streams as they may be: closed, full, or with nobody at the other end."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from typing import IO

from netspec.diagnostics.errors import UsageError


def prepare() -> None:
    """Takes the places of closed streams, so that no file that is opened later becomes stdout or stderr.

    Raises UsageError where stdout is closed: results would be lost.
    """
    if any(stream is None for stream in (sys.stdin, sys.stdout, sys.stderr)):
        for number in (0, 1, 2):
            try:
                os.fstat(number)
            except OSError:
                os.open(os.devnull, os.O_RDWR)  # the lowest free number is this one
    if not _open(sys.stderr):
        sys.stderr = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115 - it stays open to the end
    if not _open(sys.stdout):
        raise UsageError("stdout is closed", "redirect it to a file, or to /dev/null")


def _open(stream: IO[str] | None) -> bool:
    return stream is not None and not getattr(stream, "closed", False)


def tell(text: str, stream: IO[str] | None = None) -> None:
    """Writes a line on stderr; characters that it cannot hold are escaped, and where it cannot be written nothing is.

    That nobody can read a message changes nothing of what a command does, its exit code included.
    """
    stream = stream or sys.stderr
    encoding = getattr(stream, "encoding", None) or "utf-8"
    try:
        stream.write(text.encode(encoding, "backslashreplace").decode(encoding) + "\n")
        stream.flush()
    except (OSError, ValueError):
        silence(stream)


def put(text: str) -> None:
    """Writes a result on stdout; raises UsageError where that cannot be, BrokenPipeError where nobody reads it."""
    encoding = sys.stdout.encoding or "utf-8"
    try:
        sys.stdout.write(text.encode(encoding, "backslashreplace").decode(encoding))
        if not text.endswith("\n"):
            sys.stdout.write("\n")
        sys.stdout.flush()
    except BrokenPipeError:
        raise
    except OSError as e:
        silence(sys.stdout)
        raise UsageError(f"stdout cannot be written: {e.strerror or e}") from None


def silence(stream: IO[str]) -> None:
    """Lets what cannot be written any more go nowhere, so that Python does not fail over it at its end."""
    try:
        stream.flush()
        return
    except (OSError, ValueError):
        pass
    with suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)
