"""The edges of a graph as arrows between boxes, where repeats and collapsed scopes stand for many nodes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from netspec.draw.model import Arrow, Box
from netspec.draw.outline import Outline
from netspec.ir.graph import Graph, Ref
from netspec.ir.scope_tree import Region


@dataclass(slots=True)
class Placement:
    """In which box every node stands."""

    box_of: dict[str, str] = field(default_factory=dict)
    iterations: dict[str, tuple[tuple[int, int], ...]] = field(default_factory=dict)
    """Of every node in drawn repeats, the number of each repeat and the iteration in which it stands."""
    collapsed_in: dict[str, str] = field(default_factory=dict)
    """Of every node in a collapsed scope, the path of the scope, in the node's own iteration."""
    representatives: dict[str, str] = field(default_factory=dict)
    """Of every node in drawn repeats, the node that stands in its place in the first iterations."""
    repeats: list[Sequence[Region]] = field(default_factory=list)
    """Every repeat that is drawn once, its number in `iterations` being its place here."""

    def repeat(self, run: Sequence[Region]) -> None:
        """Puts the nodes of the later iterations where those of the first stand."""
        first, number = run[0], len(self.repeats)
        self.repeats.append(run)
        known = {str(node.path): self.iterations.get(node.path, ()) for node in first.nodes()}
        for index, region in enumerate(run):
            for node in region.nodes():
                same = first.path + node.path[len(region.path) :]
                self.representatives[node.path] = self.representatives.get(same, same)
                self.box_of[node.path] = self.box_of[same]
                if same in self.collapsed_in:
                    self.collapsed_in[node.path] = region.path + self.collapsed_in[same][len(first.path) :]
                self.iterations[node.path] = (*known[same], (number, index))

    def left(self, source: str, target: str) -> list[tuple[int, int]]:
        """The outermost repeat that an edge leaves, with the iteration."""
        others = dict(self.iterations.get(target, ()))
        return [(run, index) for run, index in self.iterations.get(source, ()) if run not in others][-1:]

    def alike(self, source: str, target: str) -> bool:
        """Whether an edge lies inside one iteration of a repeat, and is what one arrow stands for in all of them.

        It may leave a repeat in there by its last iteration, or enter one by its first.
        """
        froms, intos = dict(self.iterations.get(source, ())), dict(self.iterations.get(target, ()))
        shared = froms.keys() & intos.keys()
        leaves = all(index == len(self.repeats[run]) - 1 for run, index in froms.items() if run not in shared)
        enters = all(index == 0 for run, index in intos.items() if run not in shared)
        return bool(shared) and leaves and enters and all(froms[run] == intos[run] for run in shared)

    def implied(self, ref: Ref, path: str) -> bool:
        """Whether an edge is what the count of a repeat stands for.

        That is one between two iterations, one inside a later iteration, and one by which what entered the first comes
        to a later one, as the state before the last does in the cells of NASNet.
        """
        others = dict(self.iterations.get(path, ()))
        own = self.iterations.get(ref.node, ())
        if any(run in others and (others[run] != index or index > 0) for run, index in own):
            return True
        return any(index > 0 and ref in self.repeats[run][0].inputs for run, index in others.items())


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
    value: str
    operand: int
    outof: str
    into: str


class Arrows:
    """Every edge between two boxes once; those between the iterations of a repeat are what its count stands for."""

    def __init__(self, outline: Outline, placement: Placement, boxes: Mapping[str, Box]) -> None:
        self.outline, self.placement, self.boxes = outline, placement, boxes
        self.graph, self.view = outline.graph, outline.view
        self.found: dict[_Key, Arrow] = {}
        self.values: dict[_Key, _Values] = {}
        self.inner: dict[tuple[str, str], dict[str, None]] = {}
        self.main = {placement.box_of[path] for path in serving(self.graph)}

    def all(self) -> list[Arrow]:
        """The arrows between boxes, then those to the outputs."""
        for node in self.graph.nodes.values():
            for index, ref in enumerate(node.inputs):
                self.add(ref, node.path, index)
        several = Counter((arrow.source, arrow.target) for arrow in self.found.values())
        for key, values in self.values.items():
            if several[key[:2]] == 1:
                values.inner = list(self.inner.get(key[:2], ()))
        between = [replace(arrow, label=self.label(arrow.label, self.values[key])) for key, arrow in self.found.items()]
        return [*between, *(self.to_output(name) for name in self.graph.outputs)]

    def add(self, ref: Ref, path: str, operand: int) -> None:
        """Adds the edge by which a node reads a value."""
        place = self.placement
        source, target = place.box_of[ref.node], place.box_of[path]
        if source == target:
            return
        label = self.outline.shape(ref)
        if place.alike(ref.node, path):
            self.inner.setdefault((source, target), {})[label] = None
        if place.implied(ref, path):
            return
        # A repeat is entered once, and left by an arrow that says of which iterations it comes.
        left = place.left(ref.node, path)
        enters = place.iterations.get(ref.node) != place.iterations.get(path) and not left
        same = str(Ref(place.representatives.get(ref.node, ref.node), ref.out))
        value = "" if self.view.direct or enters else same
        for into in self.into(ref, path, self.boxes[target]):
            outof = self.outof(ref, self.boxes[source])
            key = _Key(source, target, value, operand if self.view.unfold else 0, outof, into)
            one = self.values.setdefault(key, _Values())
            one.shapes[ref] = label
            one.left.update(dict.fromkeys(left, label))
            if key not in self.found or ref.node in place.iterations:
                self.found[key] = Arrow(source, target, label, source in self.main and target in self.main, outof, into)

    def to_output(self, name: str) -> Arrow:
        """The arrow to an output."""
        output = self.graph.outputs[name]
        shape, source = self.outline.shape(output.ref), self.placement.box_of[output.ref.node]
        label = self.label(shape, _Values(left=dict.fromkeys(self.placement.left(output.ref.node, ""), shape)))
        outof = self.outof(output.ref, self.boxes[source])
        return Arrow(source, f"output {name}", label, not output.training_only, outof)

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
        run = self.placement.repeats[next(iter(left))[0]]
        indices = sorted(index for _, index in left)
        shape = label if len(set(left.values())) == 1 else "different shapes"
        if indices == [len(run) - 1]:
            return own
        if len(indices) == len(run):
            return f"{len(run)} \u00d7 {shape}".rstrip()
        names = [run[index].path.rpartition(".")[2] for index in indices]
        named = " and ".join(names) if len(names) < 3 else f"{len(names)} of {len(run)}"
        return ": ".join(filter(None, (named, shape)))

    def into(self, ref: Ref, path: str, box: Box) -> Sequence[str]:
        """The names by which a value enters the collapsed scope around a node; a nameless one where it has none."""
        ins = self.outline.scopes[self.placement.collapsed_in[path]].ins if box.ins else {}
        return [name for name, value in ins.items() if value == ref and name in box.ins] or [""]

    def outof(self, ref: Ref, box: Box) -> str:
        """The name by which a value leaves the collapsed scope that makes it."""
        outs = self.outline.scopes[self.placement.collapsed_in[ref.node]].outs if box.outs else {}
        return next((name for name, value in outs.items() if value == ref and name in box.outs), "")


def serving(graph: Graph) -> set[str]:
    """The paths of the nodes that lead to an output that inference has."""
    queue = [output.ref.node for output in graph.outputs.values() if not output.training_only]
    found = set(queue)
    while queue:
        before = set(graph.nx.predecessors(queue.pop())) - found
        found |= before
        queue += before
    return found
