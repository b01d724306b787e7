"""Titles of steps: each is one step of its scope, and none is the name of another."""

from __future__ import annotations

from netspec.diagnostics.errors import Span
from netspec.elaborate.places import join
from netspec.elaborate.state import Elaboration
from netspec.elaborate.symbols import place_of
from netspec.ir.graph import Graph, holders


def check_titles(state: Elaboration, graph: Graph) -> bool:
    """Whether no title is that of two steps of one scope, or the name of another step there; reports those that are."""
    spans, nodes, scopes = state.graph.titled, graph.nodes, graph.scopes
    if not spans:
        return True
    named = {*nodes, *holders(nodes)}
    first: dict[tuple[str, str], str] = {}
    said: set[Span] = set()
    for path, span in spans.items():
        part = scopes.get(path) or nodes.get(path)
        if part is None or not part.title or span in said:
            continue
        above, _, name = path.rpartition(".")
        other, what = join(above, part.title), "its name"
        if name == part.title or other not in named:
            other, what = first.setdefault((above, part.title), path), "its title"
        if other != path:
            said.add(span)
            message, help_ = f"'{path}' has the title '{part.title}', which '{other}' has as {what}", ""
            if what == "its title" and spans[other] != span:
                message += f", {place_of(spans[other], span)}"
            elif what == "its title":
                help_ = "a placeholder numbers them, as in a name: `title: conv{k + 1}_x`"
            help_ = help_ or "the titles and names in a scope differ from each other"
            state.error(state.graph.traces.get(path), "NS204", message, span, help_)
    return not said
