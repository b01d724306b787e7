"""A block on its own: built from its examples, or from arguments and an input size."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from netspec.diagnostics.errors import Reporter, SemanticError, Source, Span, UsageError, did_you_mean
from netspec.elaborate.blocks import block
from netspec.elaborate.budget import MAX_NODES, Budget
from netspec.elaborate.configuration import Configuration, InputSize
from netspec.elaborate.context import Call, Context
from netspec.elaborate.document import as_yaml, graph_of, within_limits
from netspec.elaborate.graph_builder import Offer
from netspec.elaborate.interface import input_value, size_of
from netspec.elaborate.places import Where
from netspec.elaborate.state import Elaboration
from netspec.elaborate.steps import StepElaborator
from netspec.elaborate.symbols import ERROR, CallFrame, DependsOnError, SymbolTable, Tensors
from netspec.elaborate.values import Env
from netspec.ir.graph import Graph, Output
from netspec.syntax.reader import Document
from netspec.syntax.step_reader import BlockDecl, Step
from netspec.syntax.tree import Map, Scalar, Seq, Tree
from netspec.syntax.yaml_reader import parse


def elaborate_block(
    doc: Document,
    name: str,
    configuration: Configuration,
    reporter: Reporter,
    example: Map | None = None,
    max_nodes: int | Budget = MAX_NODES,
) -> Graph | None:
    """The graph of one block alone; what is not given comes from its first right example; raises UsageError."""
    if name not in doc.blocks:
        raise UsageError(f"{doc.argument} has no block '{name}'", did_you_mean(name, doc.blocks))
    decl, size = doc.blocks[name], configuration.input
    if decl.failed:
        return None
    state = Elaboration(reporter, doc.bad, Budget.of(max_nodes))
    if example is None:
        examples = decl.examples.items if isinstance(decl.examples, Seq) else ()
        example = next((t for t in examples if isinstance(t, Map) and id(t) not in state.bad), None)
    args = example.get("args") if example is not None else None
    if configuration.settings:
        args = _merged(decl, args, configuration.settings)
    missing = [p.name for p in decl.params if p.required and not _gives(decl, args, p.name)]
    if example is None and (missing or size is None):
        what = [*missing, *(["--input"] if size is None else [])]
        help_ = "--input CxHxW, or `examples:` in the block"
        help_ = f"-s {missing[0]}=... and {help_}" if missing else help_
        raise UsageError(f"the block '{name}' alone expects {', '.join(what)}", help_)
    return within_limits(state, decl.at.span, lambda: _build(state, decl, args, example, size))


def _gives(decl: BlockDecl, args: Tree | None, name: str) -> bool:
    if isinstance(args, Map):
        return args.get(name) is not None
    given = args.items if isinstance(args, Seq) else () if args is None else (args,)
    return name in [p.name for p in decl.params][: len(given)]


def _merged(decl: BlockDecl, args: Tree | None, settings: Mapping[str, object]) -> Map:
    """The arguments of an example with those of the command line in their place; raises UsageError."""
    names = [p.name for p in decl.params]
    if unknown := [name for name in settings if name not in names]:
        raise UsageError(f"'{decl.name}' has no parameter '{unknown[0]}'", did_you_mean(unknown[0], names))
    lines = [f"{k}: {v if isinstance(v, str) else as_yaml(v)}" for k, v in settings.items()]
    reporter = Reporter()
    given = parse(Source("--set", "\n".join(lines)), reporter)
    if given is None or reporter.failed:
        raise UsageError("--set: " + "; ".join(d.message for d in reporter.sorted()))
    if isinstance(args, Map):
        kept = [(k, v) for k, v in args.entries if k.text not in settings]
    else:
        values = args.items if isinstance(args, Seq) else () if args is None else (args,)
        kept = [(p.at, v) for p, v in zip(decl.params, values, strict=False) if p.name not in settings]
    return Map((*kept, *given.entries), decl.at.span)


def _build(
    state: Elaboration, decl: BlockDecl, args: Tree | None, chosen: Map | None, size: InputSize | None
) -> Graph | None:
    frame = CallFrame.outermost(decl.home, decl.name)
    env = Env(state, frame, {}, SymbolTable())
    at = decl.at if chosen is None else Scalar(decl.name, True, _head(chosen.span))
    entering = _entering(decl, chosen, at, env, size)
    step = Step(decl.name, at, 0, None, decl.name, args, {}, {})
    ctx = Context(StepElaborator(state), frame, {}, env.symbols, Where())
    try:
        value = block(decl, Call(step, ctx, Where(), entering, args, env))
    except SemanticError as e:
        state.report(frame, e, at.span)
        return None
    except DependsOnError:
        return None
    if not value.ok or state.reporter.failed:
        return None
    outputs = {label: Output(ref) for label, ref in zip(value.names or ("output",), value.refs, strict=False)}
    state.graph.offered.append(Offer(value, decl.at.span, frame, ""))
    return graph_of(state, decl.name, outputs, decl.doc)


def _entering(decl: BlockDecl, chosen: Map | None, at: Scalar, env: Env, size: InputSize | None) -> Tensors:
    """What enters a block: inputs of the sizes that are asked for, or those of its example."""
    names = [s.text for s in decl.inputs] or ["input"]
    written = chosen.get("input") if chosen is not None else None
    if size is None or isinstance(size, Mapping):
        _check_input(env.state, written, names, at.span)
    values = []
    for i, name in enumerate(names):
        tree = _example_input(written, name, i, len(names))
        wanted = size_of(name, size)
        given = tree is not None or wanted is not None
        values.append(input_value(name, tree or at, env, wanted) if given else ERROR)
    refs = tuple(ref for value in values for ref in value.refs)
    return Tensors(refs, state="" if all(value.ok for value in values) else "error")


def _check_input(state: Elaboration, written: Tree | None, names: Sequence[str], at: Span) -> None:
    """Reports inputs of a block that an example gives no size for, and sizes of inputs that the block has not."""
    if isinstance(written, Map) and (len(names) > 1 or written.get("shape") is None):
        given, where = written.keys(), [k.span for k, _ in written.entries]
    elif len(names) > 1 and isinstance(written, Seq) and all(isinstance(t, Seq) for t in written.items):
        given = [*names, *map(str, range(len(names), len(written.items)))][: len(written.items)]
        where = [t.span for t in written.items]
    else:
        return
    for name, span in zip(given, where, strict=True):
        if name not in names:
            state.error(None, "NS111", f"there is no input '{name}'", span, did_you_mean(name, names))
    if left_out := [name for name in names if name not in given]:
        state.error(None, "NS112", f"the example gives no size of the input '{left_out[0]}'", at)


def _head(span: Span) -> Span:
    """The first line of an example."""
    end = len(span.source.line(span.line)) + 1 if span.end_line > span.line else span.end_col
    return Span(span.source, span.line, span.col, span.line, end)


def _example_input(written: Tree | None, name: str, index: int, count: int) -> Tree | None:
    """The size of one input of an example: a mapping by name, a list of sizes for each, or one for all."""
    if isinstance(written, Map) and (count > 1 or written.get("shape") is None):
        return written.get(name)
    if count > 1 and isinstance(written, Seq) and all(isinstance(t, Seq) for t in written.items):
        return written.items[index] if index < len(written.items) else None
    return written
