"""From a document, a variant and settings to a checked graph."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace

from netspec import collector
from netspec.diagnostics import suggest
from netspec.diagnostics.errors import Reporter, SemanticError, Span, UsageError, did_you_mean, listed
from netspec.elaborate.arguments import Arguments, argument
from netspec.elaborate.budget import MAX_NODES, RAISE_LIMITS, WORK_OF_NETWORK, Budget, Enough, OverBudget
from netspec.elaborate.configuration import Configuration
from netspec.elaborate.context import Context
from netspec.elaborate.dead_code import dead_steps
from netspec.elaborate.interface import input_places, input_values, output_values, written_input
from netspec.elaborate.literals import literal
from netspec.elaborate.parameter_types import type_of
from netspec.elaborate.parameters import lets, parameters, replace_default
from netspec.elaborate.places import Where
from netspec.elaborate.state import Elaboration
from netspec.elaborate.steps import StepElaborator
from netspec.elaborate.symbols import CallFrame, DependsOnError, Symbol, SymbolTable, Tensors
from netspec.elaborate.titles import check_titles
from netspec.elaborate.values import Bound, Env
from netspec.ir.graph import Graph, Output
from netspec.ops import Shape
from netspec.passes.rewriter import live_scopes
from netspec.syntax.document import Document, ParamDecl, Variant
from netspec.syntax.keywords import RESERVED_VARIANT_KEYS
from netspec.syntax.values import read_setting


def elaborate(
    doc: Document, configuration: Configuration, reporter: Reporter, max_nodes: int | Budget = MAX_NODES
) -> Graph | None:
    """The training graph of a document, of the first variant by default, or None after errors.

    Diagnostics go to the reporter; raises UsageError for an unknown variant or a setting that does not fit.
    """
    variant = configuration.variant
    if doc.is_library:
        raise UsageError(
            f"{doc.argument}: a library of blocks has no network of its own",
            f"name one of its blocks: {doc.argument}:{next(iter(doc.blocks), 'block')}",
        )
    if variant is not None and variant not in doc.variants:
        near = suggest.name(variant, {name: (doc.title_of(name),) for name in doc.variants})
        known = f"known: {listed(list(doc.variants))}" if doc.variants else ""
        raise UsageError(
            f"'{doc.name}' has no variant '{variant[:80]}'",
            f"did you mean '{near}'?" if near else did_you_mean(variant, doc.variants, known),
        )
    configuration = replace(configuration, variant=variant or doc.default_variant)
    state = Elaboration(reporter, Budget.of(max_nodes))
    return within_limits(state, doc.body_span or doc.span, lambda: _network(state, doc, configuration))


def within_limits(state: Elaboration, at: Span, make: Callable[[], Graph | None]) -> Graph | None:
    """A graph that is made within the limits; one that is exceeded is reported."""
    with _deep_recursion(), collector.paused():
        try:
            state.tick(WORK_OF_NETWORK)
            return make()
        except Enough:
            return None
        except OverBudget as e:
            state.error(e.frame, "NS404", str(e), e.span or at, RAISE_LIMITS)
            return None


@contextmanager
def _deep_recursion() -> Iterator[None]:
    """Blocks call each other 64 deep, each through several functions: more frames than Python's default."""
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(max(before, 20_000))
    try:
        yield
    finally:
        sys.setrecursionlimit(before)


def _network(state: Elaboration, doc: Document, configuration: Configuration) -> Graph | None:
    env, chain = _outermost(state, doc), doc.lineage(configuration.variant, state.reporter)
    env = env.seeing(_values(doc, chain, configuration.settings, env))
    written = doc.input if configuration.declared_input else written_input(doc, chain)
    ctx = Context(StepElaborator(state), env.frame, env.values, env.symbols, Where())
    value = ctx.run(doc.body, _entering(doc, input_values(written, env, configuration.input), ctx))
    outputs = output_values(doc, ctx, value)
    if outputs is None or state.reporter.failed:
        return None
    title = next((v.title for v in reversed(chain) if v.title), doc.title)
    return graph_of(state, configuration.variant or doc.name, outputs, title)


def _entering(doc: Document, inputs: dict[str, Tensors], ctx: Context) -> Tensors:
    """What enters the body of a document, whose inputs have names in it."""
    ctx.frame.inputs = inputs
    places = input_places(doc)
    for name, value in inputs.items():
        ctx.symbols.entries[name] = Symbol(value, name, places.get(name), False)
    if len(inputs) == 1:
        return next(iter(inputs.values()))
    refs = tuple(ref for value in inputs.values() for ref in value.refs)
    return Tensors(refs, tuple(inputs), "" if all(value.ok for value in inputs.values()) else "error")


