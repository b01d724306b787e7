"""From a document, a variant and settings to a checked graph."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from netspec import collector
from netspec.diagnostics import suggest
from netspec.diagnostics.errors import Reporter, Source, UsageError, did_you_mean
from netspec.elaborate.arguments import literal, type_of
from netspec.elaborate.budget import MAX_NODES, RAISE_LIMITS, WORK_OF_NETWORK, Budget, Enough, OverBudget
from netspec.elaborate.dead_code import dead_steps
from netspec.elaborate.interface import InputSize, input_places, input_values, output_values, written_input
from netspec.elaborate.parameters import lets, parameters, replace_default
from netspec.elaborate.state import Context, Run, Where
from netspec.elaborate.steps import run_steps
from netspec.elaborate.symbols import CallFrame, DependsOnError, Symbol, SymbolTable, Tensors
from netspec.elaborate.values import Env, SemanticError
from netspec.ir.graph import Graph
from netspec.ops import Shape
from netspec.passes.rewriter import live_scopes
from netspec.syntax.reader import RESERVED_VARIANT_KEYS, Document, Variant, lineage
from netspec.syntax.step_reader import ParamDecl
from netspec.syntax.yaml_reader import parse


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
    with deep_recursion(), collector.paused():
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
def deep_recursion() -> Any:
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
    values = document_values(run, doc, chain, settings, frame, names)
    env = Env(run, frame, values, names)
    written = doc.input if declared_input else written_input(doc, chain)
    frame.inputs = input_values(run, frame, written, env, size)
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
    scopes = live_scopes(run.scopes.values(), nodes)
    return Graph(variant or doc.name, nodes, outputs, scopes, title).check()


def document_values(
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
    return document_values(run, doc, chain, dict(settings or {}), frame, SymbolTable())


def inputs_of(doc: Document, variant: str | None) -> dict[str, Shape]:
    """The shapes that enter a document that compiles, without compiling it."""
    run = Run(Reporter(), doc.bad)
    chain = lineage(doc, variant, run.reporter) if variant is not None else []
    frame = CallFrame(doc, doc.name, {}, "", (), 0, is_document=True)
    env = Env(run, frame, document_values(run, doc, chain, {}, frame, SymbolTable()), SymbolTable())
    found = input_values(run, frame, written_input(doc, chain), env, None)
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
    written = value if isinstance(value, str) else as_yaml(value)
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


def as_yaml(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(map(as_yaml, value))}]"
    return str(value)
