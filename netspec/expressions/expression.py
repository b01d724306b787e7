"""Expressions: what their text means.

`parse_expr` gives an `Expr`, a closure over an environment with the names that it reads; nothing is ever handed to
Python's own `eval`. `lexer` makes the tokens, `parser` reads them, `evaluate` and `arithmetic` say what they do.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Protocol

from netspec.diagnostics.errors import SemanticError, Span
from netspec.expressions.evaluate import Wrong
from netspec.expressions.parser import holes_of, parse
from netspec.expressions.placeholders import Holes, Parsed

At = Callable[[int, int], Span]


class Env(Protocol):
    """What an expression can see."""

    def value(self, name: str) -> Any:
        """The value of a name; raises KeyError."""

    def tensor(self, path: str, attr: str) -> Any:
        """channels, height, width, features or shape of the value at a path."""

    def names(self) -> Iterable[str]:
        """The names that value() knows."""

    def tick(self) -> None:
        """Counts a step."""

    def work(self, units: int) -> None:
        """Counts further work of a step, on long lists."""


class ExpressionError(SemanticError):
    """An error in an expression or a placeholder, with its place: who catches a SemanticError catches it too."""


@dataclass(frozen=True, slots=True)
class Expr:
    """A parsed expression at a place."""

    parsed: Parsed
    at: At


def parse_expr(text: str, at: At) -> Expr:
    """Parses an expression; `at(i, j)` is the place of its characters; raises ExpressionError."""
    try:
        return Expr(parse(text), at)
    except Wrong as e:
        raise ExpressionError(e.code, e.message, at(e.start, e.end), e.help) from None


def evaluate(expr: Expr, env: Env) -> Any:
    """The value of an expression; raises ExpressionError."""
    try:
        return expr.parsed.run(env, {})
    except Wrong as e:
        raise ExpressionError(e.code, e.message, expr.at(e.start, e.end), e.help) from None


def free_names(expr: Expr) -> set[str]:
    """The names that the expression reads from its environment."""
    return set(expr.parsed.names)


def place_of(expr: Expr, name: str) -> Span:
    """Where the expression first reads a name."""
    return expr.at(*expr.parsed.names[name])


@dataclass(frozen=True, slots=True)
class Template:
    """A name or path with holes: `layer{stage}`."""

    holes: Holes
    at: At

    @property
    def names(self) -> frozenset[str]:
        """The names that its holes read."""
        return self.holes.names

    @property
    def pattern(self) -> re.Pattern[str]:
        """What the filled text looks like."""
        parts = (re.escape(p) if isinstance(p, str) else r"\w+" for p in self.holes.parts)
        return re.compile("".join(parts) + r"\Z")

    @property
    def is_plain(self) -> bool:
        """Whether it has no holes."""
        return all(isinstance(p, str) for p in self.holes.parts)

    def written(self, placeholder: str) -> str:
        """The text with every placeholder replaced by one text."""
        return "".join(p if isinstance(p, str) else placeholder for p in self.holes.parts)

    def fill(self, env: Any) -> str:
        """The text with its holes computed, to ints or words; raises ExpressionError."""
        try:
            return self.holes.text(env, {})
        except Wrong as e:
            raise ExpressionError(e.code, e.message, self.at(e.start, e.end), e.help) from None

    def filled(self, env: Any) -> list[tuple[Span, str]]:
        """The place of each placeholder and the text that fills it, for a template that can be filled."""
        holes = [part for part in self.holes.parts if not isinstance(part, str)]
        return [(self.at(start, start + 1), str(parsed.run(env, {}))) for parsed, start in holes]


def parse_template(text: str, at: At) -> Template:
    """Parses a name or path with holes; raises ExpressionError."""
    try:
        return Template(holes_of(text), at)
    except Wrong as e:
        raise ExpressionError(e.code, e.message, at(e.start, e.end), e.help) from None
