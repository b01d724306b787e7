"""How far a command is, in a line on stderr that it takes away again; only where stderr is a terminal."""

from __future__ import annotations

import os
import shutil
import sys
import time
from types import TracebackType

from netspec.cli.output import shown

AFTER = 0.5
"""Seconds after which it is shown: what is quick says nothing."""


class Progress:
    """A count of what is done, with the name of what was done last."""

    def __init__(self, total: int, shown: bool = True) -> None:
        self.total, self.done, self.begun, self.written = total, 0, time.monotonic(), False
        self.shown = shown and total > 1 and sys.stderr.isatty() and os.environ.get("TERM") != "dumb"

    def __enter__(self) -> Progress:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.written:
            self._write("")

    def step(self, name: str) -> None:
        """One more is done."""
        self.done += 1
        if self.shown and time.monotonic() - self.begun > AFTER:
            self.written = True
            line = f"{self.done}/{self.total} {shown(name)}"
            self._write(line[: shutil.get_terminal_size().columns - 1])

    def _write(self, line: str) -> None:
        """Writes over the line; where that cannot be, nothing is shown any more."""
        encoding = sys.stderr.encoding or "utf-8"
        try:
            sys.stderr.write("\r\x1b[K" + line.encode(encoding, "backslashreplace").decode(encoding))
            sys.stderr.flush()
        except (OSError, ValueError):
            self.shown = False
