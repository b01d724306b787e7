"""How far a download is, for whoever shows it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol


class Bar(Protocol):
    """Shows the bytes that are there of a file."""

    visible: bool
    """Whether anything is shown; a library that shows its own bar asks it."""

    def show(self, name: str, total: int | None) -> AbstractContextManager[Callable[[int], None]]:
        """A context for one file of so many bytes, None where nobody knows; gives what is called with their count."""


class Silent:
    """Shows nothing."""

    visible = False

    @contextmanager
    def show(self, name: str, total: int | None) -> Iterator[Callable[[int], None]]:
        """Nothing is shown."""
        yield lambda count: None
