"""Steps, in source order: conditions, loops, groups and tees, joins and calls."""

from __future__ import annotations

from collections.abc import Sequence

from netspec.diagnostics.errors import SemanticError
from netspec.elaborate.bindings import define, name_of, read_from, shared
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
from netspec.syntax.keywords import JOINS
from netspec.syntax.step_reader import Step


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
        if "each" in step.keywords:
            value = each_step(step, ctx, running, _once)
        elif "for" in step.keywords or "repeat" in step.keywords:
            value = repeat_step(step, ctx, running, _once)
        else:
            name = name_of(ctx.env(running), step)
            value, children = _once(step, ctx, running, ctx.where.child(name))
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
    state, env = ctx.state, ctx.env(running)
    if "only_if" in step.keywords and not condition(env, step.keywords["only_if"], "only_if"):
        return ABSENT, None
    if "when" in step.keywords and not condition(env, step.keywords["when"], "when"):
        if numbered and step.otherwise:
            state.graph.scope(ctx.site(where, step), "round")
            ctx = ctx.inside(where, ctx.symbols)
        return ctx.run(step.otherwise, running), None
    if reads and "from" in step.keywords:
        running = read_from(env, step.keywords["from"])
    state.tick(len(running.names) // 8)
    if running.names and ctx.frame.inputs and running.names == tuple(ctx.frame.inputs):
        ctx.frame.reads.update(running.names)
    if "share" in step.keywords:
        where = shared(step, ctx, where)
    if step.op == "do":
        return _group(step, ctx, running, where, "round" if numbered else "group")
    if step.op == "tee":
        value, symbols = _group(step, ctx, running, where, "tee")
        if ctx.frame.until is not None:
            state.graph.offered.append(Offer(value, step.span, ctx.frame, where.path))
        return value, symbols
    if step.op in JOINS:
        return run_join(step, ctx, running, where, numbered)
    return call(step, ctx, running, where)


def _group(step: Step, ctx: Context, running: Tensors, where: Where, kind: ScopeKind) -> Result:
    """The steps of `do` or `tee`, in a scope of their own."""
    ctx.state.graph.scope(ctx.site(where, step), kind)
    inner = ctx.inside(where)
    value = inner.run(step.steps, running)
    return ERROR if step.broken else value, inner.symbols
