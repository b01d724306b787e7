"""Reads what a program writes to a terminal, for so long and no longer."""

from __future__ import annotations

import os
import select
import time


def shown_on(terminal: int, seconds: float = 60) -> bytes:
    """All that is written to the other end of a pseudo-terminal until nothing has it open."""
    said, end = b"", time.monotonic() + seconds
    while select.select([terminal], [], [], max(0, end - time.monotonic()))[0]:
        try:
            piece = os.read(terminal, 4096)
        except OSError:  # how Linux says that the other end is closed
            return said
        if not piece:
            return said
        said += piece
    raise AssertionError(f"after {seconds} s the terminal is still open: {said.decode(errors='replace')}")
