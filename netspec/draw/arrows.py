"""The edges of a graph as arrows between boxes, where repeats and collapsed scopes stand for many nodes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import product
from typing import NamedTuple

from netspec.draw.model import Arrow, Box
from netspec.draw.outline import Outline
from netspec.draw.repeats import Layer
from netspec.ir.graph import Graph, Ref
from netspec.ir.scope_tree import Region

Choices = tuple[tuple[int, bool], ...]
"""Repeats by their numbers, the innermost first, and whether each is drawn once or every iteration for itself."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a node stands in a picture."""

    box: Box
    representative: str
    """The node that stands in its place in the first iterations of the repeats that are drawn once."""
    collapsed_in: str = ""
    """The path of the collapsed scope that the node is in, in its own iteration."""
    iterations: tuple[tuple[int, int], ...] = ()
    """The number of each repeat around it that is drawn once, the innermost first, and the iteration that it is in."""
    choices: Choices = ()

    def holds(self, other: Place) -> bool:
        """Whether the box is a collapsed scope around that of another place."""
        return bool(self.collapsed_in) and other.box.path.startswith(f"{self.box.path}.")

    def apart(self, repeat: int) -> Place:
        """The same where every iteration of the repeat around it is drawn."""
        return replace(self, choices=(*self.choices, (repeat, False)))

    def once(self, repeat: int, index: int, run: Sequence[Region]) -> Place:
        """The place of the node of an iteration for which this one, of the first, stands."""
        inside = run[index].path + self.collapsed_in[len(run[0].path) :] if self.collapsed_in else ""
        iterations, choices = (*self.iterations, (repeat, index)), (*self.choices, (repeat, True))
        return Place(self.box, self.representative, inside, iterations, choices)


class Places:
    """Where every node may stand: in a picture in one box, in a page in one for each choice of what is expanded."""

    def __init__(self) -> None:
        self.of: dict[str, list[Place]] = {}
        self.repeats: list[Sequence[Region]] = []
        """Every repeat, its number being its place here."""

    def add(self, box: Box, collapsed: bool) -> None:
        """Puts nodes into a box, which may be that of a collapsed scope."""
        self.of |= {path: [Place(box, path, box.path if collapsed else "")] for path in box.nodes}

    def repeat(self, run: Sequence[Region]) -> None:
        """Puts the nodes of the later iterations where those of the first stand."""
        number = len(self.repeats)
        self.repeats.append(run)
        known = {str(node.path): self.of[node.path] for node in run[0].nodes()}
        self.of |= _once(number, run, known)


def _once(number: int, run: Sequence[Region], known: Mapping[str, list[Place]]) -> dict[str, list[Place]]:
    """The places of the nodes of all iterations, by those of the first."""
    start = run[0].path
    return {
        node.path: [place.once(number, i, run) for place in known[start + node.path[len(region.path) :]]]
        for i, region in enumerate(run)
        for node in region.nodes()
    }


# The pages of shipped networks have 33,000 at most; repeats in each other double them level by level.
MOST_PLACES = 200_000


class _TooMany(Exception):
    """There are more places than a page can hold."""


class EveryPlace(Places):
    """Every place where a node may stand, whatever is expanded; where too many were, with all repeats drawn once."""

    def __init__(self, outline: Outline) -> None:
        super().__init__()
        self.outline, self.apart, self.count = outline, True, 0
        try:
            self.of = self.within(outline.root)
        except _TooMany:
            self.repeats.clear()
            self.apart = False
            self.of = self.within(outline.root)

    def within(self, region: Region) -> dict[str, list[Place]]:
        """The places of the nodes of a region that do not collapse it."""
        found: dict[str, list[Place]] = {}
        for group in self.outline.groups(region):
            if isinstance(group, Layer):
                box = self.outline.layer(group.nodes, region)
                found |= {path: [Place(box, path)] for path in box.nodes}
            else:
                found |= self.scope(group.regions, region)
        return found

    def scope(self, run: list[Region], parent: Region) -> dict[str, list[Place]]:
        """The places of the nodes of a scope and its repeats."""
        inner = [self.within(scope) for scope in (run if self.apart else run[:1])]
        each = [self.own(run[i : i + 1], parent, some) for i, some in enumerate(inner)]
        found = {path: places for some in each for path, places in some.items()}
        if len(run) > 1:
            number = len(self.repeats)
            self.repeats.append(run)
            once = _once(number, run, self.own(run, parent, inner[0]))
            if self.apart:
                found = {path: [*(place.apart(number) for place in found[path]), *more] for path, more in once.items()}
            else:
                found = once
        self.count += sum(map(len, found.values()))
        if self.apart and self.count > MOST_PLACES:
            raise _TooMany
        return found

    def own(self, run: list[Region], parent: Region, inner: Mapping[str, list[Place]]) -> dict[str, list[Place]]:
        """The places of the nodes of a scope, or of the first of its repeats: in the box of all, or of those inside."""
        box = self.outline.collapsed(run, parent)
        return {path: [Place(box, path, box.path), *places] for path, places in inner.items()}


