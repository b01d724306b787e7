"""Expressions and templates at a place of a spec: what the compiler works with.

Nothing is ever handed to Python's own `eval`: `lexer` makes tokens of the text, `parser` a tree of the tokens (`ast`),
and `evaluate` computes its value with `arithmetic` and `functions`.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from netspec.diagnostics.errors import Span
from netspec.expressions import ast
from netspec.expressions.ast import Node, Parts, names_in
from netspec.expressions.errors import At, ExpressionError
from netspec.expressions.evaluate import Env, Evaluator, fill
from netspec.expressions.name_pattern import NamePattern
from netspec.expressions.parser import parse, parse_parts
from netspec.expressions.values import Value


@dataclass(frozen=True, slots=True)
class Expr:
    """A parsed expression at a place."""

    tree: Node
    at: At


def parse_expr(text: str, at: At) -> Expr:
    """Parses an expression; `at(i, j)` is the place of its characters; raises ExpressionError."""
    try:
        return Expr(parse(text), at)
    except ExpressionError as e:
        e.place(at)
        raise


def evaluate(expr: Expr, env: Env) -> Value:
    """The value of an expression; raises ExpressionError."""
    try:
        return Evaluator(env, expr.tree, {}).value(expr.tree)
    except ExpressionError as e:
        e.place(expr.at)
        raise


def free_names(expr: Expr) -> set[str]:
    """The names that the expression reads from its environment."""
    return set(ast.free_names(expr.tree))


def place_of(expr: Expr, name: str) -> Span:
    """Where the expression first reads a name."""
    return expr.at(*ast.free_names(expr.tree)[name])


@dataclass(frozen=True)
class Template:
    """A name or path with placeholders: `layer{stage}`."""

    parts: Parts
    at: At
    length: int
    """How many characters it was written with."""

    @property
    def span(self) -> Span:
        """Where it is written."""
        return self.at(0, max(1, self.length))

    @property
    def names(self) -> frozenset[str]:
        """The names that its placeholders read."""
        return names_in(self.parts)

    @cached_property
    def pattern(self) -> NamePattern:
        """What the filled text looks like."""
        return NamePattern.of(self.parts)

    @property
    def is_plain(self) -> bool:
        """Whether it has no placeholders."""
        return all(isinstance(p, str) for p in self.parts)

    def written(self, placeholder: str) -> str:
        """The text with every placeholder replaced by one text."""
        return "".join(p if isinstance(p, str) else placeholder for p in self.parts)

    def fill(self, env: Env) -> str:
        """The text with its placeholders computed, to integers or strings; raises ExpressionError."""
        try:
            return fill(self.parts, env, {})
        except ExpressionError as e:
            e.place(self.at)
            raise

    def filled(self, env: Env) -> list[tuple[Span, str]]:
        """The place of each placeholder and the text that fills it, for a template that can be filled."""
        placeholders = [part for part in self.parts if not isinstance(part, str)]
        return [(self.at(p.start, p.start + 1), fill((p,), env, {})) for p in placeholders]


def parse_template(text: str, at: At) -> Template:
    """Parses a name or path with placeholders; raises ExpressionError."""
    try:
        return Template(parse_parts(text), at, len(text))
    except ExpressionError as e:
        e.place(at)
        raise
