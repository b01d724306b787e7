"""Parameters: the values of `params` and `let` of a block or a document."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from netspec.diagnostics.errors import SemanticError, listed
from netspec.elaborate.arguments import Arguments, argument
from netspec.elaborate.budget import WORK_OF_PARAM
from netspec.elaborate.literals import literal
from netspec.elaborate.parameter_types import type_of
from netspec.elaborate.symbols import ERROR, DependsOnError
from netspec.elaborate.values import BlockValue, Bound, Env
from netspec.expressions.values import Value
from netspec.ops.base import freeze
from netspec.syntax.ast import ListNode, Literal, ValueNode
from netspec.syntax.document import LetDecl, ParamDecl


def parameters(params: Sequence[ParamDecl], arguments: Arguments, env: Env) -> dict[str, Bound]:
    """The values of declared parameters: as given, or their defaults, which see the parameters before them.

    Where the arguments have an error already, what is not given is unknown: nothing is missing.
    """
    state, given = env.state, arguments.given
    values: dict[str, Bound] = dict(env.values)
    missing: list[str] = []
    inner = env.seeing(values)
    for p in params:
        state.tick(WORK_OF_PARAM)
        if p.failed:
            values[p.name] = ERROR
            continue
        try:
            if p.name in given:
                values[p.name] = _given(p, given[p.name], arguments.env, inner)
            elif p.default is not None and arguments.ok:
                values[p.name] = argument(inner, p.default, p.type, p.name, *_limits(p, inner))
            else:
                values[p.name] = ERROR
                missing.append(p.name)
        except SemanticError as e:
            node = given.get(p.name) or p.default
            frame = arguments.env.frame if p.name in given else env.frame
            state.report(frame, e, node.span if node else arguments.at)
            values[p.name] = ERROR
        except DependsOnError:
            values[p.name] = ERROR
    if missing and arguments.ok:
        message = f"'{arguments.callee}' expects {quoted(missing)}"
        help_ = f"in order: {listed([p.name for p in params])}"
        state.error(arguments.env.frame, "NS305", message, arguments.at, help_)
    return values


def _given(p: ParamDecl, node: ValueNode, arg_env: Env, env: Env) -> Value:
    """An argument, of the declared type or of the default's."""
    one_of, low = _limits(p, env)
    if p.type:
        return argument(arg_env, node, p.type, p.name, one_of, low)
    try:
        kind = type_of(literal(env, p.default)) if p.default is not None else ""
    except (SemanticError, DependsOnError):
        kind = ""  # the default cannot be computed here, which is no fault of the argument
    return argument(arg_env, node, kind, p.name, one_of, low)


def _limits(p: ParamDecl, env: Env) -> tuple[list[Value], float | None]:
    one_of = literal(env, p.one_of) if p.one_of is not None else []
    low = literal(env, p.min) if p.min is not None else None
    return one_of if isinstance(one_of, list) else [], low if isinstance(low, (int, float)) else None


def lets(written: Sequence[LetDecl], env: Env) -> dict[str, Bound]:
    """`let`: values computed once, in order."""
    state = env.state
    values = dict(env.values)
    inner = env.seeing(values)
    for let in written:
        state.tick(WORK_OF_PARAM)
        value: Bound = ERROR
        try:
            value = literal(inner, let.value)
        except SemanticError as e:
            state.report(env.frame, e, let.value.span)
        except DependsOnError:
            pass
        values[let.at.text] = value  # not before it is computed: it does not see itself
    return values


def replace_default(p: ParamDecl, node: ValueNode | None) -> ParamDecl:
    """A parameter whose default a variant replaces; its type stays that of the declared default."""
    if node is None:
        return p
    kind = p.type
    if not kind and isinstance(p.default, Literal):
        kind = type_of(p.default.value)
    elif not kind and isinstance(p.default, ListNode):
        kind = "list"
    return ParamDecl(p.name, p.at, kind, node, p.one_of, p.min, p.doc, p.failed)


def shown(values: Mapping[str, Bound]) -> dict[str, object]:
    """The values of a block's parameters as its scope keeps them: numbers, strings, tuples; a block as its name."""
    return {k: str(v) if isinstance(v, (BlockValue, str)) else freeze(v) for k, v in values.items()}


def quoted(names: Sequence[str]) -> str:
    more = f" and {len(names) - 8:,} more" if len(names) > 8 else ""
    return " and ".join(f"'{n}'" for n in names[:8]) + more
