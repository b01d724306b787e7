"""Blocks: a call of a block, or of a network that is used as one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from netspec.diagnostics.errors import Frame, SemanticError, Span, did_you_mean, listed
from netspec.elaborate.arguments import Slot, collect
from netspec.elaborate.budget import MAX_CALLS, WORK_OF_CALL
from netspec.elaborate.context import Call, Context
from netspec.elaborate.interface import input_names, input_places, input_values, output_values
from netspec.elaborate.parameters import lets, parameters, replace_default, shown
from netspec.elaborate.places import Site, Where, join
from netspec.elaborate.rewritten import Fragment, variant_passes
from netspec.elaborate.symbols import ERROR, CallFrame, DependsOnError, Result, Symbol, SymbolTable, Tensors
from netspec.elaborate.values import Env
from netspec.expressions.arithmetic import weight
from netspec.expressions.identifiers import clipped
from netspec.ir.graph import Ref
from netspec.passes import of_stage
from netspec.passes.base import Pass, Stage
from netspec.syntax.reader import Document, Variant, lineage
from netspec.syntax.step_reader import BlockDecl, ParamDecl, Step
from netspec.syntax.tree import Scalar, Tree


def block(decl: BlockDecl, call: Call) -> Tensors:
    """A call of a block: binds its parameters, runs its body, gives its outputs."""
    state, step, where, running = call.ctx.state, call.step, call.where, call.entering
    frame = _enter(call, decl.name, decl.home, _inputs(decl, step, running))
    slots = [Slot(p.name, type=p.type) for p in decl.params]
    arguments = collect(call.env, call.args, slots, decl.name, step.span)
    symbols = SymbolTable()
    if decl.inputs:
        running = Tensors(running.refs, tuple(s.text for s in decl.inputs), running.state)
        symbols.entries |= _input_symbols(frame, where, {s.text: s.span for s in decl.inputs})
    values = parameters(decl.params, arguments, Env(state, frame, {}, symbols))
    if all(v is not ERROR for v in values.values()):
        scope_args = shown(values)
        state.tick(sum(weight(v) for v in values.values() if isinstance(v, list)))
        state.scope(Site(where, frame, step.span, step.doc or decl.doc), "block", decl.name, scope_args)
    body = Context(call.ctx.elaborator, frame, values, symbols, where)
    value = _run_body(decl, body, running)
    if not arguments.ok:
        return ERROR
    if decl.outputs:
        value = _outputs(decl.outputs, body)
        _offer(call, value)
    unread = [s for s in decl.inputs if s.text not in frame.reads]
    for scalar in unread if value.ok else ():
        state.reporter.warning("NS209", f"'{decl.name}' does not read its input '{scalar.text}'", scalar.span)
    return value


def _enter(call: Call, name: str, home: Document, inputs: Mapping[str, Tensors]) -> CallFrame:
    """The frame of a call; raises SemanticError where calls lie too deep."""
    ctx, span, path = call.ctx, call.step.span, call.where.path
    depth = ctx.frame.depth + 1
    if depth > MAX_CALLS:
        message = f"blocks call each other more than {MAX_CALLS} deep"
        raise SemanticError(
            "NS404", message, span, "a block that calls itself needs a `when` or `only_if` that ends it"
        )
    ctx.state.tick(WORK_OF_CALL)
    return CallFrame(home, name, inputs, path, (Frame(name, span, path), *ctx.frame.trace), depth)


def _run_body(declared: BlockDecl | Document, ctx: Context, running: Tensors) -> Tensors:
    """Runs the body of a block or a network, with the values of its `let`."""
    return replace(ctx, values=lets(declared.lets, ctx.env())).run(declared.body, running)


def _offer(call: Call, value: Tensors) -> None:
    """Records what leaves a scope by several names, of which some may stay unread."""
    state = call.ctx.state
    state.leaves(call.where, value)
    if len(value.refs) > 1:
        state.offered.append((value, call.step.span, call.ctx.frame, call.where.path))


def _inputs(decl: BlockDecl, step: Step, entering: Tensors) -> dict[str, Tensors]:
    """What enters, by the block's names of its inputs; raises SemanticError."""
    if not decl.inputs:
        if entering.ok and len(entering.refs) != 1:
            raise SemanticError(
                "NS401", f"'{decl.name}' takes one value, got {len(entering.refs)}", step.span, which_value(entering)
            )
        return {"x": entering}
    if not entering.ok:
        return {s.text: entering for s in decl.inputs}
    if len(entering.refs) != len(decl.inputs):
        raise SemanticError(
            "NS401",
            f"'{decl.name}' takes {len(decl.inputs)} values ({listed([s.text for s in decl.inputs])}), "
            f"got {len(entering.refs)}",
            step.span,
            "say `from: [...]` with as many paths",
        )
    return {s.text: Tensors((ref,)) for s, ref in zip(decl.inputs, entering.refs, strict=True)}


def _input_symbols(frame: CallFrame, where: Where, places: Mapping[str, Span]) -> dict[str, Symbol]:
    """The names of what enters, each with the place where it is declared."""
    made = frame.inputs.items()
    return {name: Symbol(value, where.child(name).path, places.get(name), False) for name, value in made}


