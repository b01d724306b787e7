"""Arguments: from what is written to values of the declared types."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from netspec.diagnostics.errors import MAX_KNOWN, SemanticError, Span, did_you_mean, listed
from netspec.elaborate.literals import literal
from netspec.elaborate.parameter_types import EXPECTED, describe, fits, suggestion
from netspec.elaborate.symbols import DependsOnError
from netspec.elaborate.values import BlockValue, Env, Word
from netspec.expressions.values import Value
from netspec.ops import lookup
from netspec.syntax.ast import ListNode, Literal, MapNode, Name, ValueNode, cut_in, parts_of
from netspec.syntax.document import BlockDecl
from netspec.syntax.meant import argument_help, meant_argument, op_help


@dataclass(frozen=True, slots=True)
class Slot:
    """A parameter as binding sees it."""

    name: str
    positional: bool = True
    type: str = ""


@dataclass(eq=False, slots=True)
class Arguments:
    """What a call gives for each parameter, as it is written."""

    env: Env
    """Where it is evaluated."""
    callee: str
    at: Span
    given: dict[str, ValueNode] = field(default_factory=dict)
    ok: bool = True
    """Whether everything that is given fits a parameter; what does not is reported."""


def collect(env: Env, args: ValueNode | None, slots: Sequence[Slot], callee: str, at: Span) -> Arguments:
    """Matches arguments with parameters by position or name; reports what does not fit."""
    found = Arguments(env, callee, at)
    if (cut := cut_in(args)) is not None:
        help_ = _QUOTE if cut.text.startswith("=") else "a list stands in [ ]: [2, 2]"
        env.state.error(env.frame, "NS301", "this is cut at its comma or bracket", cut.span, help_)
        found.ok = False
    elif isinstance(args, MapNode):
        _by_name(found, args, [s.name for s in slots])
    else:
        _by_position(found, given_by_position(args), slots)
    return found


def given_by_position(args: ValueNode | None) -> tuple[ValueNode, ...]:
    """The arguments that are given without names: the items of a list, or a single value."""
    return parts_of(args) if isinstance(args, ListNode) else () if args is None else (args,)


def _by_name(found: Arguments, args: MapNode, names: Sequence[str]) -> None:
    state, callee, given = found.env.state, found.callee, found.given
    known = set(names)
    unknown = []
    for key, value in args.entries:
        if key.text in known:
            given[key.text] = value
        else:
            unknown.append((key, value))
    for key, value in unknown:
        message = f"'{callee}' has no parameter '{key.text}'"
        help_ = argument_help(key.text, names, callee, "" if names else f"'{callee}' takes no arguments")
        state.error(found.env.frame, "NS206", message, key.span, help_)
        # Read as the one that is meant, so that what follows is checked too and nothing is reported twice.
        meant = state.guess(key.text, [n for n in names if n not in given], meant_argument)
        if meant is None or (isinstance(value, Literal) and (value.value is None or isinstance(value.value, str))):
            found.ok = False
        else:
            given[meant] = value


def _by_position(found: Arguments, args: Sequence[ValueNode], slots: Sequence[Slot]) -> None:
    state = found.env.state
    positional = [s.name for s in slots if s.positional]
    for name, value in zip(positional, args, strict=False):
        found.given[name] = value
    if len(args) > len(positional):
        count = f"{len(positional) or 'no'} argument{'s' * (len(positional) != 1)} by position, got {len(args)}"
        message = f"'{found.callee}' takes {count}"
        state.error(found.env.frame, "NS306", message, args[len(positional)].span, _positions(slots))
        found.ok = False


def _positions(slots: Sequence[Slot]) -> str:
    """Which arguments go by position, and which by name alone."""
    positional, by_name = [s for s in slots if s.positional], [s.name for s in slots if not s.positional]
    parts = [f"in order: {listed([s.name for s in positional])}"] if positional else []
    if len(positional) == 1 and positional[0].type in ("", "size", "list", "parts"):
        parts = [f"a list gives arguments in order; write {{{positional[0].name}: [...]}} to give one list"]
    if by_name:
        parts.append(f"by name alone: {', '.join(by_name)}")
    return "; ".join(parts)


_QUOTE = "quote an expression with commas or brackets inside { } or [ ]: '=max(a, 8)'"


def argument(
    env: Env, node: ValueNode, type_: str, name: str, one_of: Sequence[Value] = (), low: float | None = None
) -> Value:
    """The value of one argument, of the declared type; raises SemanticError or DependsOnError."""
    if type_ == "block" and isinstance(node, MapNode):
        return _block_with_args(env, node)
    value = literal(env, node)
    # One string of a few is known: what else is written is told these, not to be quoted.
    if not (type_ == "str" and one_of and isinstance(value, (int, float))):
        value = typed(env, value, type_, name, node)
    if one_of and value not in one_of:
        raise SemanticError(
            "NS307",
            f"'{name}' is one of {', '.join(map(str, one_of[:20]))}{', ...' * (len(one_of) > 20)}, "
            f"got {describe(value)}",
            node.span,
            did_you_mean(str(value), map(str, one_of[:MAX_KNOWN])),
        )
    if low is not None and isinstance(value, (int, float)) and value < low:
        raise SemanticError("NS307", f"'{name}' must be at least {low:g}, got {value}", node.span)
    return value


def typed(env: Env, value: Value, type_: str, name: str, node: ValueNode) -> Value:
    """The value, if it is of the type; a string becomes a block where one is expected; raises SemanticError."""
    if type_ == "block":
        return resolve_block(env, value, node)
    if fits(value, type_):
        return float(value) if type_ == "float" and isinstance(value, int) and abs(value) < 2**53 else value
    raise SemanticError(
        "NS302",
        f"'{name}' expects {EXPECTED[type_]}, got {describe(value)}",
        node.span,
        suggestion(value, type_, node, env.values),
    )


def _block_with_args(env: Env, node: MapNode) -> BlockValue:
    """`{leaky_relu: 0.1}`: a block with arguments, as a value."""
    if len(node.entries) != 1:
        raise SemanticError("NS302", "a block with arguments is one entry, `{leaky_relu: 0.1}`", node.span)
    ((key, args),) = node.entries
    found = resolve_block(env, Word(key.text, env.frame.home), key)
    return BlockValue(found.name, found.target, args, env.kept())


def resolve_block(env: Env, value: Value, node: ValueNode | Name) -> BlockValue:
    """A string as the block or op that it names where it is written; raises SemanticError."""
    if isinstance(value, BlockValue):
        return value
    if not isinstance(value, str):
        raise SemanticError("NS302", f"the name of a block or op is expected, got {describe(value)}", node.span)
    bound = env.values.get(value)
    if isinstance(bound, BlockValue):
        raise SemanticError(
            "NS302", f"a block is expected, '{value}' is a string", node.span, f"`={value}` is the parameter"
        )
    home = value.home if isinstance(value, Word) else env.frame.home
    target = home.callable(value)
    if isinstance(target, BlockDecl) and target.failed:
        raise DependsOnError
    if target is None and lookup(value) is None:
        if home.open & {"use", "blocks"}:
            raise DependsOnError
        help_ = op_help(value, env.state.callables(home))
        raise SemanticError("NS201", f"there is no block or op '{value}'", node.span, help_)
    return BlockValue(str(value), target)
