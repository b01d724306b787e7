"""From a document, a variant and settings to a checked graph."""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from netspec import collector
from netspec.diagnostics import suggest
from netspec.diagnostics.errors import Reporter, Source, Span, UsageError, did_you_mean
from netspec.elaborate.arguments import condition, expression, fill, literal, type_of
from netspec.elaborate.call import lets, parameters, replace_default
from netspec.elaborate.dead_code import dead_steps
from netspec.elaborate.state import (
    MAX_NODES,
    RAISE_LIMITS,
    WORK_OF_NETWORK,
    Budget,
    Context,
    Enough,
    InputSize,
    OverBudget,
    Run,
    Where,
)
from netspec.elaborate.steps import run_steps
from netspec.elaborate.values import ERROR, CallFrame, DependsOnError, Env, SemanticError, Symbol, SymbolTable, Tensors
from netspec.expressions.expression import parse_template
from netspec.expressions.identifiers import Kind, Path, clipped, why_not
from netspec.ir.graph import Graph, Output
from netspec.ops import OPS, OpError, Shape
from netspec.passes.scopes import carried
from netspec.syntax.reader import RESERVED_VARIANT_KEYS, Document, Variant, lineage
from netspec.syntax.step_reader import ParamDecl, entries, text
from netspec.syntax.yaml_reader import Map, Scalar, Seq, Tree, parse


def elaborate(
    doc: Document,
    variant: str | None = None,
    settings: Mapping[str, Any] | None = None,
    reporter: Reporter | None = None,
    input: InputSize | None = None,
    max_nodes: int | Budget = MAX_NODES,
    declared_input: bool = False,
) -> Graph | None:
    """The training graph of a variant (the first by default), or None after errors.

    With `declared_input` the document's own input counts, whatever the variant says.
    Findings go to the reporter; raises UsageError for an unknown variant or a setting that does not fit.
    """
    reporter = Reporter() if reporter is None else reporter
    if doc.is_library:
        raise UsageError(
            f"{doc.argument}: a library of blocks has no network of its own",
            f"name one of its blocks: {doc.argument}:{next(iter(doc.blocks), 'block')}",
        )
    if variant is not None and variant not in doc.variants:
        near = suggest.name(variant, {name: (doc.title_of(name),) for name in doc.variants})
        raise UsageError(
            f"'{doc.name}' has no variant '{variant[:80]}'",
            f"did you mean '{near}'?" if near else did_you_mean(variant, doc.variants),
        )
    run = Run(reporter, doc.bad, Budget.of(max_nodes))
    with _deep_recursion(), collector.paused():
        try:
            run.tick(WORK_OF_NETWORK)
            chosen = variant or doc.default_variant
            return _network(run, doc, chosen, dict(settings or {}), input, declared_input)
        except Enough:
            return None
        except OverBudget as e:
            at = doc.tree.get("body") or doc.tree
            run.error(e.frame, "NS404", str(e), e.span or at.span, RAISE_LIMITS)
            return None


@contextmanager
def _deep_recursion() -> Any:
    """Blocks call each other 64 deep, each through several functions: more frames than Python's default."""
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(max(before, 20_000))
    try:
        yield
    finally:
        sys.setrecursionlimit(before)


def _network(
    run: Run,
    doc: Document,
    variant: str | None,
    settings: dict[str, Any],
    size: InputSize | None,
    declared_input: bool,
) -> Graph | None:
    frame = CallFrame(doc, doc.name, {}, "", (), 0, is_document=True)
    names = SymbolTable()
    chain = lineage(doc, variant, run.reporter) if variant is not None else []
    values = _values(run, doc, chain, settings, frame, names)
    env = Env(run, frame, values, names)
    written = doc.input if declared_input else _written_input(doc, chain)
    frame.inputs = _inputs(run, frame, written, env, size)
    places = input_places(doc)
    for name, value in frame.inputs.items():
        names.entries[name] = Symbol(value, name, places.get(name), False)
    entering = list(frame.inputs.values())
    running = (
        entering[0]
        if len(entering) == 1
        else Tensors(
            tuple(r for v in entering for r in v.refs),
            tuple(frame.inputs),
            "" if all(v.ok for v in entering) else "error",
        )
    )
    ctx = Context(frame, values, names, Where())
    value = run_steps(run, doc.body, ctx, running)
    outputs = output_values(run, doc, ctx, value)
    if outputs is None or run.reporter.failed:
        return None
    nodes = dead_steps(run, outputs)
    if nodes is None:
        return None
    title = next((v.title for v in reversed(chain) if v.title), doc.title)
    scopes = carried(run.scopes.values(), nodes, {})
    return Graph(variant or doc.name, nodes, outputs, scopes, title).check()


