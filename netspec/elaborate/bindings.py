"""Bindings: the names of steps and branches, what they read, and whose weights they share."""

from __future__ import annotations

from dataclasses import replace

from netspec.diagnostics.errors import Hint, Span, did_you_mean
from netspec.elaborate.arguments import fill, filled_name
from netspec.elaborate.state import Context, Run, Where
from netspec.elaborate.symbols import ERROR, DependsOnError, Symbol, SymbolTable, Tensors, place_of
from netspec.elaborate.unknown import unknown_op
from netspec.elaborate.values import Env, SemanticError
from netspec.expressions.expression import parse_template
from netspec.expressions.identifiers import Kind, Path, why_no_part
from netspec.ir.graph import Ref
from netspec.syntax.step_reader import Branch, Step
from netspec.syntax.tree import Map, Scalar, Seq, Tree


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
        raise name_taken(ctx, name, symbol.path, old, span, "give one of them a name of its own: `name = op: ...`")
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
        raise name_taken(ctx, name, symbol.path, names.visible(name) or symbol, span, "")
    names.entries[name] = symbol
    return symbol


TWO_JOINS = "name one of the two joins, or give its branches other names"


def name_taken(ctx: Context, name: str, path: str, old: Symbol, span: Span, help: str) -> SemanticError:
    """The error of a path that two steps have, or of a name that an input has."""
    if name in ctx.frame.inputs:
        message = f"'{name}' is the name of an input already, {place_of(old.span, span)}"
        return SemanticError("NS204", message, span, "choose another name")
    return SemanticError("NS204", f"two steps have the path '{path}': here and {place_of(old.span, span)}", span, help)


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
