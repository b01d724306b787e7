"""The state of one elaboration: the graph that it makes, what it reports, and what it may still do."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from netspec.diagnostics.errors import Hint, Reporter, SemanticError, Span, latest
from netspec.elaborate.budget import Budget, Enough, OverBudget
from netspec.elaborate.forecast import Forecast
from netspec.elaborate.graph_builder import GraphBuilder
from netspec.elaborate.symbols import AMBIGUOUS, CallFrame
from netspec.ops import OPS
from netspec.syntax.document import Document

# After misspellings that were read as what was probably meant, to check what follows: how many of them, and how far.
MAX_GUESSES = 10
MAX_NODES_AFTER_GUESS = 2_000


@dataclass(frozen=True, slots=True)
class RunningIteration:
    """An iteration of a loop that runs now: in which call, what it is called there, and what its variables are."""

    frame: CallFrame
    path: str
    variables: Mapping[str, object]
    first: bool


# Errors that depend on the iteration even in the first one; those of the second list do in later ones alone.
_OF_ITERATIONS = ("NS401", "NS402")
_OF_LATER_ITERATIONS = ("NS203", "NS204", "NS302", "NS303", "NS307", "NS405")


@dataclass(eq=False)
class Elaboration:
    """What one elaboration has made and reported so far."""

    reporter: Reporter
    budget: Budget = field(default_factory=Budget)
    graph: GraphBuilder = field(init=False)
    forecast: Forecast = field(default_factory=Forecast)
    known: dict[Document, dict[str, None]] = field(default_factory=dict)
    iterations: list[RunningIteration] = field(default_factory=list)
    """The loops that run now, the innermost last."""
    missing: dict[tuple[object, tuple[str, ...]], list[Span]] = field(default_factory=dict)
    """By file, and by the shipped libraries that it does not use, the steps whose block is in these."""
    guesses: int = 0

    def __post_init__(self) -> None:
        self.graph = GraphBuilder(self.budget)

    def tick(self, cost: int = 1) -> None:
        """Counts work against the limit; raises OverBudget, or Enough where there are errors already."""
        try:
            self.budget.take(cost)
        except OverBudget:
            if self.reporter.failed:
                raise Enough from None
            raise

    def error(self, frame: CallFrame | None, code: str, message: str, span: Span | None, help: str | Hint = "") -> None:
        """Reports an error with the calls that led here, and the iteration of the loop in which it is found."""
        if frame is not None and self.iterations:
            message += self._iteration(frame, code)
        self.reporter.error(code, message, span, help, frame.trace if frame else ())

    def _iteration(self, frame: CallFrame, code: str) -> str:
        """`; in b1 (k = 1)`: the iteration of this call that runs now."""
        mine = [iteration for iteration in self.iterations if iteration.frame is frame]
        if not mine or code not in (
            _OF_ITERATIONS if all(i.first for i in mine) else _OF_ITERATIONS + _OF_LATER_ITERATIONS
        ):
            return ""
        variables = {name: value for iteration in mine for name, value in iteration.variables.items()}
        shown = ", ".join(f"{name} = {str(value)[:40]}" for name, value in variables.items() if value is not AMBIGUOUS)
        return f"; in {mine[-1].path}" + f" ({shown})" * bool(shown)

    @contextmanager
    def iteration(self, frame: CallFrame, path: str, variables: Mapping[str, object], first: bool) -> Iterator[None]:
        """Runs one iteration of a loop, which errors in it name."""
        inside = path[len(frame.prefix) + 1 :] if frame.prefix else path
        self.iterations.append(RunningIteration(frame, inside, variables, first))
        try:
            yield
        except SemanticError as e:
            if not e.placed:
                e.message += self._iteration(frame, e.code)
                e.placed = True
            raise
        finally:
            self.iterations.pop()

    def report(self, frame: CallFrame, error: SemanticError, span: Span) -> None:
        """Reports an error, at its own place or at `span`."""
        trace = frame.trace if frame else ()
        if error.placed:
            self.reporter.error(error.code, error.message, error.span or span, error.help, trace)
        else:
            self.error(frame, error.code, error.message, error.span or span, error.help)

    def guess(self, word: str, known: Iterable[str], meant: Callable[[str, Sequence[str]], str | None]) -> str | None:
        """The known name that was certainly meant, for checking what follows a misspelling that is reported already."""
        self.guesses += 1
        found = meant(word, latest(known)) if self.guesses <= MAX_GUESSES else None
        if found is not None and not self.graph.last_node:
            self.graph.last_node = len(self.graph.nodes) + MAX_NODES_AFTER_GUESS
        return found

    @contextmanager
    def quietly(self) -> Iterator[None]:
        """Reports nothing for a while."""
        kept, self.reporter = self.reporter, Reporter()
        try:
            yield
        finally:
            self.reporter = kept

    def callables(self, home: Document) -> Mapping[str, None]:
        """Everything that a step may name in a file."""
        if home not in self.known:
            self.known[home] = dict.fromkeys([*home.blocks, *home.used, *OPS, "do", "tee"])
        return self.known[home]