@dataclass(slots=True)
class _Values:
    """What an arrow stands for, from which its label is made."""

    shapes: dict[Ref, str] = field(default_factory=dict)
    """The shape of each value that goes its way."""
    left: dict[tuple[int, int], str] = field(default_factory=dict)
    """Of the repeats and iterations that it leaves, the shape."""
    inner: list[str] = field(default_factory=list)
    """Inside a repeat, the shapes in all iterations."""


class _Key(NamedTuple):
    """What two edges have in common that are one arrow."""

    source: str
    target: str
    choices: frozenset[tuple[int, bool]]
    value: str
    operand: int
    outof: str
    into: str

    @property
    def boxes(self) -> tuple[str, str, frozenset[tuple[int, bool]]]:
        """The boxes between which it goes, and what is chosen around them."""
        return self[:3]


class Arrows:
    """Every edge between two boxes once; those between the iterations of a repeat are what its count stands for."""

    def __init__(self, outline: Outline, places: Places) -> None:
        self.outline, self.places, self.repeats = outline, places.of, places.repeats
        self.graph, self.view = outline.graph, outline.view
        self.found: dict[_Key, Arrow] = {}
        self.values: dict[_Key, _Values] = {}
        self.inner: dict[tuple[str, str, frozenset[tuple[int, bool]]], dict[str, None]] = {}
        self.main = {(p.box.path, p.choices) for path in serving(self.graph) for p in self.places[path]}

    def all(self) -> list[tuple[Arrow, frozenset[tuple[int, bool]]]]:
        """The arrows between boxes, then those to the outputs, each with what is chosen around its boxes."""
        for node in self.graph.nodes.values():
            for index, ref in enumerate(node.inputs):
                for source, target in product(self.places[ref.node], self.places[node.path]):
                    if _both_visible(source, target):
                        self.add(ref, index, source, target)
        several = Counter(key.boxes for key in self.found)
        for key, values in self.values.items():
            if several[key.boxes] == 1:
                values.inner = list(self.inner.get(key.boxes, ()))
        between = [
            (replace(arrow, label=self.label(arrow.label, self.values[key])), key.choices)
            for key, arrow in self.found.items()
        ]
        return between + [
            (self.to_output(name, place), frozenset(place.choices))
            for name, output in self.graph.outputs.items()
            for place in self.places[output.ref.node]
        ]

    def add(self, ref: Ref, operand: int, source: Place, target: Place) -> None:
        """Adds the edge by which a node at a place reads a value that is made at another."""
        choices = frozenset((*source.choices, *target.choices))
        label = self.outline.shape(ref)
        if self.alike(source, target):
            self.inner.setdefault((source.box.path, target.box.path, choices), {})[label] = None
        if self.implied(ref, source, target):
            return
        # A repeat is entered once, and left by an arrow that says of which iterations it comes.
        left = _left(source, target)
        enters = source.iterations != target.iterations and not left
        value = "" if self.view.direct or enters else str(Ref(source.representative, ref.out))
        main = all((place.box.path, place.choices) in self.main for place in (source, target))
        outof = self.outof(ref, source)
        for into in self.into(ref, target):
            ends = source.box.path, target.box.path
            key = _Key(*ends, choices, value, operand if self.view.unfold else 0, outof, into)
            one = self.values.setdefault(key, _Values())
            one.shapes[ref] = label
            one.left.update(dict.fromkeys(left, label))
            if key not in self.found or source.iterations:
                self.found[key] = Arrow(*ends, label, main, outof, into)

    def to_output(self, name: str, place: Place) -> Arrow:
        """The arrow to an output from the box that gives it."""
        output = self.graph.outputs[name]
        shape = self.outline.shape(output.ref)
        label = self.label(shape, _Values(left=dict.fromkeys(place.iterations[-1:], shape)))
        return Arrow(place.box.path, f"output {name}", label, not output.training_only, self.outof(output.ref, place))

    def alike(self, source: Place, target: Place) -> bool:
        """Whether an edge lies inside one iteration of a repeat, and is what one arrow stands for in all of them.

        It may leave a repeat in there by its last iteration, or enter one by its first.
        """
        froms, intos = dict(source.iterations), dict(target.iterations)
        shared = froms.keys() & intos.keys()
        leaves = all(index == len(self.repeats[run]) - 1 for run, index in froms.items() if run not in shared)
        enters = all(index == 0 for run, index in intos.items() if run not in shared)
        return bool(shared) and leaves and enters and all(froms[run] == intos[run] for run in shared)

    def implied(self, ref: Ref, source: Place, target: Place) -> bool:
        """Whether an edge is what the count of a repeat stands for.

        That is one between two iterations, one inside a later iteration, and one by which what entered the first comes
        to a later one, as the state before the last does in the cells of NASNet.
        """
        others = dict(target.iterations)
        if any(run in others and (others[run] != index or index > 0) for run, index in source.iterations):
            return True
        return any(index > 0 and ref in self.repeats[run][0].inputs for run, index in others.items())

    def label(self, label: str, values: _Values) -> str:
        """What an arrow says: a shape; how often or of which iterations; in a repeat that of the first and the last."""
        left, own = values.left, label
        if len(values.inner) > 1:
            own = f"{values.inner[0]} to {values.inner[-1]}"
        if self.view.direct and len(values.shapes) > 1 and not left:
            same = len(set(values.shapes.values())) == 1
            return f"{len(values.shapes)} \u00d7 {label}" if same else f"{len(values.shapes)} values"
        if len({run for run, _ in left}) != 1:
            return label if left else own
        run = self.repeats[next(iter(left))[0]]
        indices = sorted(index for _, index in left)
        shape = label if len(set(left.values())) == 1 else "different shapes"
        if indices == [len(run) - 1]:
            return own
        if len(indices) == len(run):
            return f"{len(run)} \u00d7 {shape}".rstrip()
        names = [run[index].path.rpartition(".")[2] for index in indices]
        named = " and ".join(names) if len(names) < 3 else f"{len(names)} of {len(run)}"
        return ": ".join(filter(None, (named, shape)))

    def into(self, ref: Ref, place: Place) -> Sequence[str]:
        """The names by which a value enters the collapsed scope around a node; a nameless one where it has none."""
        ins = self.outline.scopes[place.collapsed_in].ins if place.box.ins else {}
        return [name for name, value in ins.items() if value == ref and name in place.box.ins] or [""]

    def outof(self, ref: Ref, place: Place) -> str:
        """The name by which a value leaves the collapsed scope that makes it."""
        outs = self.outline.scopes[place.collapsed_in].outs if place.box.outs else {}
        return next((name for name, value in outs.items() if value == ref and name in place.box.outs), "")


def _left(source: Place, target: Place) -> tuple[tuple[int, int], ...]:
    """The outermost repeat that an edge leaves, with the iteration."""
    others = dict(target.iterations)
    return tuple((run, index) for run, index in source.iterations if run not in others)[-1:]


def _both_visible(source: Place, target: Place) -> bool:
    """Whether an arrow can go from one place to the other: no box is the other or holds it, and the choices agree."""
    if source.box.path == target.box.path or source.holds(target) or target.holds(source):
        return False
    others = dict(target.choices)
    return all(others.get(repeat, once) == once for repeat, once in source.choices)


def serving(graph: Graph) -> set[str]:
    """The paths of the nodes that lead to an output that inference has."""
    return graph.above(output.ref.node for output in graph.outputs.values() if not output.training_only)
