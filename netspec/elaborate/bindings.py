"""Bindings: the names of steps and branches, what they read, and whose weights they share."""

from __future__ import annotations

from dataclasses import replace

from netspec.diagnostics.errors import Hint, SemanticError, Span, did_you_mean
from netspec.elaborate.context import Context
from netspec.elaborate.literals import fill, filled_name, filled_path
from netspec.elaborate.places import Title, Where
from netspec.elaborate.symbols import ERROR, DependsOnError, Symbol, SymbolTable, Tensors, place_of
from netspec.elaborate.unknown import unknown_op
from netspec.elaborate.values import Env
from netspec.expressions.identifiers import Kind, Path, clipped, why_no_part, why_no_title
from netspec.ir.graph import Ref
from netspec.syntax.ast import Error, Paths, ShareLoop, Source
from netspec.syntax.steps import Branch, Step

OF_ITS_OWN = "give one of them a name of its own: `name = op: ...`"
TWO_JOINS = "name one of the two joins, or give its branches other names"


def name_of(env: Env, element: Step | Branch) -> str:
    """The written name with its placeholders filled, or the counted one; raises SemanticError where it is none."""
    if isinstance(element, Branch):
        template, at = element.template, element.span
        return element.counted if template is None else filled_name(env, template, Kind.BRANCH, at)
    if element.template is not None:
        return filled_name(env, element.template, Kind.STEP, element.head)
    if why := why_no_part(element.counted):
        if element.op not in env.values:
            raise unknown_op(env.state, element, env.frame.home) or DependsOnError
        message = f"a step without a name has that of its op, and '{element.op}' cannot be the name of a step: {why}"
        raise SemanticError("NS205", message, element.span, f"give it a name: `name = {element.op}`")
    return element.counted


def title_of(env: Env, step: Step) -> Title | None:
    """What a paper calls a step, its placeholders filled; raises SemanticError."""
    template = step.title
    if template is None or isinstance(template, Error):
        return None
    at = template.span
    text = fill(env, template, at)
    if why := why_no_title(text):
        raise SemanticError("NS205", f"this makes the title '{clipped(text)}', which cannot be one: {why}", at)
    return Title(text, at)


def define(
    ctx: Context,
    name: str,
    element: Step | Branch,
    value: Tensors,
    children: SymbolTable | None,
    symbols: SymbolTable | None = None,
) -> Symbol:
    """Gives a name its meaning; raises SemanticError where it is taken or shadows another."""
    symbols = symbols or ctx.symbols
    span = element.span
    symbol = Symbol(value, ctx.where.child(name).path, span, element.name is not None, children)
    old = symbols.entries.get(name)
    if old is not None and old.value is not ERROR:
        raise name_taken(ctx, name, symbol, old, OF_ITS_OWN)
    if symbol.written and symbols.parent is not None:
        above = symbols.parent.visible(name)
        if above is not None and above.written:
            raise SemanticError(
                "NS204",
                f"'{name}' is the name of a step around this one already, {place_of(above.span, span)}",
                span,
                "choose another name",
            )
    if symbol.written and name in ctx.frame.inputs:
        raise name_taken(ctx, name, symbol, symbols.visible(name) or symbol, "")
    symbols.entries[name] = symbol
    return symbol


def name_taken(ctx: Context, name: str, symbol: Symbol, old: Symbol, help: str) -> SemanticError:
    """The error of a path that two steps have, or of a name that an input has."""
    if name in ctx.frame.inputs:
        message = f"'{name}' is the name of an input already, {place_of(old.span, symbol.span)}"
        return SemanticError("NS204", message, symbol.span, "choose another name")
    message = f"two steps have the path '{symbol.path}': here and {place_of(old.span, symbol.span)}"
    return SemanticError("NS204", message, symbol.span, help)


def read_from(env: Env, source: Source) -> Tensors:
    """The value that `from` names, or the values of a list of paths; raises SemanticError or DependsOnError."""
    if isinstance(source, Paths):
        refs: list[Ref] = []
        for item in source.items:
            refs += read_from(env, item).refs
        return Tensors(tuple(refs), tuple(map(str, range(len(refs)))))
    try:
        found = env.resolve(filled_path(env, source))
        env.state.tick(1 + len(found.refs) // 4)
        return found
    except SemanticError as e:
        raise e.at(source.span) from None


def shared(step: Step, ctx: Context, where: Where) -> Where:
    """The place of a step whose weights are another's; raises SemanticError."""
    share = step.share
    if share is None:
        return where
    if isinstance(share, Error):
        raise DependsOnError
    if isinstance(share, ShareLoop):
        if not ctx.loops:
            raise SemanticError(
                "NS405",
                "`share: true` is in no loop",
                share.span,
                "it makes the iterations of the nearest loop share their weights; a path shares another step's",
            )
        loop = ctx.loops[-1]
        return replace(where, weights=Path(loop.shared + where.weights[len(loop.current) :]))
    env = ctx.env()
    own = tuple(filled_path(env, path) for path in share.own)
    weights = _weights_of(ctx, filled_path(env, share.of), share.of.span)
    apart = ((where.path, own),) if own else ()
    return Where(where.path, weights, (*where.own, *apart), written=True, title=where.title)


def _weights_of(ctx: Context, path: str, at: Span) -> Path:
    """The prefix of the weights of what stands at a path; raises SemanticError or DependsOnError."""
    first, _, rest = path.partition(".")
    symbol = ctx.symbols.visible(first)
    if symbol is None:
        error = ctx.symbols.miss(first, did_you_mean(first, ctx.symbols.all()))
        raise SemanticError(error.code, error.message, at, error.help)
    known = ctx.state.graph.weights_of
    found = f"{symbol.path}.{rest}" if rest else symbol.path
    if found in known:
        return Path(known[found])
    if symbol.value is ERROR:
        raise DependsOnError
    prefix = f"{symbol.path}."

    def near() -> str:
        return str(did_you_mean(rest, (p[len(prefix) :] for p in known if p.startswith(prefix))))

    raise SemanticError("NS203", f"there is no '{rest}' in '{first}' to share with", at, Hint(near))
