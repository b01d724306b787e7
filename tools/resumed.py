"""Long proofs, a row for each network: each is kept in a file as it comes, so that a run that was cut off goes on."""

from __future__ import annotations

import json
import multiprocessing
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

Task = TypeVar("Task")
Row = TypeVar("Row", bound=Mapping[str, Any])


def kept(file: Path) -> dict[str, Any]:
    """The rows in a file by their network, the last of each."""
    lines = file.read_text(encoding="utf-8").splitlines() if file.exists() else []
    return {row["network"]: row for row in map(json.loads, lines)}


def worked(work: Callable[[Task], Row], tasks: Sequence[Task], jobs: int, until: float, file: Path) -> Iterator[Row]:
    """What the tasks give in processes, written to a file as it comes; none is waited for after a monotonic time."""
    file.parent.mkdir(exist_ok=True)
    with multiprocessing.get_context("spawn").Pool(jobs, maxtasksperchild=16) as pool:
        coming = pool.imap_unordered(work, tasks)
        for _ in tasks:
            try:
                row = coming.next(max(0.0, min(until - time.monotonic(), threading.TIMEOUT_MAX)))
            except multiprocessing.TimeoutError:
                return
            with file.open("a", encoding="utf-8") as lines:
                print(json.dumps(row), file=lines)
            yield row
