"""Joins: concat, add, mul, mean and max, and their branches."""

from __future__ import annotations

from dataclasses import replace

from netspec.diagnostics.errors import Hint, SemanticError
from netspec.elaborate.arguments import argument
from netspec.elaborate.bindings import TWO_JOINS, define, name_of, name_taken, read_from
from netspec.elaborate.budget import WORK_OF_STEP
from netspec.elaborate.context import Context
from netspec.elaborate.literals import condition
from netspec.elaborate.loops import each_branch
from netspec.elaborate.mismatch import advice
from netspec.elaborate.places import Site, Where
from netspec.elaborate.symbols import ABSENT, ERROR, DependsOnError, Operand, Result, Symbol, SymbolTable, Tensors
from netspec.expressions.values import Value
from netspec.ops import OPS, OpError
from netspec.ops.base import show
from netspec.syntax.ast import PathNode, Paths, Source
from netspec.syntax.meant import numbers_to_a_join
from netspec.syntax.steps import Branch, Join, Step


def run_join(step: Step, ctx: Context, running: Tensors, where: Where, looped: bool) -> Result:
    """concat, add, mul, mean, max: joins its branches, or the values of `from`."""
    children: SymbolTable | None = None
    if step.branches:
        _refuse_numbers(step, ctx)
        operands, children = _branches(step, ctx, running, where, looped)
        if not operands and not step.broken:
            message = f"every branch of '{step.op}' is left out"
            raise SemanticError("NS402", message, step.span, "keep at least one of them")
    elif step.broken:
        return ERROR, children
    elif step.source is not None:
        operands = _read_operands(step.source, running)
    else:
        help_ = "give it branches, `{left: [...], right: [...]}`, or `from: [a, b]`"
        raise SemanticError("NS305", f"'{step.op}' has nothing to join", step.span, help_)
    attrs = _attributes(step, ctx, running)
    if step.broken or attrs is None or any(value.state for _, value in operands):
        return ERROR, children
    if not operands:
        raise SemanticError("NS305", f"'{step.op}' has nothing to join", step.span, "`from` names no value")
    if len(operands) == 1:
        return operands[0][1], children
    refs = tuple(value.refs[0] for _, value in operands)
    try:
        value = ctx.state.graph.node(OPS[step.op], refs, attrs, {}, ctx.site(where, step))
    except OpError as e:
        given = step.action.args.get(e.arg) if isinstance(step.action, Join) and step.action.args is not None else None
        if given is not None:
            ctx.state.error(ctx.frame, e.code, str(e), given.span, e.help)
            return ERROR, children
        _disagree(step, ctx, operands, e)
        return ERROR, children
    return value, children


def _attributes(step: Step, ctx: Context, running: Tensors) -> dict[str, Value] | None:
    """What is written next to the branches; None where an attribute is at fault, which is reported."""
    args = step.action.args if isinstance(step.action, Join) else None
    found: dict[str, Value] | None = {}
    for key, node in args.entries if args is not None else ():
        try:
            param = OPS[step.op].param(key.text)
            value = argument(ctx.env(running), node, param.type, key.text, param.one_of)
            found = None if found is None else found | {key.text: value}
        except SemanticError as e:
            ctx.state.report(ctx.frame, e, node.span)
            found = None
        except DependsOnError:
            found = None
    return found


def _read_operands(source: Source, running: Tensors) -> list[Operand]:
    """The values of `from`, each with its path where these are listed one by one."""
    paths = [item.text for item in source.items if isinstance(item, PathNode)] if isinstance(source, Paths) else []
    if len(paths) != len(running.refs):
        paths = [str(i) for i in range(len(running.refs))]
    return [(path, Tensors((ref,))) for path, ref in zip(paths, running.refs, strict=True)]


def _refuse_numbers(step: Step, ctx: Context) -> None:
    """`mean: [2, 3]`, where no steps are called so, is one error; raises SemanticError."""
    paths = [branch.path for branch in step.branches if branch.path is not None]
    numbers = [path for path in paths if isinstance(path, PathNode) and path.is_number]
    if len(numbers) == len(step.branches) and not any(ctx.symbols.visible(path.text) for path in numbers):
        listed = ", ".join(path.text for path in numbers[:4])
        message = f"'{step.op}' joins values, and there is no step '{listed}' before this one"
        raise SemanticError("NS203", message, numbers[0].span, numbers_to_a_join(step.op))


