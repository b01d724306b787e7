"""Passes of a variant: made at the size that its layers were written for, then given the size that enters.

A network used as a block has them too. It is a fragment of the graph: what enters it is stood in for by inputs of the
document's own sizes while it is made, and what its passes leave takes the place of what was made.
"""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from itertools import islice
from typing import TypeVar

from netspec.diagnostics.errors import Reporter
from netspec.elaborate.context import Call
from netspec.elaborate.symbols import ERROR, Result, SymbolTable, Tensors
from netspec.expressions.identifiers import Path
from netspec.ir.graph import Graph, Output, Ref, Scope
from netspec.ir.module import Module
from netspec.ops import Shape
from netspec.passes import apply, of_stage, resolve
from netspec.passes.base import Pass, Stage
from netspec.passes.resize import resize
from netspec.passes.rewriter import ShapeMismatch
from netspec.syntax.document import Variant, passes_of

T = TypeVar("T")


def variant_passes(chain: Sequence[Variant], reporter: Reporter) -> list[Pass]:
    """What a variant, the last of its lineage, or what it is `of`, asks for; an unknown pass is reported."""
    return resolve(((name.text, name.span) for name in passes_of(chain)), reporter)


def rewritten(graph: Graph, passes: Sequence[Pass], sizes: Mapping[str, Shape]) -> Graph:
    """A training graph after its passes, with inputs of these sizes, by path; raises ShapeMismatch.

    A fully convolutional form is made of layers that read maps of one size, and gives maps of scores for larger ones.
    """
    module = apply(of_stage(passes, Stage.TRAINING), Module(graph))
    return resize(Module(module.graph), sizes).graph.check()


class Fragment:
    """The part of a graph that a network used as a block makes, until its passes have rewritten it."""

    def __init__(self, call: Call, passes: Sequence[Pass]) -> None:
        state = call.ctx.state
        self.call, self.state, self.passes = call, state, passes
        self.before = len(state.graph.nodes), len(state.graph.scopes), len(state.graph.offered)
        self.entering: dict[Ref, Ref] = {}
        """What enters, by the input that stands in for it."""

    def enter(self, inputs: Mapping[str, Tensors]) -> Tensors:
        """Stands in for what enters; an error value where an input of the document has an error."""
        if not all(value.ok for value in inputs.values()):
            return ERROR
        refs = tuple(ref for value in inputs.values() for ref in value.refs)
        self.entering = dict(zip(refs, self.call.entering.refs, strict=True))
        return replace(self.call.entering, refs=refs)

    @contextmanager
    def made(self) -> Iterator[None]:
        """While its steps run: they share weights as they are written, whatever the passes make of others like them."""
        if not self.entering:
            yield
            return
        state, owners = self.state, self.state.graph.owners
        state.graph.fragments += 1
        state.graph.owners = ChainMap(state.graph.written_owners.setdefault(state.graph.fragments, {}), owners)
        try:
            yield
        finally:
            state.graph.owners = owners
            state.graph.fragments -= 1

    def rewritten(self, result: Result) -> Result:
        """What the network gives after its passes; raises SemanticError for weights that no longer fit others.

        Values keep their meaning as outputs of the fragment, which passes carry along.
        """
        value, symbols = result
        if not value.ok or not self.entering:
            return result
        state, (first, scope, offer) = self.state, self.before
        nodes, scopes = _last(state.graph.nodes, first), _last(state.graph.scopes, scope)
        self.state.tick(len(nodes))
        offered = [entry.value for entry in state.graph.offered[offer:]]
        values = [value, *offered, *(symbol for table in (symbols,) if table for symbol in _values(table))]
        refs = list(dict.fromkeys(ref for v in values for ref in v.refs if ref.node in nodes))
        outputs = {f"v{i}": Output(ref) for i, ref in enumerate(refs)}
        sizes = {ref.node: state.graph.nodes[to.node].shapes[to.out] for ref, to in self.entering.items()}
        try:
            graph = Graph("fragment", nodes, outputs, [*self._around(), *scopes.values()])
            graph = rewritten(graph, self.passes, sizes)
        except ShapeMismatch as e:
            state.error(self.call.ctx.frame, e.error.code, f"{e.node.path}: {e}", self.call.step.span, e.error.help)
            return ERROR, None
        self._take(graph, list(nodes), list(scopes))
        moved = {ref: self._outside(output.ref) for ref, output in zip(refs, graph.outputs.values(), strict=True)}
        state.graph.offered[offer:] = [
            offered._replace(value=_moved(offered.value, moved)) for offered in state.graph.offered[offer:]
        ]
        for table in (symbols,) if symbols is not None else ():
            _move(table, moved)
        return _moved(value, moved), symbols

    def _around(self) -> list[Scope]:
        """Scopes for what the network lies in, so that its part of the graph is one."""
        path = self.call.where.path
        around = [path[:i] for i, c in enumerate(path) if c == "."]
        return [Scope(Path(p), "group", Path(p)) for p in around]

    def _take(self, graph: Graph, nodes: Sequence[str], scopes: Sequence[str]) -> None:
        """Puts what the passes left in the place of the nodes and scopes that were made."""
        state = self.state
        for path in nodes:
            del state.graph.nodes[path]
        for path in scopes:
            del state.graph.scopes[path]
        params = state.graph.params
        for node in graph.nodes.values():
            if Ref(node.path) in self.entering:
                continue
            if node.result.weights or node.result.stats:
                state.graph.own(node, False, node.span)
            state.graph.nodes[node.path] = replace(node, inputs=tuple(map(self._outside, node.inputs)))
        state.graph.params = params  # they were counted when they were made
        for s in graph.scopes.values():
            if s.path in scopes:
                ins = {name: self._outside(ref) for name, ref in s.ins.items()}
                outs = {name: self._outside(ref) for name, ref in s.outs.items()}
                state.graph.scopes[s.path] = replace(s, ins=ins, outs=outs)

    def _outside(self, ref: Ref) -> Ref:
        return self.entering.get(ref, ref)


def _last(entries: dict[str, T], first: int) -> dict[str, T]:
    """The entries that were made after the first so many, in order."""
    keys = list(islice(reversed(entries), len(entries) - first))
    return {key: entries[key] for key in reversed(keys)}


def _values(table: SymbolTable) -> Iterator[Tensors]:
    """The values of all names of a network, of those inside of its steps too."""
    for symbol in table.entries.values():
        yield symbol.value
        if symbol.children is not None:
            yield from _values(symbol.children)


def _move(table: SymbolTable, moved: Mapping[Ref, Ref]) -> None:
    """Lets all names of a network mean what their values have become."""
    for symbol in table.entries.values():
        symbol.value = _moved(symbol.value, moved)
        if symbol.children is not None:
            _move(symbol.children, moved)


def _moved(value: Tensors, moved: Mapping[Ref, Ref]) -> Tensors:
    return replace(value, refs=tuple(moved.get(ref, ref) for ref in value.refs))
