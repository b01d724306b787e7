"""Steps of ops that nobody knows: what is reported of them, and what can still be checked."""

from __future__ import annotations

from dataclasses import dataclass

from netspec.diagnostics.errors import SemanticError
from netspec.elaborate.context import Context
from netspec.elaborate.literals import literal
from netspec.elaborate.state import Elaboration
from netspec.elaborate.symbols import DependsOnError, Looks
from netspec.elaborate.values import BlockValue, Env
from netspec.expressions.name_pattern import ANYTHING
from netspec.ops import Op, lookup
from netspec.syntax.ast import ListNode, Literal, MapNode, ValueNode, parts_of
from netspec.syntax.document import BlockDecl, Document
from netspec.syntax.library import libraries_of
from netspec.syntax.meant import meant_op, op_help
from netspec.syntax.steps import Step

MAX_CALLABLES = 300


def named(step: Step, ctx: Context) -> Op | BlockDecl | Document | None:
    """What the op's name means here; an unknown one is reported, and read as the nearest op, for shapes alone.

    It is never read as a block: a guess must not run what would not have run, such as the block that it stands in.
    """
    state, home = ctx.state, ctx.frame.home
    found = home.callable(step.op) or (lookup(step.op) if step.op != "input" else None)
    if found is not None:
        return found
    if home.open & {"use", "blocks"} or (ctx.frame.is_document and "params" in home.open):
        return None
    if step.op in ctx.values:
        message = f"'{step.op}' is a value, not a block or op"
        help_ = f"declare it as a block: `{step.op}: {{type: block, default: relu}}`"
        state.error(ctx.frame, "NS201", message, step.span, help_)
        return None
    if (error := unknown_op(state, step, home)) is not None:
        state.report(ctx.frame, error, step.span)
    guess = state.guess(step.op, state.callables(home), meant_op)
    return None if guess is None or home.callable(guess) is not None else lookup(guess)


def unknown_op(state: Elaboration, step: Step, home: Document) -> SemanticError | None:
    """The error of a step whose op nobody knows; a missing `use` is one error for all that it would bring."""
    message = f"there is no op or block '{step.op}'"
    libraries = libraries_of(step.op)
    places = state.missing.setdefault((home.path, libraries), []) if libraries else []
    places.append(step.span)
    if places[0] != step.span:
        return None
    return SemanticError("NS201", message, step.span, op_help(step.op, state.callables(home), places))


@dataclass(frozen=True, slots=True)
class Counted:
    """The names of steps without a name: those of their ops, which are counted from the second on."""

    ops: frozenset[str]

    def matches(self, name: str) -> bool:
        """Whether a name is that of an op, with a number or without."""
        op, _, number = name.rpartition("_")
        return name in self.ops or (number.isdecimal() and op in self.ops)


def may_make(step: Step, args: ValueNode | None, ctx: Context) -> list[Looks]:
    """The names that a step of an unknown op may make: that of its op, and those of the branches in it."""
    if any(_holds_steps(value) for value in parts_of(args)):
        return [ANYTHING]
    if len(ctx.state.callables(ctx.frame.home)) > MAX_CALLABLES:
        return [ANYTHING]
    given = [name for name, value in ctx.values.items() if isinstance(value, BlockValue)]
    return [Counted(frozenset([*ctx.state.callables(ctx.frame.home), *given]))] if step.name is None else []


def _holds_steps(node: ValueNode) -> bool:
    """Whether an argument looks like a branch or a step."""
    if isinstance(node, ListNode):
        return not node.items or any(not isinstance(t, Literal) or isinstance(t.value, str) for t in node.items)
    return isinstance(node, MapNode)


def check_arguments(env: Env, node: ValueNode | None) -> None:
    """Evaluates the arguments of an op that nobody knows, for the errors in them; steps inside it are left alone."""
    if isinstance(node, (ListNode, MapNode)):
        if not any(map(_holds_steps, parts_of(node))):
            for value in parts_of(node):
                check_arguments(env, value)
    elif node is not None:
        try:
            literal(env, node)
        except SemanticError as e:
            env.state.report(env.frame, e, node.span)
        except DependsOnError:
            pass