def graph_of(state: Elaboration, name: str, outputs: Mapping[str, Output], title: str) -> Graph | None:
    """The graph of what is made; None after reporting the steps that reach no output."""
    nodes = dead_steps(state, outputs)
    if nodes is None:
        return None
    scopes = live_scopes(state.graph.scopes.values(), nodes)
    graph = Graph(name, nodes, outputs, scopes, title)
    return graph.check() if check_titles(state, graph) else None


def _outermost(state: Elaboration, doc: Document) -> Env:
    """What the params of a document can see: nothing yet."""
    return Env(state, CallFrame.outermost(doc, doc.name), {}, SymbolTable())


def _values(doc: Document, chain: Sequence[Variant], settings: Mapping[str, object], env: Env) -> dict[str, Bound]:
    """The params, as the variant and the settings have them, and what `let` makes of them."""
    params = _resolved(doc, chain, settings, env)
    for p in params:
        if p.required and not p.failed:
            message = f"the parameter '{p.name}' of this document has no value"
            help_ = f"give it a default, `{p.name}: 8`, or a value on the command line, `-s {p.name}=8`"
            env.state.error(env.frame, "NS305", message, p.at.span, help_)
    known = [replace(p, failed=p.failed or p.required) for p in params]
    return lets(doc.lets, env.seeing(parameters(known, Arguments(env, doc.name, doc.span), env)))


def values_of(doc: Document, variant: str | None, settings: Mapping[str, object] | None = None) -> dict[str, object]:
    """What the params and `let` of a document are in one of its variants, for a document that compiles."""
    state = Elaboration(Reporter())
    return {**_values(doc, doc.lineage(variant, state.reporter), settings or {}, _outermost(state, doc))}


def inputs_of(doc: Document, variant: str | None) -> dict[str, Shape]:
    """The shapes that enter a document that compiles, without compiling it."""
    state = Elaboration(Reporter())
    env, chain = _outermost(state, doc), doc.lineage(variant, state.reporter)
    found = input_values(written_input(doc, chain), env.seeing(_values(doc, chain, {}, env)), None)
    return {name: state.graph.nodes[value.refs[0].node].shape for name, value in found.items() if value.ok}


def _resolved(doc: Document, chain: Sequence[Variant], settings: Mapping[str, object], env: Env) -> list[ParamDecl]:
    """The params with the defaults that the variant and the command line give them."""
    known = {p.name: p for p in doc.params}
    for variant in chain:
        for name, (key, node) in variant.settings.items():
            if name in known:
                known[name] = replace_default(known[name], node)
            elif "params" not in doc.open:
                message = f"'{doc.name}' has no param '{name}'"
                names = [*known, *RESERVED_VARIANT_KEYS]
                help_ = did_you_mean(name, names, "what it sets is declared under `params`")
                env.state.error(None, "NS206", message, key.span, help_)
    for name, value in settings.items():
        if name not in known:
            raise UsageError(f"'{doc.name}' has no param '{name}'", did_you_mean(name, known))
        known[name] = _setting(known[name], value, env)
    return list(known.values())


def _setting(p: ParamDecl, value: object, env: Env) -> ParamDecl:
    """A param with a value from outside: a text from the command line, or a Python value; raises UsageError."""
    written = value if isinstance(value, str) else as_yaml(value)
    given = read_setting(f"--set {p.name}", written)
    if given is None:
        if re.fullmatch(r"[-+]?\d{19,}", written):
            help = "whole numbers are at most 2^63 - 1, and sizes 2^31 - 1"
            raise UsageError(f"--set {p.name}: {written[:80]} is out of range", help)
        raise UsageError(f"--set {p.name}: '{written}' is not a value", "numbers, strings, true, false, [lists]")
    resolved = replace_default(p, given)
    try:
        kind = resolved.type or _type_of_default(p, env)
        argument(env, given, kind, p.name)
    except SemanticError as e:
        raise UsageError(f"--set {p.name}: {e.message}", str(e.help) or _as_by_default(p, env)) from None
    except DependsOnError:
        pass
    return resolved


def _as_by_default(p: ParamDecl, env: Env) -> str:
    """How a param is set, by its default or its type."""
    try:
        value = literal(env, p.default) if p.default is not None else None
    except (SemanticError, DependsOnError):
        value = None
    return f"as in --set {p.name}={as_yaml(value)}" if value is not None else f"it is of the type {p.type}"


def _type_of_default(p: ParamDecl, env: Env) -> str:
    """The type that the default of a param gives it; empty where it depends on other params."""
    try:
        return type_of(literal(env, p.default)) if p.default is not None else ""
    except SemanticError:
        return ""


def as_yaml(value: object) -> str:
    """A Python value as a setting is written."""
    if callable(as_list := getattr(value, "tolist", None)):  # an array, or a number of numpy
        value = as_list()
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(map(as_yaml, value))}]"
    return str(value)
