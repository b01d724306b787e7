"""Steps, in source order: conditions, loops, groups and tees, joins and calls."""

from __future__ import annotations

from collections.abc import Sequence

from netspec.diagnostics.errors import SemanticError
from netspec.elaborate.bindings import define, name_of, read_from, shared, title_of
from netspec.elaborate.budget import WORK_OF_ERROR, WORK_OF_STEP
from netspec.elaborate.call import call
from netspec.elaborate.context import Context, Elaborator
from netspec.elaborate.graph_builder import Offer
from netspec.elaborate.joins import run_join
from netspec.elaborate.literals import condition
from netspec.elaborate.loops import each_step, repeat_step
from netspec.elaborate.places import Where
from netspec.elaborate.symbols import ABSENT, ERROR, DependsOnError, Result, Tensors
from netspec.ir.graph import ScopeKind
from netspec.syntax.ast import Each, Error
from netspec.syntax.steps import Group, Join, Step, Tee


class StepElaborator(Elaborator):
    """Runs steps one after the other."""

    def run(self, steps: Sequence[Step], ctx: Context, running: Tensors) -> Tensors:
        """Runs steps one after the other; the result of the last is the value."""
        for step in steps:
            if ctx.frame.stopped:
                break
            running = run_step(step, ctx, running)
        return running


def run_step(step: Step, ctx: Context, running: Tensors) -> Tensors:
    """One step with its loops; an error in it is reported and makes its value an error value."""
    state, frame = ctx.state, ctx.frame
    state.tick(WORK_OF_STEP)
    value = ERROR
    try:
        if step.failed:
            raise DependsOnError
        if isinstance(step.loop, Each):
            value = each_step(step, ctx, running, _once)
        elif step.loop is not None:
            value = repeat_step(step, ctx, running, _once)
        else:
            name = name_of(ctx.env(running), step)
            value, children = _once(step, ctx, running, ctx.where.child(name, title_of(ctx.env(running), step)))
            define(ctx, name, step, value, children)
    except SemanticError as e:
        state.report(frame, e, step.span)
    except DependsOnError:
        pass
    if value.state == "error":
        state.tick(WORK_OF_ERROR)
        ctx.symbols.lose(step.makes, ctx.where.path, step.span)
    if frame.until is not None and (symbol := ctx.symbols.entries.get(frame.until.rpartition(".")[2])) is not None:
        frame.reach(symbol.path)
    return running if step.op == "tee" else value


def _once(
    step: Step, ctx: Context, running: Tensors, where: Where, reads: bool = True, numbered: bool = False
) -> Result:
    """One iteration of a step: its condition, what enters it, its op.

    `reads` says whether its `from` applies, `numbered` whether it is held by the scope of a loop, by its number.
    """
    state, env, action = ctx.state, ctx.env(running), step.action
    if step.only_if is not None and not condition(env, step.only_if, "only_if"):
        return ABSENT, None
    if step.when is not None and not condition(env, step.when, "when"):
        if isinstance(step.orelse, Error):
            raise DependsOnError
        if numbered and step.orelse:
            state.graph.scope(ctx.site(where, step), "iteration")
            ctx = ctx.inside(where, ctx.symbols)
        return ctx.run(step.orelse, running), None
    if reads and step.source is not None:
        running = read_from(env, step.source)
    state.tick(len(running.names) // 8)
    if running.names and ctx.frame.inputs and running.names == tuple(ctx.frame.inputs):
        ctx.frame.reads.update(running.names)
    where = shared(step, ctx, where)
    if isinstance(action, Group):
        return _group(step, action, ctx, running, where, "iteration" if numbered else "group")
    if isinstance(action, Tee):
        value, symbols = _group(step, action, ctx, running, where, "tee")
        if ctx.frame.until is not None:
            state.graph.offered.append(Offer(value, step.span, ctx.frame, where.path))
        return value, symbols
    if isinstance(action, Join):
        return run_join(step, ctx, running, where, numbered)
    return call(step, ctx, running, where)


def _group(step: Step, group: Group | Tee, ctx: Context, running: Tensors, where: Where, kind: ScopeKind) -> Result:
    """The steps of `do` or `tee`, in a scope of their own."""
    ctx.state.graph.scope(ctx.site(where, step), kind)
    inner = ctx.inside(where)
    value = inner.run(group.steps, running)
    return ERROR if step.broken else value, inner.symbols
