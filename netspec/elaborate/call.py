"""Calls: of a primitive op, of a block, of a block that is a parameter, of a whole network."""

from __future__ import annotations

from dataclasses import replace
from typing import cast

from netspec.diagnostics.errors import SemanticError, did_you_mean, listed
from netspec.elaborate.arguments import Arguments, Slot, argument, collect
from netspec.elaborate.blocks import block, which_value
from netspec.elaborate.context import Call, Context
from netspec.elaborate.literals import literal
from netspec.elaborate.networks import network
from netspec.elaborate.parameters import quoted
from netspec.elaborate.places import Where
from netspec.elaborate.symbols import ERROR, DependsOnError, Result, Tensors
from netspec.elaborate.unknown import check_arguments, may_make, named
from netspec.elaborate.values import BlockValue, Env, Word
from netspec.expressions.values import Value
from netspec.ops import Op, OpError, lookup
from netspec.ops.initialisers import Init, check_init
from netspec.syntax.ast import ListNode, MapNode, ValueNode
from netspec.syntax.document import BlockDecl, Document
from netspec.syntax.steps import OpCall, Step


def call(step: Step, ctx: Context, entering: Tensors, where: Where) -> Result:
    """Runs the op of a step, whatever it names."""
    env = ctx.env(entering)
    args = step.action.args if isinstance(step.action, OpCall) else None
    made = Call(step, ctx, where, entering, args, env)
    bound = ctx.values.get(step.op)
    if isinstance(bound, BlockValue):
        if bound.args is not None:
            if args is not None:
                message = f"'{step.op}' has its arguments already: it was given with them"
                raise SemanticError("NS306", message, step.span)
            made = replace(made, args=bound.args, env=bound.env or env)
        return _run(made, bound.target or lookup(bound.name))
    if bound is ERROR:
        raise DependsOnError
    target = named(step, ctx)
    if target is None or step.op != target.name:
        ctx.symbols.lose(may_make(step, args, ctx), "", step.span)
    if target is None or (isinstance(target, BlockDecl) and target.failed):
        check_arguments(env, args)
        return ERROR, None
    if isinstance(target, Op) and step.op != target.name:
        # Whether the arguments fit what was probably meant is not checked: one error for one misspelling.
        with ctx.state.quietly():
            return primitive(target, made), None
    return _run(made, target)


def _run(made: Call, target: Op | BlockDecl | Document | None) -> Result:
    if isinstance(target, Op):
        return primitive(target, made), None
    if isinstance(target, BlockDecl):
        return block(target, made), None
    assert isinstance(target, Document)
    return network(target, made)


def primitive(op: Op, made: Call) -> Tensors:
    """Makes the node of a call of an op; every argument at fault is reported."""
    step, entering, state = made.step, made.entering, made.ctx.state
    slots = [Slot(p.name, p.positional, p.type) for p in op.params]
    if op.weights:
        slots.append(Slot("init", positional=False))
    arguments = collect(made.env, made.args, slots, op.name, step.span)
    values, init = _evaluate(op, made, arguments)
    missing = [p.name for p in op.params if p.required and p.name not in arguments.given]
    if missing and arguments.ok:
        help_ = f"in order: {listed([p.name for p in op.params if p.positional])}"
        if isinstance(made.ctx.values.get(step.op), BlockValue):
            help_ = f"a block is given with its arguments: `{{{op.name}: {{{missing[0]}: ...}}}}`"
        state.error(made.ctx.frame, "NS305", f"'{op.name}' expects {quoted(missing)}", step.span, help_)
        arguments.ok = False
    if not arguments.ok or not entering.ok:
        return ERROR
    if op.arity is not None and len(entering.refs) != op.arity:
        message = f"'{op.name}' takes {op.arity} value{'s' * (op.arity != 1)}, got {len(entering.refs)}"
        raise SemanticError("NS401", message, step.span, which_value(entering))
    try:
        return state.graph.node(op, entering.refs, values, init, made.site)
    except OpError as e:
        at = arguments.given[e.arg].span if e.arg in arguments.given else step.span
        help_ = e.help
        if (
            "kernel" in values
            and isinstance(made.args, ListNode)
            and values.get("out") == state.graph.shape_of(entering)[1]
        ):
            order = ", ".join(p.name for p in op.params if p.positional)
            help_ = f"what enters is known: the arguments are, in order, {order}"
        state.error(made.ctx.frame, e.code, str(e), at, help_)
        return ERROR


def _evaluate(op: Op, made: Call, arguments: Arguments) -> tuple[dict[str, Value], dict[str, Init]]:
    """The attributes and the initialisers that a call gives; an argument at fault is reported."""
    values: dict[str, Value] = {}
    init: dict[str, Init] = {}
    for name, node in arguments.given.items():
        try:
            if name == "init":
                init = _initialisers(made.env, op, node)
            else:
                param = op.param(name)
                values[name] = argument(made.env, node, param.type, name, param.one_of)
        except SemanticError as e:
            made.ctx.state.report(made.ctx.frame, e, node.span)
            arguments.ok = False
        except DependsOnError:
            arguments.ok = False
    return values, init


def _initialisers(env: Env, op: Op, node: ValueNode) -> dict[str, Init]:
    """`init: {weight: zeros, bias: -2}`; raises SemanticError."""
    if not isinstance(node, MapNode):
        raise SemanticError("NS302", "`init` names tensors: `{weight: zeros, bias: -2}`", node.span)
    found: dict[str, Init] = {}
    for key, value in node.entries:
        if key.text not in op.weights:
            message = f"'{op.name}' has no tensor '{key.text}'"
            raise SemanticError("NS206", message, key.span, did_you_mean(key.text, op.weights))
        found[key.text] = _initialiser(env, value)
    return found


def _initialiser(env: Env, node: ValueNode) -> Init:
    """A number, a name, or `{normal: std}`; raises SemanticError."""
    if isinstance(node, MapNode):
        value: object = {key.text: literal(env, size) for key, size in node.entries}
    else:
        value = literal(env, node)
    if isinstance(value, Word):
        value = str(value)
    if problem := check_init(value):
        raise SemanticError("NS307", problem, node.span)
    return cast("Init", value)  # as check_init has proved
