"""Calls: of a primitive op, of a block, of a block that is a parameter, of a whole network."""

from __future__ import annotations

from typing import Any

from netspec.diagnostics.errors import did_you_mean, listed
from netspec.elaborate.arguments import Slot, argument, collect, literal
from netspec.elaborate.blocks import block, which_value
from netspec.elaborate.parameters import quoted
from netspec.elaborate.state import Context, Run, Where
from netspec.elaborate.symbols import ERROR, DependsOnError, Result, Tensors
from netspec.elaborate.unknown import check_arguments, may_make, named
from netspec.elaborate.values import BlockValue, Env, SemanticError, Word
from netspec.ops import Op, OpError, lookup
from netspec.ops.initialisers import check_init
from netspec.syntax.reader import Document
from netspec.syntax.step_reader import BlockDecl, Step
from netspec.syntax.tree import Map, Seq, Tree


def call(run: Run, step: Step, ctx: Context, entering: Tensors, where: Where) -> Result:
    """Runs the op of a step, whatever it names."""
    env = Env(run, ctx.frame, ctx.values, ctx.names, entering)
    bound = ctx.values.get(step.op)
    if isinstance(bound, BlockValue):
        args, arg_env = step.args, env
        if bound.args is not None:
            if step.args is not None:
                raise SemanticError(
                    "NS306", f"'{step.op}' has its arguments already: it was given with them", step.span
                )
            args, arg_env = bound.args, bound.env or env
        return _target(run, bound.target or lookup(bound.name), step, ctx, args, arg_env, entering, where)
    if bound is ERROR:
        raise DependsOnError
    target = named(run, step, ctx)
    if target is None or step.op != target.name:
        ctx.names.lose(may_make(run, step, ctx), "", step.span)
    if target is None or (isinstance(target, BlockDecl) and target.failed):
        check_arguments(env, step.args)
        return ERROR, None
    if isinstance(target, Op) and step.op != target.name:
        # Whether the arguments fit what was probably meant is not said: one error for one misspelling.
        with run.quietly():
            return primitive(run, target, step, ctx, step.args, env, entering, where), None
    return _target(run, target, step, ctx, step.args, env, entering, where)


def _target(
    run: Run,
    target: Op | BlockDecl | Document | None,
    step: Step,
    ctx: Context,
    args: Tree | None,
    arg_env: Env,
    entering: Tensors,
    where: Where,
) -> Result:
    if isinstance(target, Op):
        return primitive(run, target, step, ctx, args, arg_env, entering, where), None
    if isinstance(target, BlockDecl):
        return block(run, target, step, ctx, args, arg_env, entering, where), None
    from netspec.elaborate.blocks import network

    assert isinstance(target, Document)
    return network(run, target, step, ctx, args, arg_env, entering, where)


def primitive(
    run: Run, op: Op, step: Step, ctx: Context, args: Tree | None, env: Env, entering: Tensors, where: Where
) -> Tensors:
    """One node; every argument at fault is reported."""
    slots = [Slot(p.name, p.positional, p.type) for p in op.params]
    if op.weights:
        slots.append(Slot("init", positional=False))
    given, ok = collect(env, args, slots, op.name, step.span)
    values: dict[str, Any] = {}
    init: dict[str, Any] = {}
    for name, tree in given.items():
        try:
            if name == "init":
                init = _initialisers(env, op, tree)
            else:
                param = op.param(name)
                values[name] = argument(env, tree, param.type, name, param.one_of)
        except SemanticError as e:
            run.report(ctx.frame, e, tree.span)
            ok = False
        except DependsOnError:
            ok = False
    missing = [p.name for p in op.params if p.required and p.name not in given]
    if missing and ok:
        help_ = f"in order: {listed([p.name for p in op.params if p.positional])}"
        if isinstance(ctx.values.get(step.op), BlockValue):
            help_ = f"a block is given with its arguments: `{{{op.name}: {{{missing[0]}: ...}}}}`"
        run.error(ctx.frame, "NS305", f"'{op.name}' expects {quoted(missing)}", step.span, help_)
        ok = False
    if not ok or not entering.ok:
        return ERROR
    if op.arity is not None and len(entering.refs) != op.arity:
        raise SemanticError(
            "NS401",
            f"'{op.name}' takes {op.arity} value{'s' * (op.arity != 1)}, got {len(entering.refs)}",
            step.span,
            which_value(entering),
        )
    try:
        return run.node(op, entering.refs, values, init, where, ctx.frame, step.span, step.doc)
    except OpError as e:
        at = given[e.arg].span if e.arg in given else step.span
        help_ = e.help
        if "conv" in op.name and isinstance(args, Seq) and values.get("out") == run.shape_of(entering)[1]:
            help_ = "what enters is known: the arguments are, in order, out, kernel, stride, pad"
        run.error(ctx.frame, e.code, str(e), at, help_)
        return ERROR


def _initialisers(env: Env, op: Op, tree: Tree) -> dict[str, Any]:
    """`init: {weight: zeros, bias: -2}`; raises SemanticError."""
    if not isinstance(tree, Map):
        raise SemanticError("NS302", "`init` names tensors: `{weight: zeros, bias: -2}`", tree.span)
    found: dict[str, Any] = {}
    for key, value in tree.entries:
        if key.text not in op.weights:
            raise SemanticError(
                "NS206", f"'{op.name}' has no tensor '{key.text}'", key.span, did_you_mean(key.text, op.weights)
            )
        if isinstance(value, Map):
            found[key.text] = {k.text: literal(env, v) for k, v in value.entries}
        else:
            found[key.text] = literal(env, value)
        if isinstance(found[key.text], Word):
            found[key.text] = str(found[key.text])
        problem = check_init(found[key.text])
        if problem:
            raise SemanticError("NS307", problem, value.span)
    return found
