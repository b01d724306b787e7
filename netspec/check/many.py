"""Checking one file of several: what is asked of it, and what was found, which other processes can send."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

from netspec.check.check_file import checked
from netspec.check.printed import Held
from netspec.diagnostics.errors import Diagnostic, Reporter, UsageError
from netspec.syntax.library import Found


@dataclass(frozen=True, slots=True)
class Job:
    """A file to check, and how."""

    spec: Path | Found
    variant: str | None
    include: tuple[Path, ...]
    max_nodes: int
    hints: int
    """Of so many diagnostics, those that are printed, another process works out the help lines."""

    @property
    def size(self) -> int:
        """Its bytes, as far as they can be known: what is large is begun first."""
        with suppress(OSError):
            data = self.spec.data if isinstance(self.spec, Found) else None
            path = self.spec.path if isinstance(self.spec, Found) else self.spec
            return len(data) if data is not None else path.stat().st_size
        return 0


@dataclass(slots=True)
class Outcome:
    """What was found in a file."""

    diagnostics: list[Diagnostic] = field(default_factory=list)
    held: list[Held] = field(default_factory=list)
    networks: int = 0
    stopped: bool = False
    """Whether the file has so many errors that checking it stopped."""
    unread: tuple[str, str] | None = None
    """Why it cannot be read, and what helps."""


def outcome(job: Job) -> Outcome:
    """Checks a file."""
    own = Reporter()
    try:
        found = checked(job.spec, own, job.include, job.variant, job.max_nodes)
    except UsageError as e:
        return Outcome(unread=(e.message, e.help))
    warnings = [d for network in found.networks for d in network.warnings]
    return Outcome([*own.diagnostics, *warnings], found.held, found.count, own.errors >= own.limit)


def plain_outcome(job: Job) -> Outcome:
    """An outcome that can be sent to another process: its help lines are texts."""
    found = outcome(job)
    shown = _first(found.diagnostics, job.hints, lambda d: d.severity == "error")
    shown |= _first(found.diagnostics, job.hints, lambda d: d.severity != "note")  # with --strict
    found.diagnostics = [replace(d, hint=d.help if id(d) in shown else "") for d in found.diagnostics]
    return found


def _first(diagnostics: Iterable[Diagnostic], most: int, first: Callable[[Diagnostic], bool]) -> set[int]:
    """The diagnostics that are printed, where some kinds come first."""
    in_order = sorted(Reporter([*diagnostics]).sorted(), key=lambda d: not first(d))
    return {id(d) for d in in_order[:most]}
