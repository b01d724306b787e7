"""Diagnostics: where an error is, what it is, and how to fix it."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from difflib import SequenceMatcher, get_close_matches
from functools import lru_cache
from itertools import islice
from typing import Literal, NamedTuple, Self, TypeAlias

MAX_ERRORS = 1_000
"""Checking a document stops at so many errors."""
SHOWN_ERRORS = 100
"""So many errors and warnings are printed where --max-errors says nothing else."""
MAX_KNOWN = 1_000
"""The nearest name is looked for among so many, the latest ones."""
MAX_NAME = 64
"""A longer name is like no other."""


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


class SemanticError(Exception):
    """Something is wrong in a spec; whoever catches it knows the place where it has none."""

    def __init__(self, code: str, message: str, span: Span | None = None, help: str | Hint = "") -> None:
        super().__init__(message)
        self.code, self.message, self.span, self.help = code, message, span, help
        self.placed = False
        """Whether the message says in which iteration of a loop it is."""

    def at(self, span: Span) -> Self:
        """The error with a place, if it has none."""
        self.span = self.span or span
        return self


class NetspecError(Exception):
    """Everything that netspec raises on purpose; `exit_code` is the process's."""

    exit_code = 1
    options: Mapping[str, object] = {}
    """Of the command line that it ended, where that says how it is printed."""

    def __init__(self, message: str = "", help: str | Hint = "") -> None:
        super().__init__(message)
        self.help = str(help)


class SpecError(NetspecError):
    """A spec has errors; `diagnostics` lists all of them, sorted by place."""

    def __init__(self, diagnostics: Iterable[Diagnostic]) -> None:
        self.diagnostics = tuple(diagnostics)
        said = [str(d) for d in self.diagnostics[:SHOWN_ERRORS]]
        if rest := more(len(self.diagnostics), len(said), isinstance(self, TooManyErrors)):
            said.append(rest)
        super().__init__("\n".join(said))


class TooManyErrors(SpecError):
    """So many errors are found that checking stops."""


class UsageError(NetspecError):
    """The command line or a file name is wrong, or a file cannot be read."""

    exit_code = 2


class MissingError(NetspecError):
    """A backend, a library or a device that was asked for is not there."""

    exit_code = 3


class PluginError(NetspecError):
    """An op or a backend from outside does what its contract does not allow."""

    exit_code = 4


class DataError(NetspecError):
    """Data given with the spec (a checkpoint, an image, a model) does not fit it."""

    def __init__(self, code: str, message: str, help: str = "") -> None:
        super().__init__(message, help)
        self.code = code


@dataclass
class Reporter:
    """Collects errors and warnings, up to `limit` of both; the same one at the same place is kept once."""

    diagnostics: list[Diagnostic] = field(default_factory=list)
    limit: int = MAX_ERRORS
    _seen: set[tuple[object, ...]] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.errors = sum(d.severity == "error" for d in self.diagnostics)

    def report(self, diagnostic: Diagnostic) -> None:
        """Adds an error or warning, unless the same one is already there; raises TooManyErrors."""
        span = diagnostic.span
        key = (diagnostic.code, span and (span.file, span.line, span.col), "" if span else diagnostic.message)
        if key in self._seen:
            return
        if diagnostic.severity != "error" and len(self.diagnostics) - self.errors >= self.limit:
            return
        self._seen.add(key)
        self.diagnostics.append(diagnostic)
        if diagnostic.severity == "error":
            self.errors += 1
            if self.errors >= self.limit:
                raise TooManyErrors(self.sorted())

    def error(
        self, code: str, message: str, span: Span | None, help: str | Hint = "", trace: tuple[Frame, ...] = ()
    ) -> None:
        """Reports an error."""
        self.report(Diagnostic(code, message, span, help, trace))

    def warning(
        self, code: str, message: str, span: Span | None, help: str | Hint = "", trace: tuple[Frame, ...] = ()
    ) -> None:
        """Reports a warning."""
        self.report(Diagnostic(code, message, span, help, trace, "warning"))

    def note(self, code: str, message: str, span: Span | None, help: str | Hint = "") -> None:
        """Reports what a user should know and need not change; `--strict` makes no error of it."""
        self.report(Diagnostic(code, message, span, help, severity="note"))

    @property
    def failed(self) -> bool:
        """Whether an error was reported."""
        return self.errors > 0

    def sorted(self) -> tuple[Diagnostic, ...]:
        """The diagnostics in the order of their places."""

        def place(d: Diagnostic) -> tuple[str, int, int]:
            return (d.span.file, d.span.line, d.span.col) if d.span else ("", 0, 0)

        return tuple(sorted(self.diagnostics, key=place))

    def strict(self) -> None:
        """Turns warnings into errors (`--strict`)."""
        self.diagnostics = [replace(d, severity="error") if d.severity == "warning" else d for d in self.diagnostics]
        self.errors = sum(d.severity == "error" for d in self.diagnostics)

    def check(self) -> None:
        """Raises SpecError if an error was reported."""
        if self.failed:
            raise SpecError(self.sorted())


def more(found: int, shown: int, stopped: bool) -> str:
    """What stands below the errors and warnings that are printed, of those that are not."""
    left = f"and {found - shown:,} more (--max-errors {found} prints them)" if found > shown else ""
    return "; ".join(filter(None, (left, f"checking stopped at {MAX_ERRORS:,} errors" if stopped else "")))


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The known name that is most like `name`, or None where none is close."""
    return _nearest(name, latest(known))


@lru_cache(maxsize=1024)
def _nearest(name: str, known: tuple[str, ...]) -> str | None:
    if len(name) > MAX_NAME:
        return None
    # As difflib's ratio allows: 2 * shorter / (shorter + longer) is at least 0.6.
    short, long = len(name) * 3 / 7, len(name) * 7 / 3
    found = get_close_matches(name, [k for k in known if short <= len(k) <= long], n=3, cutoff=0.6)
    # Of names that are as much like it, one that begins like it: 'ad' is 'add', not 'pad'.
    like = [SequenceMatcher(None, k, name).ratio() for k in found]
    begin = (k for k, ratio in zip(found, like, strict=True) if ratio == like[0] and k[0] == name[0])
    return next(begin, found[0]) if found else None


def latest(known: Iterable[str]) -> tuple[str, ...]:
    """At most MAX_KNOWN of the names: the last ones of a list or mapping, the first ones of anything else."""
    if isinstance(known, (Sequence, Mapping)) and len(known) > MAX_KNOWN:
        return tuple(islice(reversed(known), MAX_KNOWN))
    return tuple(islice(known, MAX_KNOWN))


def listed(names: Sequence[str], most: int = 20) -> str:
    """Names with commas between them; of many, the first ones."""
    return ", ".join(names[:most]) + (", ..." if len(names) > most else "")


def did_you_mean(name: str, known: Iterable[str], otherwise: str = "") -> Hint:
    """A help line with the nearest known name, or the list of them when it is short, or something else."""
    names = latest(known)

    def help() -> str:
        if found := _nearest(name, names):
            return f"did you mean '{found}'?"
        return otherwise or (f"known: {', '.join(sorted(names))}" if 0 < len(names) <= 12 else "")

    return Hint(help)
