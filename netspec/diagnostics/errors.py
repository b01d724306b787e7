"""Diagnostics: where an error is, what it is, and how to fix it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from difflib import SequenceMatcher, get_close_matches
from functools import lru_cache
from itertools import islice
from typing import Self

from netspec.diagnostics.diagnostic import (
    MAX_ERRORS,
    SHOWN_ERRORS,
    Diagnostic,
    Frame,
    Hint,
    Severity,
    Source,
    Span,
    more,
)
from netspec.diagnostics.text import as_text

MAX_KNOWN = 1_000
"""The nearest name is looked for among so many, the latest ones."""
MAX_NAME = 64
"""A longer name is like no other."""


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
        super().__init__(message, help)
        self.message, self.help = message, str(help)

    def __str__(self) -> str:
        """The message, and below it the help."""
        return f"{self.message}\nhelp: {self.help}" if self.help else self.message

    def __reduce__(self) -> tuple[object, ...]:
        return type(self), self._made_of()

    def _made_of(self) -> tuple[object, ...]:
        """What it is made of again in another process."""
        return self.message, self.help


class SpecError(NetspecError):
    """A spec has errors; `diagnostics` lists all of them, sorted by place."""

    def __init__(self, diagnostics: Iterable[Diagnostic]) -> None:
        self.diagnostics = tuple(diagnostics)
        said = [str(d) for d in self.diagnostics[:SHOWN_ERRORS]]
        super().__init__("\n".join(filter(None, (*said, self._more()))))

    def __str__(self) -> str:
        """Each error as the command line prints it: its place, the line with a caret, the calls, and help."""
        shown = [as_text(d) for d in self.diagnostics[:SHOWN_ERRORS]]
        return "\n".join(filter(None, (*shown, self._more())))

    def _more(self) -> str:
        shown = min(len(self.diagnostics), SHOWN_ERRORS)
        return more(len(self.diagnostics), shown, isinstance(self, TooManyErrors))

    def _made_of(self) -> tuple[object, ...]:
        return (self.diagnostics,)


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

    def _made_of(self) -> tuple[object, ...]:
        return self.code, self.message, self.help


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
    """A help line with the nearest known name, or the list of them, or something else."""
    names = latest(known)

    def help() -> str:
        if found := _nearest(name, names):
            return f"did you mean '{found}'?"
        if otherwise or len(names) <= 12:
            return otherwise or (f"known: {', '.join(sorted(names))}" if names else "")
        begin = [known for known in sorted(set(names)) if len(name) > 2 and known.startswith(name)]
        if 0 < len(begin) <= 4:
            return f"did you mean {' or '.join(repr(known) for known in begin)}?"
        return f"known: {listed(sorted(set(names)), 12)}"

    return Hint(help)


def check_options(given: Iterable[str], known: Iterable[str], what: str, meant: Iterable[str] = ()) -> None:
    """Raises UsageError for an option that `what` does not have; `meant` are others that may have been meant."""
    names, others = list(known), list(meant)
    for name in given:
        if name not in names:
            help = f"'{name}' is an option of other functions" if name in others else ""
            raise UsageError(f"{what} has no option '{name[:80]}'", help or did_you_mean(name, [*names, *others]))


__all__ = [
    "MAX_ERRORS",
    "SHOWN_ERRORS",
    "DataError",
    "Diagnostic",
    "Frame",
    "Hint",
    "MissingError",
    "NetspecError",
    "PluginError",
    "Reporter",
    "SemanticError",
    "Severity",
    "Source",
    "Span",
    "SpecError",
    "TooManyErrors",
    "UsageError",
    "check_options",
    "did_you_mean",
    "latest",
    "listed",
    "more",
    "nearest",
]