def _written_input(doc: Document, chain: Sequence[Variant]) -> Tree | None:
    """The input of the variant, or of what it is `of`, or of the document."""
    return next((v.input for v in reversed(chain) if v.input is not None), doc.input)


def _values(
    run: Run, doc: Document, chain: Sequence[Variant], settings: dict[str, Any], frame: CallFrame, names: SymbolTable
) -> dict[str, Any]:
    """The params, as the variant and the settings have them, and what `let` makes of them."""
    env = Env(run, frame, {}, names)
    params = _settled(run, doc, chain, settings, env)
    for p in params:
        if p.required and not p.failed:
            help_ = f"give it a default, `{p.name}: 8`, or a value on the command line, `-s {p.name}=8`"
            run.error(frame, "NS305", f"the parameter '{p.name}' of this document has no value", p.at.span, help_)
    known = [replace(p, failed=p.failed or p.required) for p in params]
    values = parameters(run, known, {}, env, env, doc.tree.span, doc.name)
    return lets(run, doc.lets, Env(run, frame, values, names))


def values_of(doc: Document, variant: str | None, settings: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """What the params and `let` of a document are in one of its variants, for a document that compiles."""
    run = Run(Reporter(), doc.bad)
    chain = lineage(doc, variant, run.reporter) if variant is not None else []
    frame = CallFrame(doc, doc.name, {}, "", (), 0, is_document=True)
    return _values(run, doc, chain, dict(settings or {}), frame, SymbolTable())


def inputs_of(doc: Document, variant: str | None) -> dict[str, Shape]:
    """The shapes that enter a document that compiles, without compiling it."""
    run = Run(Reporter(), doc.bad)
    chain = lineage(doc, variant, run.reporter) if variant is not None else []
    frame = CallFrame(doc, doc.name, {}, "", (), 0, is_document=True)
    env = Env(run, frame, _values(run, doc, chain, {}, frame, SymbolTable()), SymbolTable())
    found = _inputs(run, frame, _written_input(doc, chain), env, None)
    return {name: run.nodes[value.refs[0].node].shape for name, value in found.items() if value.ok}


def _settled(run: Run, doc: Document, chain: Sequence[Any], settings: dict[str, Any], env: Env) -> list[ParamDecl]:
    """The params with the defaults that the variant and the command line give them."""
    known = {p.name: p for p in doc.params}
    for variant in chain:
        for name, (key, tree) in variant.settings.items():
            if name not in known and "params" in doc.open:
                continue
            if name not in known:
                run.error(
                    None,
                    "NS206",
                    f"'{doc.name}' has no param '{name}'",
                    key.span,
                    did_you_mean(name, [*known, *RESERVED_VARIANT_KEYS], "what it sets is declared under `params`"),
                )
            else:
                known[name] = replace_default(known[name], tree)
    for name, value in settings.items():
        if name not in known:
            raise UsageError(f"'{doc.name}' has no param '{name}'", did_you_mean(name, known))
        known[name] = _setting(known[name], value, env)
    return list(known.values())


def _setting(p: ParamDecl, value: Any, env: Env) -> ParamDecl:
    """A param with a value from outside: a text from the command line, or a Python value; raises UsageError."""
    written = value if isinstance(value, str) else _as_yaml(value)
    reporter = Reporter()
    tree = parse(Source(f"--set {p.name}", f"value: {written}"), reporter)
    given = tree.get("value") if tree is not None else None
    if reporter.failed or tree is None or given is None or len(tree.entries) != 1:
        raise UsageError(f"--set {p.name}: '{written}' is not a value", "numbers, strings, true, false, [lists]")
    settled = replace_default(p, given)
    try:
        kind = settled.type or (type_of(literal(env, p.default)) if p.default is not None else "")
        from netspec.elaborate.arguments import argument

        argument(env, given, kind, p.name)
    except SemanticError as e:
        raise UsageError(f"--set {p.name}: {e.message}", e.help) from None
    except DependsOnError:
        pass
    return settled


def _as_yaml(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(map(_as_yaml, value))}]"
    return str(value)


