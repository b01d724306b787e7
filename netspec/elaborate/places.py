"""Places: where in the graph something is made, and under which prefix its weights live."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from netspec.diagnostics.errors import Span
from netspec.elaborate.symbols import CallFrame
from netspec.expressions.identifiers import Path


class Title(NamedTuple):
    """What a paper calls a step, and where that is written."""

    text: str
    span: Span


@dataclass(frozen=True, slots=True)
class Where:
    """Where something is made: its path, and the prefix under which its weights live."""

    path: Path = Path()
    weights: Path = Path()
    own: tuple[tuple[str, tuple[str, ...]], ...] = ()
    """Below a path, the names whose weights stay apart although the rest is shared."""
    written: bool = False
    """Weights come from a step written earlier, so they must be there already."""
    title: Title | None = None
    """What is made just here is called so too."""

    def child(self, name: str, title: Title | None = None) -> Where:
        """The place of a name inside this one; raises BadName."""
        path = self.path.child(name)
        weights = path if self.weights == self.path else self.weights.child(name)
        return Where(path, weights, self.own, self.written, title)

    def weights_at(self) -> tuple[Path, bool]:
        """The prefix for a node here, and whether it is shared with a step written earlier."""
        for prefix, names in self.own:
            inside = f".{self.path[len(prefix) + 1 :]}."
            if any(f".{name}." in inside for name in names):
                return self.path, False
        return self.weights, self.written


class Site(NamedTuple):
    """A place in the graph, and what makes something there: in which call, and where in the text."""

    where: Where
    frame: CallFrame
    span: Span | None
    doc: str = ""


@dataclass(frozen=True, slots=True)
class LoopWeights:
    """The iteration that is being made: the prefix of its weights, and the one that `share: true` uses instead."""

    current: str
    shared: str


def join(prefix: str, name: str) -> str:
    """Two parts of a path."""
    return f"{prefix}.{name}" if prefix else name
