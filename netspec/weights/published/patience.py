"""Calls of a library that may wait without end, and are waited for as long as something comes."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from netspec.weights.published import download
from netspec.weights.published.connect import Slow

T = TypeVar("T")
STEP = 0.2
"""Seconds between two looks at what came."""


def in_time(call: Callable[[], T], folder: Path) -> T:
    """What a call gives, as long as the files of a folder grow as those of a download have to; raises Slow.

    A library's own limits are of each read: it waits without end for a server that gives a byte now and then, and for
    its lock. What it still does when it is given up ends with the process.
    """
    given, failed = list[T](), list[BaseException]()

    def run() -> None:
        try:
            given.append(call())
        except BaseException as e:  # noqa: BLE001 - raised again by who waits
            failed.append(e)

    thread = threading.Thread(target=run, name="netspec-download", daemon=True)
    thread.start()
    size, since = _size(folder), time.monotonic()
    while thread.is_alive():
        thread.join(STEP)
        if time.monotonic() - since >= download.STILL:
            now = _size(folder)
            if now - size < download.LEAST and thread.is_alive():
                raise Slow(f"{max(0, now - size):,} bytes came in {download.STILL:g} s, which is too little")
            size, since = now, time.monotonic()
    for error in failed:
        raise error
    return given[0]


def _size(folder: Path) -> int:
    """The bytes on the disk of all files below a folder."""
    found = 0
    for where, _, names in os.walk(folder):
        for name in names:
            try:
                found += os.lstat(os.path.join(where, name)).st_size
            except OSError:  # renamed meanwhile
                continue
    return found
