"""Diagnostics: where a mistake is, what it is, and how to mend it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from difflib import get_close_matches


@dataclass(frozen=True, slots=True, eq=False)
class Source:
    """A text that spans point into; `name` is what diagnostics print."""

    name: str
    text: str = field(repr=False)

    def line(self, number: int) -> str:
        """The text of line `number` (1-based), without its line end."""
        lines = self.text.split("\n")
        return lines[number - 1].rstrip("\r") if 1 <= number <= len(lines) else ""


@dataclass(frozen=True, slots=True)
class Span:
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
    """One call on the way to a mistake: in `block`, called at `span` as `path`."""

    block: str
    span: Span
    path: str


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """One finding, with the place, the calls that led there (innermost first) and help."""

    code: str
    message: str
    span: Span | None = None
    help: str = ""
    trace: tuple[Frame, ...] = ()
    severity: str = "error"

    def __str__(self) -> str:
        where = f"{self.span}: " if self.span else ""
        return f"{where}{self.severity}[{self.code}]: {self.message}"


class Mistake(Exception):
    """Something is wrong in a spec; whoever catches it knows the place where it has none."""

    def __init__(self, code: str, message: str, span: Span | None = None, help: str = "") -> None:
        super().__init__(message)
        self.code, self.message, self.span, self.help = code, message, span, help


class NetspecError(Exception):
    """Everything that netspec raises on purpose; `exit_code` is the process's."""

    exit_code = 1

    def __init__(self, message: str = "", help: str = "") -> None:
        super().__init__(message)
        self.help = help


class SpecError(NetspecError):
    """A spec has mistakes; `diagnostics` lists all of them, sorted by place."""

    def __init__(self, diagnostics: Iterable[Diagnostic]) -> None:
        self.diagnostics = tuple(diagnostics)
        super().__init__("\n".join(map(str, self.diagnostics)))


class UsageError(NetspecError):
    """The command line or a file name is wrong, or a file cannot be read."""

    exit_code = 2


class MissingError(NetspecError):
    """A backend, a library or a device that was asked for is not there."""

    exit_code = 3


class DataError(NetspecError):
    """Data given beside the spec (a checkpoint, an image, a model) does not fit it."""

    def __init__(self, code: str, message: str, help: str = "") -> None:
        super().__init__(message, help)
        self.code = code


@dataclass
class Reporter:
    """Collects findings; the same finding at the same place is kept once."""

    diagnostics: list[Diagnostic] = field(default_factory=list)
    errors: int = 0
    _seen: set[tuple[object, ...]] = field(default_factory=set)

    def report(self, found: Diagnostic) -> None:
        """Adds a finding, unless the same one is already there."""
        span = found.span
        key = (found.code, span and (span.file, span.line, span.col), "" if span else found.message)
        if key not in self._seen:
            self._seen.add(key)
            self.diagnostics.append(found)
            self.errors += found.severity == "error"

    def error(self, code: str, message: str, span: Span | None, help: str = "",
              trace: tuple[Frame, ...] = ()) -> None:
        """Reports an error."""
        self.report(Diagnostic(code, message, span, help, trace))

    def warning(self, code: str, message: str, span: Span | None, help: str = "",
                trace: tuple[Frame, ...] = ()) -> None:
        """Reports a warning."""
        self.report(Diagnostic(code, message, span, help, trace, "warning"))

    def note(self, code: str, message: str, span: Span | None, help: str = "") -> None:
        """Reports what a user should know and need not change; `--strict` makes no error of it."""
        self.report(Diagnostic(code, message, span, help, severity="note"))

    @property
    def failed(self) -> bool:
        """Whether an error was reported."""
        return any(d.severity == "error" for d in self.diagnostics)

    def sorted(self) -> tuple[Diagnostic, ...]:
        """The findings in the order of their places."""
        def place(d: Diagnostic) -> tuple[str, int, int]:
            return (d.span.file, d.span.line, d.span.col) if d.span else ("", 0, 0)

        return tuple(sorted(self.diagnostics, key=place))

    def strict(self) -> None:
        """Turns warnings into errors (`--strict`)."""
        self.diagnostics = [replace(d, severity="error") if d.severity == "warning" else d for d in self.diagnostics]

    def check(self) -> None:
        """Raises SpecError if an error was reported."""
        if self.failed:
            raise SpecError(self.sorted())


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The known name that is most like `name`, or None where none is close."""
    found = get_close_matches(name, list(known), n=1, cutoff=0.6)
    return found[0] if found else None


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """A help line with the nearest known name, or the list of them when it is short."""
    known = list(known)
    if found := nearest(name, known):
        return f"did you mean '{found}'?"
    return f"known: {', '.join(sorted(known))}" if 0 < len(known) <= 12 else ""
