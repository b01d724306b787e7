"""A bar on stderr for downloads, where that is a terminal."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager


class DownloadBar:
    """Bytes, their rate and the time that is left, in a line that goes when the file is there."""

    def __init__(self, quiet: bool) -> None:
        self.visible = not quiet and sys.stderr.isatty() and os.environ.get("TERM") != "dumb"

    @contextmanager
    def show(self, name: str, total: int | None) -> Iterator[Callable[[int], None]]:
        """A context for one file; gives what is called with the bytes that are there."""
        if not self.visible:
            yield lambda count: None
            return
        from rich.console import Console
        from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn
        from rich.progress import TransferSpeedColumn as Speed

        columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), Speed(), TimeRemainingColumn())
        with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
            task = progress.add_task(name, total=total)
            yield lambda count: progress.update(task, completed=count)
