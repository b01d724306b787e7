"""The numbers in a picture: what boxes say of their cost, and what colours them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from textwrap import wrap

from netspec.analysis.cost import activations, totals
from netspec.analysis.receptive_field import WHOLE_INPUT, receptive_fields
from netspec.draw.labels import short
from netspec.draw.model import Box, Frame, View
from netspec.ir.graph import Graph, Node

# What boxes are coloured by, and its unit.
QUANTITIES = {
    "params": ("parameters", ""),
    "macs": ("MACs", ""),
    "activations": ("activations", "B"),
    "rf": ("receptive field", f" pixels or the {WHOLE_INPUT}"),
}


class Annotations:
    """Counts what a view asks for."""

    def __init__(self, graph: Graph, view: View) -> None:
        self.graph, self.view = graph, view
        self.owners: dict[str, str] = {}
        for node in graph.nodes.values():
            if node.result.weights:
                self.owners.setdefault(node.weights_at, node.path)
        self.fields = receptive_fields(graph) if "rf" in (*view.show, view.heat) else {}
        self.scopes = view.numbers.scopes(graph) if view.numbers is not None else {}
        self.widest = max((max(field) for field in self.fields.values() if field), default=1)

    def facts(self, run: Sequence[Sequence[Node]], docs: Sequence[str]) -> tuple[str, ...]:
        """The lines of numbers and notes of a box; of a repeat, what each iteration has and what the last one sees."""
        found, asked = [], self.view.show
        counts = [totals(nodes) for nodes in run]
        params = [totals(self.owned(nodes)).params for nodes in run]
        if len(run) > 1 and not any(params[1:]):
            params = params[:1]
        if "params" in asked and any(params):
            found.append(_range(params, " parameters"))
        if "macs" in asked and any(c.macs for c in counts):
            found.append(_range([c.macs for c in counts], " MACs"))
        if "activations" in asked and run[0][0].op != "input":
            found.append(_range([activations(nodes) for nodes in run], "B of activations"))
        if "rf" in asked:
            field = self.field(run[-1])
            found.append(f"sees {field[0]}\u00d7{field[1]}" if field else f"sees the {WHOLE_INPUT}")
        if "notes" in asked:
            found += [line for doc in docs for line in notes(doc)]
        return tuple(found)

    def owned(self, nodes: Sequence[Node]) -> list[Node]:
        """Those whose weights stand nowhere before: shared weights are counted once, as in all tables."""
        return [n for n in nodes if self.owners.get(n.weights_at, n.path) == n.path]

    def shared(self, nodes: Sequence[Node], scope: str = "") -> tuple[str, ...]:
        """Where the weights of nodes, those of a scope, are counted first, if not in this place."""
        pairs = [(node.path, self.owners[node.weights_at]) for node in nodes if node.weights_at in self.owners]
        if not pairs or any(path == owner for path, owner in pairs):
            return ()
        own, theirs = (path.split(".") for path in pairs[0])
        # Of a scope it is the scope that they stand in: what both paths end with lies in either.
        while scope and own and theirs[1:] and own[-1] == theirs[-1] and len(".".join(own)) > len(scope):
            own, theirs = own[:-1], theirs[:-1]
        return (f"weights of {'.'.join(theirs)}",)

    def field(self, nodes: Sequence[Node]) -> tuple[int, int] | None:
        """The largest receptive field among nodes; None where it is the whole input."""
        fields = [self.fields[node.path] for node in nodes]
        known = [field for field in fields if field]
        return (max(h for h, _ in known), max(w for _, w in known)) if len(known) == len(fields) else None

    def value(self, nodes: Sequence[Node]) -> float:
        """What a box that stands for these nodes is coloured by; 0 without colours."""
        if self.view.heat is None:
            return 0
        if self.view.numbers is not None:
            return self.view.numbers.of([node.path for node in nodes], self.scopes)
        if self.view.heat == "activations":
            return activations(nodes)
        if self.view.heat == "rf":
            field = self.field(nodes)
            return max(field) if field else self.widest
        return totals(self.owned(nodes)).params if self.view.heat == "params" else totals(nodes).macs

    def annotate(self, frame: Frame, nodes_of: Mapping[str, Sequence[Sequence[Node]]]) -> str:
        """Writes into the boxes of a frame what was asked of their nodes, by iteration, and gives the colours' legend.

        The intensity of a colour is the share of the largest; a repeat counts all its iterations.
        """
        values: dict[str, float] = {}
        legend = ""
        if self.view.heat is not None:
            values = {path: self.value([n for nodes in run for n in nodes]) for path, run in nodes_of.items()}
            largest = max(values.values(), default=0.0)
            what, unit = quantity(self.view)
            legend = f"heat: {what}, strongest {short(largest)}{unit}"
            values = {path: value / largest if largest else 0.0 for path, value in values.items()}
        for inner in (frame, *frame.frames()):
            for index, item in enumerate(inner.items):
                if isinstance(item, Box) and item.path in nodes_of:
                    run = nodes_of[item.path]
                    every = tuple(tuple(node.path for node in nodes) for nodes in run)
                    facts, intensity = self.facts(run, [item.doc]), values.get(item.path)
                    inner.items[index] = replace(item, facts=facts, intensity=intensity, iterations=every)
        return legend


def meaning(view: View) -> str:
    """What a strong colour means; empty without colours."""
    if view.numbers is not None:
        return f"stronger is more by the numbers of {view.numbers.source}"
    return f"stronger has more {QUANTITIES[view.heat][0]}" if view.heat else ""


def quantity(view: View) -> tuple[str, str]:
    """What the boxes of a view are coloured by, and its unit."""
    if view.numbers is not None:
        return f"numbers of {view.numbers.source}", ""
    return QUANTITIES[view.heat or "macs"]


def notes(doc: str) -> list[str]:
    """The text of a step in short lines."""
    return wrap(doc, 40)


def _range(values: Sequence[int], unit: str) -> str:
    """`45.4k parameters`, of several iterations `45.4k parameters each` or `45.4k to 66.2k parameters each`."""
    low, high = short(min(values)), short(max(values))
    return f"{low}{'' if low == high else f' to {high}'}{unit}{' each' * (len(values) > 1)}"
