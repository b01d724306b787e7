"""Steps: conditions, loops, sharing, joins and tees, in the order of the text."""

from __future__ import annotations

from netspec.elaborate.arguments import condition
from netspec.elaborate.bindings import define, name_of, read_from, shared
from netspec.elaborate.budget import WORK_OF_ERROR, WORK_OF_STEP
from netspec.elaborate.call import call
from netspec.elaborate.joins import run_join
from netspec.elaborate.loops import each, sequence
from netspec.elaborate.state import Context, Run, Where, join
from netspec.elaborate.symbols import ABSENT, ERROR, DependsOnError, Result, Tensors
from netspec.elaborate.values import Env, SemanticError
from netspec.syntax.step_reader import JOINS, Step


def run_steps(run: Run, steps: tuple[Step, ...], ctx: Context, running: Tensors) -> Tensors:
    """Runs steps one after the other; the result of the last is the value."""
    for step in steps:
        if ctx.frame.stopped:
            break
        running = run_step(run, step, ctx, running)
    return running


def run_step(run: Run, step: Step, ctx: Context, running: Tensors) -> Tensors:
    """One step with its loops; a mistake in it is reported and makes its value an error value."""
    run.tick(WORK_OF_STEP)
    value = ERROR
    try:
        if step.failed:
            raise DependsOnError
        if "each" in step.keywords:
            value = each(run, step, ctx, running)
        elif "for" in step.keywords or "repeat" in step.keywords:
            value = sequence(run, step, ctx, running)
        else:
            env = Env(run, ctx.frame, ctx.values, ctx.names, running)
            name = name_of(env, step)
            value, children = once(run, step, ctx, running, ctx.where.child(name))
            define(run, ctx, name, step, value, children)
    except SemanticError as e:
        run.report(ctx.frame, e, step.span)
    except DependsOnError:
        pass
    if value.state == "error":
        run.tick(WORK_OF_ERROR)
        ctx.names.lose(step.makes, ctx.where.path, step.span)
    _stop_at(ctx)
    return running if step.op == "tee" else value


def _stop_at(ctx: Context) -> None:
    """Stops the body of a network that is used `until` a step, once that step is there."""
    until = ctx.frame.until
    if until is not None and not ctx.frame.stopped:
        path = join(ctx.frame.prefix, until)
        symbol = ctx.names.entries.get(until.rpartition(".")[2])
        ctx.frame.stopped = symbol is not None and symbol.path == path


def once(
    run: Run, step: Step, ctx: Context, running: Tensors, where: Where, feed: bool = True, looped: bool = False
) -> Result:
    """One round of a step: its condition, what enters it, its op; `feed` says whether `from` applies."""
    env = Env(run, ctx.frame, ctx.values, ctx.names, running)
    if "only_if" in step.keywords and not condition(env, step.keywords["only_if"], "only_if"):
        return ABSENT, None
    if "when" in step.keywords and not condition(env, step.keywords["when"], "when"):
        inner = ctx.inside(where, ctx.names) if looped else ctx
        return run_steps(run, step.otherwise, inner, running), None
    if feed and "from" in step.keywords:
        running = read_from(env, step.keywords["from"])
    run.tick(len(running.names) // 8)
    if running.names and ctx.frame.inputs and running.names == tuple(ctx.frame.inputs):
        ctx.frame.reads.update(running.names)
    if "share" in step.keywords:
        where = shared(run, step, ctx, where)
    if step.op == "do":
        run.scope(where, "round" if looped else "group", ctx.frame, step.span, doc=step.doc)
        return _group(run, step, ctx, running, where)
    if step.op == "tee":
        run.scope(where, "tee", ctx.frame, step.span, doc=step.doc)
        value, names = _group(run, step, ctx, running, where)
        if ctx.frame.until is not None:
            run.offered.append((value, step.span, ctx.frame, where.path))
        return value, names
    if step.op in JOINS:
        return run_join(run, step, ctx, running, where, looped)
    return call(run, step, ctx, running, where)


def _group(run: Run, step: Step, ctx: Context, running: Tensors, where: Where) -> Result:
    inner = ctx.inside(where)
    value = run_steps(run, step.steps, inner, running)
    return ERROR if step.broken else value, inner.names