def input_names(doc: Document) -> list[str]:
    """The names of a document's inputs; a single one is `input`."""
    return [k.text for k, _ in doc.input.entries] if isinstance(doc.input, Map) else ["input"]


def input_places(doc: Document) -> dict[str, Span]:
    """Where each input of a document is written."""
    if isinstance(doc.input, Map):
        return {k.text: k.span for k, _ in doc.input.entries}
    return {"input": doc.input.span} if doc.input is not None else {}


def _inputs(run: Run, frame: CallFrame, tree: Tree | None, env: Env, size: InputSize | None) -> dict[str, Tensors]:
    """The input nodes by name."""
    if not isinstance(tree, Map):
        return {"input": _input(run, frame, "input", tree, env, size_of("input", size))}
    if size is not None and not isinstance(size, Mapping):
        raise UsageError(
            "--input sets the size of a network with one input",
            f"this one has {', '.join(k.text for k, _ in tree.entries)}",
        )
    return {
        k.text: ERROR if {id(k), id(v)} & run.bad else _input(run, frame, k.text, v, env, size_of(k.text, size))
        for k, v in tree.entries
    }


def size_of(name: str, size: InputSize | None) -> Sequence[int] | None:
    """The size that was asked for one input."""
    return size.get(name) if isinstance(size, Mapping) else size


_SIZES = "an input is a list of sizes, [channels, height, width]"


def _input(run: Run, frame: CallFrame, name: str, tree: Tree | None, env: Env, size: Sequence[int] | None) -> Tensors:
    sample, whole = "", False
    if tree is None or id(tree) in run.bad:
        return ERROR
    if isinstance(tree, Map):
        sample, whole, tree = text(tree.get("sample")), True, tree.get("shape")
    if tree is None or id(tree) in run.bad:
        return ERROR
    if isinstance(tree, Scalar) and re.fullmatch(r"\d+([xX*, ]+\d+)+", tree.text):
        run.error(frame, "NS302", _SIZES, tree.span, f"write [{', '.join(re.findall(r'[0-9]+', tree.text))}]")
        return ERROR
    try:
        shape: Any = None
        if size is None or whole:
            shape = expression(env, tree) if isinstance(tree, Scalar) else literal(env, tree)
        if size is not None:  # of an input that is no batch of images, the symbol stays
            head = shape[:1] if isinstance(shape, list) and isinstance(shape[0] if shape else None, str) else []
            shape = [*head, *size]
        symbol = str(shape.pop(0)) if whole and isinstance(shape, list) and shape and isinstance(shape[0], str) else "N"
        if why := why_not(symbol, Kind.SYMBOL):
            raise SemanticError(
                "NS205", f"'{clipped(symbol)}' cannot be the name of {Kind.SYMBOL.value}: {why}", tree.span
            )
        if sample not in OPS["input"].param("sample").one_of and sample:
            raise SemanticError(
                "NS307", f"'sample' is one of {', '.join(OPS['input'].param('sample').one_of)}", tree.span
            )
        if not isinstance(shape, list) or not shape or not all(isinstance(d, int) and d is not True for d in shape):
            raise SemanticError("NS302", _SIZES, tree.span, "the batch is left out")
        attrs = {"shape": (symbol, *shape)} | ({"sample": sample} if sample else {})
        return run.node(OPS["input"], (), attrs, {}, Where(Path(name), Path(name)), frame, tree.span)
    except SemanticError as e:
        run.report(frame, e, tree.span)
    except OpError as e:
        run.error(frame, "NS401", str(e), tree.span, e.help)
    except DependsOnError:
        pass
    return ERROR