def _outputs(outputs: Sequence[Scalar], ctx: Context) -> Tensors:
    """The named values of a block, in order."""
    refs: list[Ref] = []
    env = ctx.env()
    for scalar in outputs:
        try:
            refs += env.read(scalar.text).refs
        except SemanticError as e:
            ctx.state.report(ctx.frame, e, scalar.span)
            return ERROR
        except DependsOnError:
            return ERROR
    return Tensors(tuple(refs), tuple(s.text for s in outputs))


def which_value(entering: Tensors) -> str:
    """The help for a step that takes another number of values."""
    if not entering.refs:
        return "nothing enters this step"
    names = ", ".join(entering.names[:4] or map(str, entering.refs[:4]))
    return f"say `from: ...`: the values are {names}"


def network(doc: Document, call: Call) -> Result:
    """A network used as a block: with a variant, settings, and `until` a step, whose inner results can then be read."""
    state, step, where, entering = call.ctx.state, call.step, call.where, call.entering
    if not doc.bad <= state.bad:
        state.bad = state.bad | doc.bad
    frame = _enter(call, doc.name, doc, {})
    frame.is_document = True
    slots = [Slot(p.name) for p in doc.params] + [Slot("variant", False), Slot("until", False)]
    arguments = collect(call.env, call.args, slots, doc.name, step.span)
    declared = input_names(doc)
    if entering.ok and len(entering.refs) != len(declared):
        message = f"'{doc.name}' takes {len(declared)} values, got {len(entering.refs)}"
        raise SemanticError("NS401", message, step.span)
    frame.inputs = {n: Tensors((entering.refs[i],)) if entering.ok else ERROR for i, n in enumerate(declared)}
    symbols = SymbolTable(entries=_input_symbols(frame, where, input_places(doc)))
    variant, until = arguments.given.pop("variant", None), arguments.given.pop("until", None)
    chosen = doc.default_variant if variant is None else _variant(doc, variant)
    chain = lineage(doc, chosen, state.reporter) if chosen is not None else []
    values = parameters(_defaults(doc, chain), arguments, Env(state, frame, {}, symbols))
    fragment = Fragment(call, _passes(call, doc, chain))
    if fragment.passes and entering.ok and arguments.ok:
        frame.inputs = input_values(doc.input, Env(state, frame, values, symbols), None)
        symbols.entries |= _input_symbols(frame, where, input_places(doc))
        entering = fragment.enter(frame.inputs)
    end = until.text if isinstance(until, Scalar) else None
    frame.until = None if end is None else join(where.path, end)
    state.scope(Site(where, frame, step.span, step.doc or doc.title), "block", doc.name, shown(values))
    body = Context(call.ctx.elaborator, frame, values, symbols, where)
    with fragment.made():
        value = _run_body(doc, body, entering)
    if not arguments.ok:
        return ERROR, None
    if end is None:
        return fragment.rewritten((_network_outputs(doc, call, body, value), None))
    if not frame.stopped:
        symbol = symbols.visible(end.partition(".")[0])
        if symbol is not None and symbol.value is ERROR:
            raise DependsOnError
        place, message = until.span if until else None, f"'{doc.name}' has no step '{end}'"
        raise SemanticError("NS203", message, place, did_you_mean(end, symbols.entries))
    return fragment.rewritten((value, symbols))


def _passes(call: Call, doc: Document, chain: Sequence[Variant]) -> list[Pass]:
    """The passes of a variant that is used as a block; reports those for inference alone."""
    passes = variant_passes(chain, call.ctx.state.reporter)
    for p in of_stage(passes, Stage.INFERENCE):
        message = (
            f"'{chain[-1].name}' of '{doc.name}' has the pass '{p.name}', which a network used as a block cannot have"
        )
        help = "it changes what is run, not what is trained: ask for it by --pass, or in a variant of this document"
        call.ctx.state.error(call.ctx.frame, "NS202", message, call.step.span, help)
    return of_stage(passes, Stage.TRAINING)


def _defaults(doc: Document, chain: Sequence[Variant]) -> list[ParamDecl]:
    """The params of a network with the defaults that a variant gives them."""
    settings: dict[str, Tree] = {}
    for v in chain:
        settings |= {name: tree for name, (_, tree) in v.settings.items()}
    return [replace_default(p, settings.get(p.name)) for p in doc.params]


def _network_outputs(doc: Document, call: Call, body: Context, last: Tensors) -> Tensors:
    """The values of the outputs of a network used as a block."""
    outputs = output_values(doc, body, last)
    if outputs is None:
        return ERROR
    if not outputs:
        return last
    value = Tensors(tuple(o.ref for o in outputs.values()), tuple(outputs))
    _offer(call, value)
    return value


def _variant(doc: Document, tree: Tree) -> str:
    """The variant that an argument names; raises SemanticError, DependsOnError where its declaration is refused."""
    name = tree.text if isinstance(tree, Scalar) else ""
    if name not in doc.variants:
        if name in doc.refused:
            raise DependsOnError
        raise SemanticError(
            "NS202", f"'{doc.name}' has no variant '{clipped(name)}'", tree.span, did_you_mean(name, doc.variants)
        )
    return name
