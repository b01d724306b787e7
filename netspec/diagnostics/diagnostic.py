"""An error or warning of a spec: a place in its text, the calls that led there, and help."""

from __future__ import annotations

from array import array
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal, NamedTuple, TypeAlias

MAX_ERRORS = 1_000
"""Checking a document stops at so many errors."""
SHOWN_ERRORS = 100
"""So many errors and warnings are printed where --max-errors says nothing else."""


@dataclass(frozen=True, slots=True, eq=False)
class Source:
    """A text that spans point into; `name` is what diagnostics print."""

    name: str
    text: str = field(repr=False)
    _starts: array[int] = field(default_factory=lambda: array("l"), init=False, repr=False)

    def line(self, number: int) -> str:
        """The text of line `number` (1-based), without its line end."""
        starts = self.starts
        if not 1 <= number < len(starts):
            return ""
        return self.text[starts[number - 1] : starts[number] - 1].rstrip("\r")

    @property
    def starts(self) -> array[int]:
        """Where each line begins, and where one after the last would."""
        if not self._starts:
            self._starts.append(0)
            at = self.text.find("\n")
            while at >= 0:
                self._starts.append(at + 1)
                at = self.text.find("\n", at + 1)
            self._starts.append(len(self.text) + 1)
        return self._starts


class Span(NamedTuple):
    """A stretch of a source; lines and columns count from 1, the end is exclusive."""

    source: Source
    line: int
    col: int
    end_line: int
    end_col: int

    @property
    def file(self) -> str:
        """The name of the file."""
        return self.source.name

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.col}"


@dataclass(frozen=True, slots=True)
class Frame:
    """One call on the way to an error: in `block`, called at `span` as `path`."""

    block: str
    span: Span
    path: str


class Hint:
    """A help line that is worked out when it is shown, so that a thousand errors do not look for a thousand names."""

    __slots__ = ("_make", "_text")

    def __init__(self, make: Callable[[], str]) -> None:
        self._make: Callable[[], str] | None = make
        self._text = ""

    def __str__(self) -> str:
        if self._make is not None:
            self._text = self._make()
            self._make = None
        return self._text

    def __contains__(self, text: str) -> bool:
        return text in str(self)


Severity: TypeAlias = Literal["error", "warning", "note"]


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """One error or warning, with the place, the calls that led there (innermost first) and help."""

    code: str
    message: str
    span: Span | None = None
    hint: str | Hint = ""
    trace: tuple[Frame, ...] = ()
    severity: Severity = "error"

    @property
    def help(self) -> str:
        """The help line, or nothing."""
        return str(self.hint)

    def __str__(self) -> str:
        where = f"{self.span}: " if self.span else ""
        return f"{where}{self.severity}[{self.code}]: {self.message}"


def more(found: int, shown: int, stopped: bool) -> str:
    """What stands below the errors and warnings that are printed, of those that are not."""
    left = f"and {found - shown:,} more (--max-errors {found} prints them)" if found > shown else ""
    return "; ".join(filter(None, (left, f"checking stopped at {MAX_ERRORS:,} errors" if stopped else "")))
