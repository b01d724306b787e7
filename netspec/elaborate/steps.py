"""Steps: conditions, loops, sharing, joins and tees, in the order of the text."""

from __future__ import annotations

from dataclasses import replace

from netspec.diagnostics.errors import Hint, Span, did_you_mean
from netspec.elaborate.arguments import condition, expression, fill, filled_name
from netspec.elaborate.call import call
from netspec.elaborate.loops import each, sequence
from netspec.elaborate.mismatch import advice
from netspec.elaborate.state import WORK_OF_ERROR, WORK_OF_STEP, Context, Run, Where, join
from netspec.elaborate.unknown import unknown_op
from netspec.elaborate.values import (
    ABSENT,
    ERROR,
    DependsOnError,
    Env,
    SemanticError,
    Symbol,
    SymbolTable,
    Tensors,
    place_of,
)
from netspec.expressions.expression import parse_template
from netspec.expressions.identifiers import Kind, Path, why_no_part
from netspec.ir.graph import Ref
from netspec.ops import OPS, OpError
from netspec.ops.base import show
from netspec.syntax.meant import numbers_to_a_join
from netspec.syntax.step_reader import JOINS, Branch, Step
from netspec.syntax.yaml_reader import Map, Scalar, Seq, Tree

Result = tuple[Tensors, SymbolTable | None]


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


def name_of(env: Env, step: Step) -> str:
    """The written name with its placeholders filled, or the counted one; raises SemanticError."""
    if step.name is not None:
        return filled_name(env, step.name, Kind.STEP, step.op_at.span)
    if why := why_no_part(step.counted):
        if step.op not in env.values:
            raise unknown_op(env.run, step, env.frame.home) or DependsOnError
        message = f"a step without a name has that of its op, and '{step.op}' cannot be the name of a step: {why}"
        raise SemanticError("NS205", message, step.span, f"give it a name: `name = {step.op}`")
    return step.counted


def name_of_branch(env: Env, branch: Branch) -> str:
    """The written name with its placeholders filled, or the counted one."""
    return branch.counted if branch.name is None else filled_name(env, branch.name, Kind.BRANCH, branch.at.span)


def define(
    run: Run,
    ctx: Context,
    name: str,
    step: Step | Branch,
    value: Tensors,
    children: SymbolTable | None,
    names: SymbolTable | None = None,
) -> Symbol:
    """Gives a name its meaning; raises SemanticError where it is taken or shadows another."""
    names = names or ctx.names
    span = step.span if isinstance(step, Step) else step.at.span
    symbol = Symbol(value, ctx.where.child(name).path, span, step.name is not None, children)
    old = names.entries.get(name)
    if old is not None and old.value is not ERROR:
        raise _taken(ctx, name, symbol.path, old, span, "give one of them a name of its own: `name = op: ...`")
    if symbol.written and names.parent is not None:
        above = names.parent.visible(name)
        if above is not None and above.written:
            raise SemanticError(
                "NS204",
                f"'{name}' is the name of a step around this one already, {place_of(above.span, span)}",
                span,
                "choose another name",
            )
    if symbol.written and name in ctx.frame.inputs:
        raise _taken(ctx, name, symbol.path, names.visible(name) or symbol, span, "")
    names.entries[name] = symbol
    return symbol


_TWO_JOINS = "name one of the two joins, or give its branches other names"


def _taken(ctx: Context, name: str, path: str, old: Symbol, span: Span, help: str) -> SemanticError:
    """The error of a path that two steps have, or of a name that an input has."""
    if name in ctx.frame.inputs:
        message = f"'{name}' is the name of an input already, {place_of(old.span, span)}"
        return SemanticError("NS204", message, span, "choose another name")
    return SemanticError("NS204", f"two steps have the path '{path}': here and {place_of(old.span, span)}", span, help)


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


def read_from(env: Env, tree: Tree) -> Tensors:
    """The value that `from` names, or the values of a list of paths; raises SemanticError or DependsOnError."""
    if isinstance(tree, Seq):
        refs: list[Ref] = []
        for item in tree.items:
            refs += read_from(env, item).refs
        return Tensors(tuple(refs), tuple(map(str, range(len(refs)))))
    if not isinstance(tree, Scalar):
        raise SemanticError("NS203", "a path is expected", tree.span)
    try:
        found = env.resolve(fill(env, parse_template(tree.text, tree.at), tree.span))
        env.run.tick(1 + len(found.refs) // 4)
        return found
    except SemanticError as e:
        raise SemanticError(e.code, e.message, e.span or tree.span, e.help) from None


def shared(run: Run, step: Step, ctx: Context, where: Where) -> Where:
    """The place of a step whose weights are another's; raises SemanticError."""
    tree = step.keywords["share"]
    if isinstance(tree, Scalar) and tree.value is True:
        if not ctx.loops:
            raise SemanticError(
                "NS405",
                "`share: true` is in no loop",
                tree.span,
                "it makes the iterations of the nearest loop share their weights; a path shares another step's",
            )
        loop = ctx.loops[-1]
        return replace(where, weights=Path(loop.shared + where.weights[len(loop.current) :]))
    env = Env(run, ctx.frame, ctx.values, ctx.names, None)
    of: Tree = tree
    own: tuple[str, ...] = ()
    if isinstance(tree, Map):
        of = tree.get("of") or tree
        listed = tree.get("own")
        own = tuple(
            fill(env, parse_template(s.text, s.at), s.span)
            for s in (listed.items if isinstance(listed, Seq) else ())
            if isinstance(s, Scalar)
        )
    if not isinstance(of, Scalar):
        raise SemanticError("NS405", "`share` is true, a path, or {of: path, own: [names]}", tree.span)
    path = fill(env, parse_template(of.text, of.at), of.span)
    first, _, rest = path.partition(".")
    symbol = ctx.names.visible(first)
    if symbol is None:
        error = ctx.names.miss(first, did_you_mean(first, ctx.names.all()))
        raise SemanticError(error.code, error.message, of.span, error.help)
    found = f"{symbol.path}.{rest}" if rest else symbol.path
    if found not in run.weights_of:
        if symbol.value is ERROR:
            raise DependsOnError
        prefix = f"{symbol.path}."

        def near() -> str:
            return str(did_you_mean(rest, (p[len(prefix) :] for p in run.weights_of if p.startswith(prefix))))

        raise SemanticError("NS203", f"there is no '{rest}' in '{first}' to share with", of.span, Hint(near))
    apart = ((where.path, own),) if own else ()
    return Where(where.path, Path(run.weights_of[found]), (*where.own, *apart), written=True)


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
                raise _taken(ctx, name, symbol.path, old, symbol.span or step.span, _TWO_JOINS)
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
            raise _taken(ctx, branch.name.fill(None), taken.path, taken, branch.at.span, _TWO_JOINS)
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


def count_of(env: Env, tree: Tree, what: str) -> int:
    """A count of rounds; raises SemanticError."""
    value = expression(env, tree) if isinstance(tree, Scalar) else None
    if not isinstance(value, int) or isinstance(value, bool):
        raise SemanticError(
            "NS302",
            f"'{what}' expects a count",
            tree.span,
            "an integer; `//` divides integers" if isinstance(value, float) else "an integer",
        )
    if value < 0:
        raise SemanticError("NS307", f"'{what}' cannot be {value}", tree.span, "a count is 0 or more")
    return value


__all__ = ["Span", "branch_once", "count_of", "define", "name_of", "once", "run_step", "run_steps"]
