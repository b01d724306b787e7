"""A block on its own: built from its examples, or from arguments and an input size."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from netspec.diagnostics.errors import Reporter, SemanticError, Span, UsageError, did_you_mean
from netspec.elaborate.arguments import given_by_position
from netspec.elaborate.blocks import block
from netspec.elaborate.budget import MAX_NODES, Budget
from netspec.elaborate.configuration import Configuration, InputSize
from netspec.elaborate.context import Call, Context
from netspec.elaborate.document import as_yaml, graph_of, within_limits
from netspec.elaborate.graph_builder import Offer
from netspec.elaborate.interface import check_names, input_value, other_rank, size_of
from netspec.elaborate.places import Where
from netspec.elaborate.state import Elaboration
from netspec.elaborate.steps import StepElaborator
from netspec.elaborate.symbols import ERROR, CallFrame, DependsOnError, SymbolTable, Tensors
from netspec.elaborate.values import Env
from netspec.ir.graph import Graph, Output
from netspec.syntax.ast import ListNode, Literal, MapNode, Name, ValueNode
from netspec.syntax.document import BlockDecl, Document, Example, InputDecl, Inputs
from netspec.syntax.steps import OpCall, Step
from netspec.syntax.values import read_arguments


def no_block(doc: Document, name: str) -> UsageError:
    """What is said of a block that a document does not have; it may be one of a library that it uses."""
    known = [*doc.variants, *doc.blocks]
    help = did_you_mean(name, known) if known else "it has no blocks and no variants"
    if isinstance(used := doc.used.get(name), BlockDecl):
        file = used.at.span.source.name
        if file.startswith("specs/") and not Path(file).exists():
            file = file.removeprefix("specs/").removesuffix(".yaml")
        return UsageError(f"{doc.argument} has no block '{name}', it uses that of {file}", f"name it as {file}:{name}")
    return UsageError(f"{doc.argument} has no block '{name}'", help)


def elaborate_block(
    doc: Document,
    name: str,
    configuration: Configuration,
    reporter: Reporter,
    example: Example | None = None,
    max_nodes: int | Budget = MAX_NODES,
) -> Graph | None:
    """The graph of one block alone; what is not given comes from its first right example; raises UsageError."""
    if name not in doc.blocks:
        raise no_block(doc, name)
    decl, size = doc.blocks[name], configuration.input
    if decl.failed:
        return None
    if example is None:
        example = next(iter(decl.examples), None)
    args = example.args if example is not None else None
    if configuration.settings:
        args = _merged(decl, args, configuration.settings)
    missing = [p.name for p in decl.params if p.required and not _gives(decl, args, p.name)]
    if example is None and (missing or size is None):
        what = [*missing, *(["--input"] if size is None else [])]
        help_ = "--input CxHxW, or `examples:` in the block"
        help_ = f"-s {missing[0]}=... and {help_}" if missing else help_
        raise UsageError(f"the block '{name}' alone expects {', '.join(what)}", help_)
    wrong, own = _other_rank(example, size), Reporter()
    own.errors = min(reporter.errors, 1)
    state = Elaboration(reporter if wrong is None else own, Budget.of(max_nodes))
    graph = within_limits(state, decl.at.span, lambda: _build(state, decl, args, example, size))
    if wrong is not None and graph is None and own.diagnostics:
        raise wrong
    for diagnostic in own.diagnostics:
        reporter.report(diagnostic)
    return graph


def _other_rank(example: Example | None, size: InputSize | None) -> UsageError | None:
    """What is said of a size with more or fewer numbers than that of the example, where the block cannot take it."""
    items = example.inputs.items if example is not None and example.inputs is not None else ()
    if len(items) != 1 or size is None or isinstance(size, Mapping) or not isinstance(items[0].shape, ListNode):
        return None
    values = [item.value for item in items[0].shape.items if isinstance(item, Literal)]
    whole = [value for value in values if isinstance(value, int)]
    return other_rank(whole, size) if len(whole) == len(items[0].shape.items) else None


def _gives(decl: BlockDecl, args: ValueNode | None, name: str) -> bool:
    if isinstance(args, MapNode):
        return args.get(name) is not None
    return name in [p.name for p in decl.params][: len(given_by_position(args))]


def _merged(decl: BlockDecl, args: ValueNode | None, settings: Mapping[str, object]) -> MapNode:
    """The arguments of an example with those of the command line in their place; raises UsageError."""
    names = [p.name for p in decl.params]
    if unknown := [name for name in settings if name not in names]:
        raise UsageError(f"'{decl.name}' has no parameter '{unknown[0]}'", did_you_mean(unknown[0], names))
    lines = [f"{k}: {v if isinstance(v, str) else as_yaml(v)}" for k, v in settings.items()]
    reporter = Reporter()
    given = read_arguments("--set", lines, reporter, decl.at.span)
    if given is None:
        raise UsageError(
            "--set: " + "; ".join(d.message for d in reporter.sorted()), "-s NAME=VALUE, the value as a spec has it"
        )
    if isinstance(args, MapNode):
        kept = [(k, v) for k, v in args.entries if k.text not in settings]
    else:
        kept = [(p.at, v) for p, v in zip(decl.params, given_by_position(args), strict=False) if p.name not in settings]
    return MapNode((*kept, *given.entries), decl.at.span)


def _build(
    state: Elaboration, decl: BlockDecl, args: ValueNode | None, chosen: Example | None, size: InputSize | None
) -> Graph | None:
    frame = CallFrame.outermost(decl.home, decl.name)
    env = Env(state, frame, {}, SymbolTable())
    at = decl.at.span if chosen is None else _head(chosen.span)
    entering = _entering(decl, chosen, at, env, size)
    step = Step(action=OpCall(decl.name, args), counted=decl.name, span=at, head=at)
    ctx = Context(StepElaborator(state), frame, {}, env.symbols, Where())
    try:
        value = block(decl, Call(step, ctx, Where(), entering, args, env))
    except SemanticError as e:
        state.report(frame, e, at)
        return None
    except DependsOnError:
        return None
    if not value.ok or state.reporter.failed:
        return None
    outputs = {label: Output(ref) for label, ref in zip(value.names or ("output",), value.refs, strict=False)}
    state.graph.offered.append(Offer(value, decl.at.span, frame, ""))
    return graph_of(state, decl.name, outputs, decl.doc)


def _entering(decl: BlockDecl, chosen: Example | None, at: Span, env: Env, size: InputSize | None) -> Tensors:
    """What enters a block: inputs of the sizes that are asked for, or those of its example."""
    names = [name.text for name in decl.inputs] or ["input"]
    check_names(size, names)
    written = chosen.inputs if chosen is not None else None
    if written is not None and written.by_name and (size is None or isinstance(size, Mapping)):
        _check_input(env.state, written, names, at)
    values = []
    for name in names:
        declared = written.get(name) if written is not None else None
        asked = size_of(name, size)
        if declared is None and asked is not None:
            declared = InputDecl(Name(name, at), ListNode((), at))
        values.append(ERROR if declared is None else input_value(name, declared, env, asked))
    refs = tuple(ref for value in values for ref in value.refs)
    return Tensors(refs, state="" if all(value.ok for value in values) else "error")


def _check_input(state: Elaboration, written: Inputs, names: Sequence[str], at: Span) -> None:
    """Reports inputs of a block that an example gives no size for, and sizes of inputs that the block has not."""
    given = [item.name for item in written.items]
    for name in given:
        if name.text not in names:
            state.error(None, "NS111", f"there is no input '{name.text}'", name.span, did_you_mean(name.text, names))
    if left_out := [name for name in names if name not in [item.text for item in given]]:
        state.error(None, "NS112", f"the example gives no size of the input '{left_out[0]}'", at)


def _head(span: Span) -> Span:
    """The first line of an example."""
    end = len(span.source.line(span.line)) + 1 if span.end_line > span.line else span.end_col
    return Span(span.source, span.line, span.col, span.line, end)
