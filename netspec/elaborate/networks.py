"""A network used as a block: with a variant, settings, and `until` a step, as the base of another."""

from __future__ import annotations

from collections.abc import Sequence

from netspec.diagnostics.errors import SemanticError, did_you_mean, listed
from netspec.diagnostics.text import counted
from netspec.elaborate.arguments import Slot, collect
from netspec.elaborate.blocks import enter_call, input_symbols, offer, run_body
from netspec.elaborate.context import Call, Context
from netspec.elaborate.interface import input_names, input_places, input_values, output_values
from netspec.elaborate.parameters import parameters, replace_default, shown
from netspec.elaborate.places import Site, join
from netspec.elaborate.rewritten import Fragment, variant_passes
from netspec.elaborate.symbols import ERROR, DependsOnError, Result, SymbolTable, Tensors
from netspec.elaborate.values import Env
from netspec.expressions.identifiers import clipped
from netspec.passes import of_stage
from netspec.passes.base import Pass, Stage
from netspec.syntax.ast import Expression, Literal, Unevaluable, ValueNode
from netspec.syntax.document import Document, ParamDecl, Variant


def network(doc: Document, call: Call) -> Result:
    """A network used as a block: with a variant, settings, and `until` a step, whose inner results can then be read."""
    state, step, where, entering = call.ctx.state, call.step, call.where, call.entering
    frame = enter_call(call, doc.name, doc, {})
    frame.is_document = True
    slots = [Slot(p.name) for p in doc.params] + [Slot("variant", False), Slot("until", False)]
    arguments = collect(call.env, call.args, slots, doc.name, step.span)
    declared = input_names(doc)
    if entering.ok and len(entering.refs) != len(declared):
        message = f"'{doc.name}' takes {counted(len(declared), 'value')}, got {len(entering.refs)}"
        raise SemanticError("NS401", message, step.span)
    frame.inputs = {n: Tensors((entering.refs[i],)) if entering.ok else ERROR for i, n in enumerate(declared)}
    symbols = SymbolTable(entries=input_symbols(frame, where, input_places(doc)))
    variant, until = arguments.given.pop("variant", None), arguments.given.pop("until", None)
    chosen = doc.default_variant if variant is None else _variant(doc, variant)
    chain = doc.lineage(chosen, state.reporter)
    values = parameters(_defaults(doc, chain), arguments, Env(state, frame, {}, symbols))
    fragment = Fragment(call, _passes(call, doc, chain))
    if fragment.passes and entering.ok and arguments.ok:
        frame.inputs = input_values(doc.input, Env(state, frame, values, symbols), None)
        symbols.entries |= input_symbols(frame, where, input_places(doc))
        entering = fragment.enter(frame.inputs)
    end = _text(until)
    frame.until = None if end is None else join(where.path, end)
    state.graph.scope(Site(where, frame, step.span, step.doc or doc.title), "block", doc.name, shown(values))
    body = Context(call.ctx.elaborator, frame, values, symbols, where)
    with fragment.made():
        value = run_body(doc, body, entering)
    if not arguments.ok:
        return ERROR, None
    if end is None:
        return fragment.rewritten((_outputs(doc, call, body, value), None))
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
    settings: dict[str, ValueNode] = {}
    for v in chain:
        settings |= {name: node for name, (_, node) in v.settings.items()}
    return [replace_default(p, settings.get(p.name)) for p in doc.params]


def _outputs(doc: Document, call: Call, body: Context, last: Tensors) -> Tensors:
    """The values of the outputs of a network used as a block."""
    outputs = output_values(doc, body, last)
    if outputs is None:
        return ERROR
    if not outputs:
        return last
    value = Tensors(tuple(o.ref for o in outputs.values()), tuple(outputs))
    offer(call, value)
    return value


def _variant(doc: Document, node: ValueNode) -> str:
    """The variant that an argument names; raises SemanticError, DependsOnError where its declaration is refused."""
    name = _text(node) or ""
    if name not in doc.variants:
        if name in doc.refused:
            raise DependsOnError
        known = f"known: {listed(list(doc.variants))}" if doc.variants else ""
        help_ = did_you_mean(name, doc.variants, known)
        raise SemanticError("NS202", f"'{doc.name}' has no variant '{clipped(name)}'", node.span, help_)
    return name


def _text(node: ValueNode | None) -> str | None:
    """What is written as an argument that is a name; None for anything else."""
    return node.text if isinstance(node, (Literal, Expression, Unevaluable)) else None
