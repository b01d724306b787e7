"""File operations that fail, or end the process, when their turn comes; for tools/faults.py."""

from __future__ import annotations

import builtins
import errno
import io
import os
import signal
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ERRORS = {"ENOSPC": errno.ENOSPC, "EIO": errno.EIO}
GROWING = ("open", "write", "fsync", "link", "rename")
"""What a full disk refuses; files can still be removed there."""


@dataclass(frozen=True)
class Plan:
    """What happens at the `number`-th operation on files below a folder, counted from 1; 0 counts alone."""

    number: int = 0
    error: str = ""
    """ENOSPC or EIO; empty is SIGKILL."""
    lasting: bool = False
    """Whether everything that needs space fails from there on."""
    after: bool = False
    """Whether the operation is done before the process is killed."""


class Faults:
    """Replaces what Python does with files in this process, for good: it is for a process that ends with the trial."""

    def __init__(self, folders: list[Path], plan: Plan) -> None:
        self.folders, self.plan, self.count = [os.path.realpath(f) for f in folders], plan, 0
        self.kinds: list[str] = []
        opens, fdopen = io.open, os.fdopen
        os.open = self._of_paths("open", os.open)
        for name in ("link", "replace", "rename"):
            setattr(os, name, self._of_paths("rename" if name != "link" else name, getattr(os, name)))
        for name in ("unlink", "remove", "chmod", "utime", "listdir", "scandir", "lstat", "mkdir", "rmdir"):
            setattr(os, name, self._of_paths(name, getattr(os, name)))
        os.fsync = lambda handle: self._tick("fsync", lambda: _FSYNC(handle))

        def opened(path: Any, mode: str = "r", *args: Any, **kwargs: Any) -> Any:
            if not isinstance(path, int) and self._below(path):
                return self._tick("open", lambda: opens(path, mode, *args, **kwargs))
            return opens(path, mode, *args, **kwargs)

        def handled(handle: int, mode: str = "r", *args: Any, **kwargs: Any) -> Any:
            if mode == "wb":
                return io.BufferedWriter(_Raw(handle, self))
            return fdopen(handle, mode, *args, **kwargs)

        io.open = builtins.open = opened
        os.fdopen = handled

    def _below(self, path: Any) -> bool:
        try:
            real = os.path.abspath(os.fspath(path))
        except (TypeError, ValueError):
            return False
        return any(f"{real}{os.sep}".startswith(f"{folder}{os.sep}") for folder in self.folders)

    def _of_paths(self, kind: str, operation: Callable[..., Any]) -> Callable[..., Any]:
        def run(*args: Any, **kwargs: Any) -> Any:
            if args and self._below(args[0]):
                return self._tick(kind, lambda: operation(*args, **kwargs))
            return operation(*args, **kwargs)

        return run

    def _tick(self, kind: str, operation: Callable[[], Any], part: Callable[[], Any] = lambda: None) -> Any:
        self.count += 1
        self.kinds.append(kind)
        plan = self.plan
        due = self.count == plan.number or plan.lasting and self.count > plan.number > 0 and kind in GROWING
        if not due:
            return operation()
        if plan.error:
            part()
            raise OSError(ERRORS[plan.error], os.strerror(ERRORS[plan.error]))
        if plan.after:
            operation()
        else:
            part()
        os.kill(os.getpid(), signal.SIGKILL)
        return None

    def write(self, operation: Callable[[Any], int], data: Any) -> Any:
        """A write, of which half is done where it fails."""
        return self._tick("write", lambda: operation(data), lambda: operation(memoryview(data)[: len(data) // 2]))


_FSYNC = os.fsync


class _Raw(io.FileIO):
    def __init__(self, handle: int, faults: Faults) -> None:
        super().__init__(handle, "wb")
        self.faults = faults

    def write(self, data: Any) -> int:
        return int(self.faults.write(super().write, data))
