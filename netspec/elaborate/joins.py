"""Joins: concat, add, mul, mean and max, and their branches."""

from __future__ import annotations

from dataclasses import replace

from netspec.diagnostics.errors import Hint
from netspec.elaborate.arguments import condition
from netspec.elaborate.bindings import TWO_JOINS, define, name_of_branch, name_taken, read_from
from netspec.elaborate.budget import WORK_OF_STEP
from netspec.elaborate.mismatch import advice
from netspec.elaborate.state import Context, Run, Where
from netspec.elaborate.symbols import ABSENT, ERROR, DependsOnError, Result, SymbolTable, Tensors
from netspec.elaborate.values import Env, SemanticError
from netspec.ops import OPS, OpError
from netspec.ops.base import show
from netspec.syntax.meant import numbers_to_a_join
from netspec.syntax.step_reader import Branch, Step
from netspec.syntax.tree import Map, Scalar, Seq


def run_join(run: Run, step: Step, ctx: Context, running: Tensors, where: Where, looped: bool) -> Result:
    """concat, add, mul, mean, max: joins its branches, or the values of `from`."""
    children: SymbolTable | None = None
    if step.branches:
        _refuse_numbers(step, ctx)
        operands, children = _branches(run, step, ctx, running, where, looped)
        if not operands and not step.broken:
            raise SemanticError(
                "NS402", f"every branch of '{step.op}' is left out", step.span, "keep at least one of them"
            )
    elif step.broken:
        return ERROR, children
    elif "from" in step.keywords:
        labels = step.keywords["from"]
        texts = [t.text for t in labels.items if isinstance(t, Scalar)] if isinstance(labels, Seq) else []
        operands = [
            (texts[i] if len(texts) == len(running.refs) else str(i), Tensors((r,))) for i, r in enumerate(running.refs)
        ]
    else:
        raise SemanticError(
            "NS305",
            f"'{step.op}' has nothing to join",
            step.span,
            "give it branches, `{left: [...], right: [...]}`, or `from: [a, b]`",
        )
    if step.broken or any(value.state for _, value in operands):
        return ERROR, children
    if not operands:
        raise SemanticError("NS305", f"'{step.op}' has nothing to join", step.span, "`from` names no value")
    if len(operands) == 1:
        return operands[0][1], children
    refs = tuple(value.refs[0] for _, value in operands)
    try:
        value = run.node(OPS[step.op], refs, {}, {}, where, ctx.frame, step.span, step.doc)
    except OpError as e:
        _disagree(run, step, ctx, operands, e)
        return ERROR, children
    return value, children


def _refuse_numbers(step: Step, ctx: Context) -> None:
    """`mean: [2, 3]`, where no steps are called so, is one error; raises SemanticError."""
    paths = [branch.path for branch in step.branches if branch.path is not None]
    numbers = [path for path in paths if isinstance(path.value, (int, float))]
    if len(numbers) == len(step.branches) and not any(ctx.names.visible(path.text) for path in numbers):
        said = ", ".join(path.text for path in numbers[:4])
        message = f"'{step.op}' joins values, and there is no step '{said}' before this one"
        raise SemanticError("NS203", message, numbers[0].span, numbers_to_a_join(step.op))


def _disagree(run: Run, step: Step, ctx: Context, operands: list[tuple[str, Tensors]], error: OpError) -> None:
    """Reports branches that cannot be joined; what their sizes show is worked out when it is read."""
    shapes = ", ".join(f"{label} is {show(run.shape_of(v))}" for label, v in operands[:6])
    help_ = Hint(lambda: advice(run, step.op, operands, ctx.frame, error))
    run.error(ctx.frame, "NS402", f"the branches of '{step.op}' disagree: {shapes}", step.span, help_)


def _branches(
    run: Run, step: Step, ctx: Context, running: Tensors, where: Where, looped: bool
) -> tuple[list[tuple[str, Tensors]], SymbolTable | None]:
    """The values of the branches with their labels; an unnamed join keeps named branches in the scope around it."""
    transparent = step.name is None and not looped and isinstance(step.args, Map)
    inner = ctx if transparent else replace(ctx, where=where)
    found = SymbolTable() if transparent else SymbolTable(ctx.names)
    operands: list[tuple[str, Tensors]] = []
    for branch in step.branches:
        run.tick(WORK_OF_STEP)
        made: list[tuple[str, Tensors]] = [(branch.counted, ERROR)]
        try:
            made = _branch(run, branch, inner, ctx.names, found, running)
        except SemanticError as e:
            run.report(ctx.frame, e, branch.at.span)
        except DependsOnError:
            pass
        if any(value.state == "error" for _, value in made):
            found.lose([branch.makes], inner.where.path, branch.at.span)
        operands += made
    if transparent:
        for name, symbol in found.entries.items():
            old = ctx.names.visible(name) if symbol.written else ctx.names.entries.get(name)
            if old is not None and (old.written or name in ctx.names.entries):
                raise name_taken(ctx, name, symbol.path, old, symbol.span or step.span, TWO_JOINS)
            ctx.names.entries[name] = symbol
        ctx.names.lost |= found.lost
        return operands, None
    return operands, found


def _branch(
    run: Run, branch: Branch, ctx: Context, around: SymbolTable, found: SymbolTable, running: Tensors
) -> list[tuple[str, Tensors]]:
    """One branch, or its rounds under `each`."""
    from netspec.elaborate.loops import rounds_of_each

    if branch.failed:
        raise DependsOnError
    env = Env(run, ctx.frame, ctx.values, around, running)
    if branch.path is not None:
        if branch.siblings is not None and branch.siblings.failed and around.visible(branch.path.text) is None:
            raise DependsOnError  # one list of steps that stands in place of a list of branches is one error
        value = read_from(env, branch.path)
        return [(branch.path.text, Tensors((ref,))) for ref in value.refs]
    if found.parent is None and branch.name is not None and branch.name.is_plain:
        taken = around.entries.get(branch.name.fill(None))
        if taken is not None and taken.value is not ERROR:
            raise name_taken(ctx, branch.name.fill(None), taken.path, taken, branch.at.span, TWO_JOINS)
    if "only_if" in branch.keywords and not condition(env, branch.keywords["only_if"], "only_if"):
        name = name_of_branch(env, branch)
        define(run, ctx, name, branch, ABSENT, None, found)
        return []
    if "each" in branch.keywords:
        return rounds_of_each(run, branch, ctx, around, found, running)
    name = name_of_branch(env, branch)
    where = ctx.where.child(name)
    value, names = branch_once(run, branch, ctx, around, where, running)
    define(run, ctx, name, branch, value, names, found)
    return [(name, value)]


def branch_once(run: Run, branch: Branch, ctx: Context, around: SymbolTable, where: Where, running: Tensors) -> Result:
    """One round of a branch: from its own `from` or the running value, through its steps; gives one tensor."""
    from netspec.elaborate.steps import run_steps

    env = Env(run, ctx.frame, ctx.values, around, running)
    if "from" in branch.keywords:
        running = read_from(env, branch.keywords["from"])
    names = SymbolTable(around, branch=branch)
    if branch.steps:
        run.scope(where, "branch", ctx.frame, branch.at.span)
    value = run_steps(run, branch.steps, ctx.inside(where, names), running)
    if branch.broken:
        return ERROR, names
    if value.ok and len(value.refs) != 1:
        raise SemanticError(
            "NS402",
            f"the branch '{where.path.rpartition('.')[2]}' gives {len(value.refs)} values",
            branch.at.span,
            "a branch gives one; say `from` or join them first",
        )
    return value, names