def _disagree(step: Step, ctx: Context, operands: list[Operand], error: OpError) -> None:
    """Reports branches that cannot be joined; what their sizes show is worked out when it is read."""
    state = ctx.state
    shapes = ", ".join(f"{label} is {show(state.graph.shape_of(v))}" for label, v in operands[:6])
    help_ = Hint(lambda: advice(state.graph.nodes, operands, ctx.frame, error))
    state.error(ctx.frame, "NS402", f"the branches of '{step.op}' disagree: {shapes}", step.span, help_)


def _branches(
    step: Step, ctx: Context, running: Tensors, where: Where, looped: bool
) -> tuple[list[Operand], SymbolTable | None]:
    """The values of the branches with their labels; an unnamed join keeps named branches in the scope around it."""
    transparent = step.name is None and not looped and isinstance(step.action, Join) and step.action.by_name
    inner = ctx if transparent else replace(ctx, where=where)
    found = SymbolTable() if transparent else SymbolTable(ctx.symbols)
    operands: list[Operand] = []
    for branch in step.branches:
        ctx.state.tick(WORK_OF_STEP)
        made: list[Operand] = [(branch.counted, ERROR)]
        try:
            made = _branch(branch, inner, found, running)
        except SemanticError as e:
            ctx.state.report(ctx.frame, e, branch.span)
        except DependsOnError:
            pass
        if any(value.state == "error" for _, value in made):
            found.lose([branch.makes], inner.where.path, branch.span)
        operands += made
    if not transparent:
        return operands, found
    _keep_around(ctx, found)
    return operands, None


def _keep_around(ctx: Context, found: SymbolTable) -> None:
    """The names of the branches of an unnamed join are names of the scope around it; raises SemanticError."""
    symbols = ctx.symbols
    for name, symbol in found.entries.items():
        old = symbols.visible(name) if symbol.written else symbols.entries.get(name)
        if old is not None and (old.written or name in symbols.entries):
            raise name_taken(ctx, name, symbol, old, TWO_JOINS)
        symbols.entries[name] = symbol
    symbols.lost |= found.lost


def _branch(branch: Branch, ctx: Context, found: SymbolTable, running: Tensors) -> list[Operand]:
    """One branch, or its iterations under `each`."""
    if branch.failed:
        raise DependsOnError
    env = ctx.env(running)
    if branch.path is not None:
        if branch.siblings is not None and branch.siblings.failed and ctx.symbols.visible(branch.path.text) is None:
            raise DependsOnError  # a list of steps in place of a list of branches is one error
        value = read_from(env, branch.path)
        return [(branch.path.text, Tensors((ref,))) for ref in value.refs]
    template = branch.template
    if found.parent is None and template is not None and template.is_plain:
        plain = template.written("")
        old = ctx.symbols.entries.get(plain)
        if old is not None and old.value is not ERROR:
            raise name_taken(ctx, plain, Symbol(ERROR, old.path, branch.span, True), old, TWO_JOINS)
    if branch.only_if is not None and not condition(env, branch.only_if, "only_if"):
        define(ctx, name_of(env, branch), branch, ABSENT, None, found)
        return []
    if branch.loop is not None:
        return each_branch(branch, ctx, found, running, _branch_once)
    name = name_of(env, branch)
    value, symbols = _branch_once(branch, ctx, running, ctx.where.child(name))
    define(ctx, name, branch, value, symbols, found)
    return [(name, value)]


def _branch_once(branch: Branch, ctx: Context, running: Tensors, where: Where) -> Result:
    """One iteration of a branch: from its own `from` or the running value, through its steps; gives one tensor."""
    if branch.source is not None:
        running = read_from(ctx.env(running), branch.source)
    symbols = SymbolTable(ctx.symbols, branch=branch)
    if branch.steps:
        ctx.state.graph.scope(Site(where, ctx.frame, branch.span), "branch")
    value = ctx.inside(where, symbols).run(branch.steps, running)
    if branch.broken:
        return ERROR, symbols
    if value.ok and len(value.refs) != 1:
        raise SemanticError(
            "NS402",
            f"the branch '{where.path.rpartition('.')[2]}' gives {len(value.refs)} values",
            branch.span,
            "a branch gives one; say `from` or join them first",
        )
    return value, symbols
