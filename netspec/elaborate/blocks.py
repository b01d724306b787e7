"""Blocks: a call of a block, or of a network that is used as one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from netspec.diagnostics.errors import Frame, SemanticError, Span, listed
from netspec.diagnostics.text import counted
from netspec.elaborate.arguments import Slot, collect
from netspec.elaborate.budget import MAX_CALLS, WORK_OF_CALL
from netspec.elaborate.context import Call, Context
from netspec.elaborate.graph_builder import Offer
from netspec.elaborate.parameters import lets, parameters, shown
from netspec.elaborate.places import Site, Where
from netspec.elaborate.symbols import ERROR, CallFrame, DependsOnError, Symbol, SymbolTable, Tensors
from netspec.elaborate.values import Env
from netspec.expressions.arithmetic import weight
from netspec.ir.graph import Ref
from netspec.syntax.ast import Name
from netspec.syntax.document import BlockDecl, Document
from netspec.syntax.steps import Step


def block(decl: BlockDecl, call: Call) -> Tensors:
    """A call of a block: binds its parameters, runs its body, gives its outputs."""
    state, step, where, running = call.ctx.state, call.step, call.where, call.entering
    frame = enter_call(call, decl.name, decl.home, _inputs(decl, step, running))
    slots = [Slot(p.name, type=p.type) for p in decl.params]
    arguments = collect(call.env, call.args, slots, decl.name, step.span)
    symbols = SymbolTable()
    if decl.inputs:
        running = Tensors(running.refs, tuple(s.text for s in decl.inputs), running.state)
        symbols.entries |= input_symbols(frame, where, {s.text: s.span for s in decl.inputs})
    values = parameters(decl.params, arguments, Env(state, frame, {}, symbols))
    if all(v is not ERROR for v in values.values()):
        scope_args = shown(values)
        state.tick(sum(weight(v) for v in values.values() if isinstance(v, list)))
        state.graph.scope(Site(where, frame, step.span, step.doc or decl.doc), "block", decl.name, scope_args)
    body = Context(call.ctx.elaborator, frame, values, symbols, where)
    value = run_body(decl, body, running)
    if not arguments.ok:
        return ERROR
    if decl.outputs:
        value = _outputs(decl.outputs, body)
        offer(call, value)
    unread = [s for s in decl.inputs if s.text not in frame.reads]
    for scalar in unread if value.ok else ():
        state.reporter.warning("NS209", f"'{decl.name}' does not read its input '{scalar.text}'", scalar.span)
    return value


def enter_call(call: Call, name: str, home: Document, inputs: Mapping[str, Tensors]) -> CallFrame:
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


def run_body(declared: BlockDecl | Document, ctx: Context, running: Tensors) -> Tensors:
    """Runs the body of a block or a network, with the values of its `let`."""
    return replace(ctx, values=lets(declared.lets, ctx.env())).run(declared.body, running)


def offer(call: Call, value: Tensors) -> None:
    """Records what leaves a scope by several names, of which some may stay unread."""
    state = call.ctx.state
    state.graph.leaves(call.where, value)
    if len(value.refs) > 1:
        state.graph.offered.append(Offer(value, call.step.span, call.ctx.frame, call.where.path))


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
            f"'{decl.name}' takes {counted(len(decl.inputs), 'value')} ({listed([s.text for s in decl.inputs])}), "
            f"got {len(entering.refs)}",
            step.span,
            "say `from: [...]` with as many paths",
        )
    return {s.text: Tensors((ref,)) for s, ref in zip(decl.inputs, entering.refs, strict=True)}


def input_symbols(frame: CallFrame, where: Where, places: Mapping[str, Span]) -> dict[str, Symbol]:
    """The names of what enters, each with the place where it is declared."""
    made = frame.inputs.items()
    return {name: Symbol(value, where.child(name).path, places.get(name), False) for name, value in made}


def _outputs(outputs: Sequence[Name], ctx: Context) -> Tensors:
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
