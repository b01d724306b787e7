"""What is written as a value: literals, expressions, and names with placeholders."""

from __future__ import annotations

import re

from netspec.diagnostics.errors import SemanticError, Span
from netspec.elaborate.parameter_types import describe
from netspec.elaborate.symbols import DependsOnError
from netspec.elaborate.values import Env, Word
from netspec.expressions.arithmetic import bounded, measured
from netspec.expressions.expression import Template, evaluate
from netspec.expressions.identifiers import Kind, clipped, why_not
from netspec.expressions.values import Value
from netspec.syntax.ast import Computed, Error, ListNode, Literal, MapNode, Path, Unevaluable, ValueNode


def expression(env: Env, node: Computed) -> Value:
    """The value of an expression; raises SemanticError or DependsOnError."""
    if isinstance(node, Error):
        raise DependsOnError
    if isinstance(node, Unevaluable):
        raise node.error()
    try:
        return evaluate(node.expr, env)
    except SemanticError as e:
        raise e.at(node.span) from None


def literal(env: Env, node: ValueNode) -> Value:
    """A value that is written or computed, or a list of them, deeply; raises SemanticError or DependsOnError."""
    if isinstance(node, MapNode):
        help_ = "numbers, strings, lists and `=expressions` can"
        raise SemanticError("NS302", "a mapping cannot be used here", node.span, help_)
    if isinstance(node, ListNode):
        found = [literal(env, item) for item in node.items]
        if any(isinstance(v, list) for v in found):
            env.state.tick(measured(found).work)
            try:
                bounded(found)
            except SemanticError as e:
                raise e.at(node.span) from None
        return found
    env.state.tick()
    if isinstance(node, Literal):
        return Word(node.value, env.frame.home) if isinstance(node.value, str) else node.value
    value = expression(env, node)
    if isinstance(value, list):
        env.state.tick(measured(value).work)
    return value


def filled_path(env: Env, node: Path | Error) -> str:
    """A path, its placeholders computed; raises SemanticError or DependsOnError."""
    if isinstance(node, Error):
        raise DependsOnError
    if isinstance(node, Unevaluable):
        raise node.error()
    return fill(env, node.template, node.span)


def fill(env: Env, template: Template, at: Span) -> str:
    """The text of a template, its placeholders computed; raises SemanticError."""
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


def condition(env: Env, node: Computed, what: str) -> bool:
    """`when` and `only_if`: an expression that gives a bool; raises SemanticError."""
    value = expression(env, node)
    if not isinstance(value, bool):
        raise SemanticError(
            "NS302",
            f"'{what}' expects true or false, got {describe(value)}",
            node.span,
            "compare it: `n > 0`" if isinstance(value, (int, float)) else "",
        )
    return value
