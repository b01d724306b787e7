"""Reads values, expressions and paths: the located tree becomes the nodes of the syntax tree, with its text parsed."""

from __future__ import annotations

from dataclasses import dataclass

from netspec.diagnostics.errors import Hint, Reporter, SemanticError, Source, Span
from netspec.expressions.expression import parse_expr, parse_template
from netspec.syntax import ast
from netspec.syntax.ast import Computed, Expression, ListNode, Literal, MapNode, Name, PathNode, Paths, Unevaluable
from netspec.syntax.tree import Map, Plain, Scalar, Seq, Tree
from netspec.syntax.yaml_reader import parse


def text(tree: Tree | None) -> str:
    """The text of a scalar, as written; empty for anything else."""
    return tree.text if isinstance(tree, Scalar) else ""


def name(at: Scalar) -> Name:
    """A key or a string as a name."""
    return Name(at.text, at.span)


def value(tree: Tree) -> ast.ValueNode:
    """A value: what begins with `=` is an expression."""
    if isinstance(tree, Scalar):
        return expression(tree) if len(tree.text) > 1 and tree.text[0] == "=" else literal(tree)
    if isinstance(tree, Seq):
        return ListNode(tuple(map(value, tree.items)), tree.span)
    return MapNode(tuple((name(key), value(inner)) for key, inner in tree.entries), tree.span)


def optional(tree: Tree | None) -> ast.ValueNode | None:
    """A value that may be left out."""
    return value(tree) if tree is not None else None


def literal(tree: Scalar) -> Literal:
    """A scalar as it is written."""
    return Literal(tree.value, tree.text, not tree.plain, tree.span)


@dataclass(frozen=True, slots=True)
class _Within:
    """Where letters of an expression stand, which begins at `start` of a scalar."""

    tree: Scalar
    start: int

    def __call__(self, first: int, last: int) -> Span:
        return self.tree.at(first + self.start, last + self.start)


def expression(tree: Scalar) -> Computed:
    """A scalar that is an expression, with `=` or without."""
    start = 1 if tree.text.startswith("=") else 0
    try:
        expr = parse_expr(tree.text[start:], _Within(tree, start))
    except SemanticError as e:
        return Unevaluable(tree.text, tree.span, e.code, e.message, e.span or tree.span, e.help, not tree.plain)
    return Expression(expr, tree.text, not tree.plain, tree.span)


def computed(tree: Tree, code: str, message: str, help: str | Hint = "") -> Computed:
    """An expression; anything but a scalar is the error that is given, where it is evaluated."""
    return expression(tree) if isinstance(tree, Scalar) else Unevaluable("", tree.span, code, message, tree.span, help)


def condition(tree: Tree, what: str) -> Computed:
    """What gives true or false."""
    return computed(tree, "NS302", f"'{what}' expects true or false, got nothing")


def path(tree: Scalar) -> ast.Path:
    """A path of a step, which may have placeholders."""
    try:
        template = parse_template(tree.text, tree.at)
    except SemanticError as e:
        return Unevaluable(tree.text, tree.span, e.code, e.message, e.span or tree.span, e.help)
    number = isinstance(tree.value, (int, float))
    return PathNode(template, tree.text, number, tree.span)


def source(tree: Tree) -> ast.Source:
    """What `from` names: a path, or a list of them."""
    if isinstance(tree, Seq):
        return Paths(tuple(map(source, tree.items)), tree.span)
    if isinstance(tree, Scalar):
        return path(tree)
    return Unevaluable("", tree.span, "NS203", "a path is expected", tree.span)


def read_setting(source_name: str, written: str) -> ast.ValueNode | None:
    """A value from a command line; None where it is none."""
    reporter = Reporter()
    tree = parse(Source(source_name, f"value: {written}"), reporter)
    given = tree.get("value") if tree is not None else None
    if reporter.failed or tree is None or given is None or len(tree.entries) != 1:
        return None
    return value(given)


def read_arguments(source_name: str, lines: list[str], reporter: Reporter, span: Span) -> MapNode | None:
    """Values by name from a command line; None after an error, which is reported."""
    tree = parse(Source(source_name, "\n".join(lines)), reporter)
    if tree is None or reporter.failed:
        return None
    return MapNode(tuple((name(key), value(inner)) for key, inner in tree.entries), span)


def entries(tree: Tree | None) -> tuple[tuple[Scalar, Tree], ...]:
    """The entries of a mapping; none of anything else."""
    return tree.entries if isinstance(tree, Map) else ()


def items(tree: Tree | None) -> tuple[Tree, ...]:
    """The items of a list; none of anything else."""
    return tree.items if isinstance(tree, Seq) else ()


def plain(tree: Tree) -> Plain:
    """The tree as dicts, lists and scalars."""
    if isinstance(tree, Scalar):
        return tree.value
    if isinstance(tree, Seq):
        return [plain(t) for t in tree.items]
    return {k.text: plain(v) for k, v in tree.entries}