_APART = "give one of them another name: `outputs: {result: path}`"


def output_values(run: Run, doc: Document, ctx: Context, last: Tensors) -> dict[str, Output] | None:
    """The outputs by name; None after a mistake."""
    if doc.outputs is None:
        if not last.ok or ctx.frame.stopped:
            return None
        names = last.names if len(last.refs) > 1 else ("output",)
        if doc.input is not None and not ctx.frame.inputs.keys().isdisjoint(names):
            run.error(ctx.frame, "NS204", "an input has the name of the result, 'output'", doc.input.span, _APART)
            return None
        return {n if not n.isdigit() else f"output_{n}": Output(r) for n, r in zip(names, last.refs, strict=True)}
    found: dict[str, Output] = {}
    failed = False
    for name, tree, at in _declared(doc, run.bad):
        try:
            output, path = _output(run, ctx, tree)
            name = name or path
            if name in found:
                raise SemanticError("NS204", f"the output '{name}' is listed twice", at)
            if name in ctx.frame.inputs:
                raise SemanticError("NS204", f"the output '{name}' has the name of an input", at, _APART)
            if output is not None:
                found[name] = output
        except SemanticError as e:
            run.report(ctx.frame, e, at)
            failed = True
        except DependsOnError:
            failed = True
    if not failed and all(output.training_only for output in found.values()):
        what = "is there in training only: the network would give nothing" if found else "is left out"
        run.error(ctx.frame, "NS403", f"every output {what}", doc.outputs.span, "keep at least one of them")
        return None
    return None if failed else found


def _declared(doc: Document, bad: set[int]) -> list[tuple[str, Tree, Span]]:
    """Name, what is written, and place of each output; in a list it has no name but its path."""
    if isinstance(doc.outputs, Seq):
        return [("", t, t.span) for t in doc.outputs.items if isinstance(t, Scalar)]
    return [(k.text, v, k.span) for k, v in entries(doc.outputs, bad)]


def _output(run: Run, ctx: Context, tree: Tree) -> tuple[Output | None, str]:
    """One output, a path or {from, loss_weight, training_only, only_if}, and its path; None where it is not there."""
    part: dict[str, Tree] = {}
    if isinstance(tree, Map):
        part = {k.text: v for k, v in tree.entries}
        if any(id(k) in run.bad for k, _ in tree.entries):
            raise DependsOnError
        tree = part.get("from", tree)
    env = Env(run, ctx.frame, ctx.values, ctx.names)
    if "only_if" in part and not condition(env, part["only_if"], "only_if"):
        return None, ""
    if not isinstance(tree, Scalar) or not tree.text:
        raise SemanticError(
            "NS203", "an output names a path", tree.span, "a list, `[a]`, or names with paths, `{logits: a}`"
        )
    path = fill(env, parse_template(tree.text, tree.at), tree.span)
    try:
        value = env._find(path)
    except SemanticError as e:
        raise replace_span(e, tree.span) from None
    if value.state == "absent":
        return None, path
    if value.state or len(value.refs) != 1:
        if value.state:
            raise DependsOnError
        raise SemanticError(
            "NS203",
            f"'{path}' has {len(value.refs)} values",
            tree.span,
            f"name one of them: {', '.join(f'{path}.{n}' for n in value.names[:4])}",
        )
    weight = literal(env, part["loss_weight"]) if "loss_weight" in part else None
    if weight is not None and (isinstance(weight, bool) or not isinstance(weight, (int, float))):
        raise SemanticError("NS302", "'loss_weight' is a number", part["loss_weight"].span)
    only = condition(env, part["training_only"], "training_only") if "training_only" in part else False
    return Output(value.refs[0], None if weight is None else float(weight), only), path


def replace_span(e: SemanticError, span: Span) -> SemanticError:
    """The mistake with a place, if it has none."""
    return SemanticError(e.code, e.message, e.span or span, e.help)


__all__ = ["elaborate", "input_names", "output_values"]
