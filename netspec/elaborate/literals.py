"""What is written as a value: literals, expressions, and names with placeholders."""

from __future__ import annotations

import re

from netspec.diagnostics.errors import SemanticError, Span
from netspec.elaborate.parameter_types import describe
from netspec.elaborate.values import Env, Word
from netspec.expressions.arithmetic import MAX_LIST, weight
from netspec.expressions.expression import Template, evaluate, parse_expr
from netspec.expressions.identifiers import Kind, clipped, why_not
from netspec.expressions.values import Value
from netspec.syntax.tree import Scalar, Seq, Tree


def scalar(env: Env, tree: Scalar) -> Value:
    """A scalar's value: what starts with `=` is computed, the rest is what it is; raises SemanticError."""
    if tree.text.startswith("=") and len(tree.text) > 1:
        return expression(env, tree, 1)
    value = tree.value
    if isinstance(value, str):
        return Word(value, env.frame.home)
    return value


def expression(env: Env, tree: Scalar, start: int | None = None) -> Value:
    """A scalar that always is an expression; a leading `=` changes nothing; raises SemanticError."""
    if start is None:
        start = 1 if tree.text.startswith("=") else 0
    try:
        return evaluate(parse_expr(tree.text[start:], lambda i, j: tree.at(i + start, j + start)), env)
    except SemanticError as e:
        raise e.at(tree.span) from None


def literal(env: Env, tree: Tree) -> Value:
    """A scalar or a list of them, deeply; raises SemanticError."""
    if isinstance(tree, Scalar):
        env.state.tick()
        value = scalar(env, tree)
        if isinstance(value, list):
            env.state.tick(weight(value) // 16)
        return value
    if isinstance(tree, Seq):
        found = [literal(env, item) for item in tree.items]
        if any(isinstance(v, list) for v in found) and weight(found) > MAX_LIST:
            raise SemanticError("NS304", f"limit exceeded: a list has at most {MAX_LIST:,} values", tree.span)
        return found
    raise SemanticError(
        "NS302", "a mapping cannot be used here", tree.span, "numbers, strings, lists and `=expressions` can"
    )


def fill(env: Env, template: Template, at: Span) -> str:
    """The text of a template, its holes computed; raises SemanticError."""
    try:
        return template.fill(env)
    except SemanticError as e:
        raise e.at(at) from None


def filled_name(env: Env, template: Template, kind: Kind, at: Span) -> str:
    """The name that a template gives, which what fills it may make no name; raises SemanticError at the placeholder."""
    name = fill(env, template, at)
    if why := why_not(name, kind):
        culprit = next((span for span, text in template.filled(env) if not re.fullmatch(r"\w+", text, re.ASCII)), at)
        raise SemanticError(
            "NS205", f"this makes the name '{clipped(name)}', which cannot be the name of {kind.value}: {why}", culprit
        )
    return name


def condition(env: Env, tree: Tree, what: str) -> bool:
    """`when` and `only_if`: an expression that gives a bool; raises SemanticError."""
    value = expression(env, tree) if isinstance(tree, Scalar) else None
    if not isinstance(value, bool):
        raise SemanticError(
            "NS302",
            f"'{what}' expects true or false, got {describe(value)}",
            tree.span,
            "compare it: `n > 0`" if isinstance(value, (int, float)) else "",
        )
    return value
