"""What is drawn: boxes, frames around them, and arrows, with scopes and repeats folded."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import product

from netspec.analysis.cost import totals
from netspec.diagnostics.errors import Span
from netspec.draw.annotations import Numbers
from netspec.draw.collapsed import closed_lines, ports, times
from netspec.draw.direct import direct
from netspec.draw.labels import describe, first_sentence, kind_of, node_lines, scope_title, title_lines
from netspec.draw.model import Arrow, Box, Frame, Picture
from netspec.draw.repeats import Names, Signatures, closes, grouped, walk
from netspec.draw.simplify import slim
from netspec.draw.view import View
from netspec.ir.graph import Graph, Node, Ref
from netspec.ir.scope_tree import Region, tree
from netspec.ops.base import show


def picture(graph: Graph, view: View | None = None) -> Picture:
    """The picture of a graph; without a depth, open as deep as fits a page; raises UsageError for names unknown."""
    view = view or View()
    graph = direct(graph) if view.direct else graph
    root = tree(graph)
    names = Names.find(root, view.collapse, view.expand)
    root = slim(root)
    builder = partial(_Builder, graph, root, view, names, Numbers(graph, view), Signatures())
    if view.depth is not None or view.unfold:
        return builder(view.depth or 1000).picture()
    for depth in (6, 5, 4, 3, 2):
        found = builder(depth).picture()
        if fits_a_page(found):
            return found
    return builder(1).picture()


def open_scopes(graph: Graph, view: View) -> set[str]:
    """The paths of the scopes that are open in the picture of a graph."""
    return {frame.path for frame in picture(graph, view).root.frames()}


# A4 with margins is 527 x 774 points; text of 10 may shrink to 7.
PAGE_WIDTH, PAGE_HEIGHT = 750, 1095


def fits_a_page(drawn: Picture) -> bool:
    """Whether the text of a picture is 7 points or more on a page of A4."""
    width, height = estimate(drawn)
    return sum(1 for _ in drawn.root.boxes()) <= 60 and height <= PAGE_HEIGHT and width <= PAGE_WIDTH


def estimate(drawn: Picture) -> tuple[int, int]:
    """About the width and height of a picture in points, by its rows; no Graphviz is asked, so that none is needed."""
    boxes = {box.path: box for box in drawn.root.boxes()}
    frames = [frame for frame in drawn.root.frames() if frame.kind != "branch"]
    around: dict[str, set[str]] = {path: set() for path in boxes}
    for frame in frames:
        for box in frame.boxes():
            around[box.path].add(frame.path)
    rows = dict.fromkeys(boxes, 0)
    heights = {
        path: 13 * (len(box.lines) + len(box.facts)) + 8 + 20 * (bool(box.ins) + bool(box.outs))
        for path, box in boxes.items()
    }
    top = 36 + 17 * bool(drawn.legend)
    ends, widths = {path: top + height for path, height in heights.items()}, dict.fromkeys(range(len(boxes)), 0)
    for arrow in drawn.arrows:  # in the order of the graph, which is a topological one
        crossed = len(around[arrow.target] ^ around[arrow.source])
        end = ends[arrow.source] + (31 if arrow.label else 18) + 4 * crossed + heights[arrow.target]
        ends[arrow.target] = max(ends[arrow.target], end)
        rows[arrow.target] = max(rows[arrow.target], rows[arrow.source] + 1)
    for path, box in boxes.items():
        widths[rows[path]] += 5 * max(map(len, (*box.lines, *box.facts))) + 40
    for frame in frames:  # a title stands beside the first box
        widths[rows[next(frame.boxes()).path]] += 5 * max(map(len, title_lines(frame.title))) + 16
    return max(widths.values()), max(ends.values())


def line_of(span: Span | None) -> str:
    """`googlenet.yaml:12`; the folder is left out, so that a picture is the same wherever the spec lies."""
    name = span.file.replace("\\", "/").rpartition("/")[2] if span else ""
    return f"{''.join(c if c.isprintable() else '?' for c in name)}:{span.line}" if span else ""


@dataclass(slots=True)
class _Said:
    """What an arrow stands for, from which its label is made."""

    values: dict[Ref, str] = field(default_factory=dict)
    """The shape of each value that goes its way."""
    left: dict[tuple[int, int], str] = field(default_factory=dict)
    """Of the repeats and rounds that it leaves, the shape."""
    inner: list[str] = field(default_factory=list)
    """Inside a repeat, the shapes in all rounds."""


class _Builder:
    """Walks the regions once, and remembers in which box every node stands."""

    def __init__(
        self, graph: Graph, root: Region, view: View, names: Names, numbers: Numbers, signatures: Signatures, depth: int
    ) -> None:
        self.graph, self.root, self.view, self.names, self.numbers = graph, root, view, names, numbers
        self.depth, self.signatures = depth, signatures
        self.scopes = {region.path: region.scope for region in walk(root)}
        self.homes: dict[str, str] = {}
        self.rounds: dict[str, tuple[tuple[int, int], ...]] = {}
        """Of every node inside folded repeats, the number of each repeat and the round in which it stands."""
        self.inside: dict[str, str] = {}
        """Of every node in a closed scope, the path of the scope, in the node's own round."""
        self.twins: dict[str, str] = {}
        """Of every node inside folded repeats, the node that stands in its place in the first rounds."""
        self.runs: list[Sequence[Region]] = []
        """Every folded repeat, its number in `rounds` being its place here."""

    def picture(self) -> Picture:
        """The whole of it."""
        frame = Frame("", "", "network")
        self.fill(self.root, frame, self.depth)
        boxes = {box.path: box for box in frame.boxes()}
        arrows = self.arrows(boxes)
        for name, output in self.graph.outputs.items():
            lines = (name, *_training(output.training_only, output.loss_weight))
            box = Box(f"output {name}", "output", lines, f"output {name}")
            frame.items.append(box)
            label = show(self.graph.shape(output.ref)) if "shapes" in self.view.show else ""
            home = self.homes[output.ref.node]
            outof = self._leaves(output.ref, boxes[home])[0]
            label = self._label(label, _Said(left=dict.fromkeys(self._left(output.ref.node, ""), label)))
            arrows.append(Arrow(home, box.path, label, not output.training_only, outof))
        title = self.graph.title or self.graph.name
        if "" in self.graph.scopes:  # the rest of a block's text says what a picture shows by itself
            title = first_sentence(title)
        self.numbers.written(frame, self.stands())
        drawn = Picture(title, frame, arrows)
        drawn.legend = ". ".join(filter(None, (self.block(), self.numbers.legend)))
        return drawn

    def stands(self) -> dict[str, list[list[Node]]]:
        """The nodes that every box stands for, round by round."""
        found: dict[str, dict[object, list[Node]]] = {}
        for path, node in self.graph.nodes.items():
            found.setdefault(self.homes[path], {}).setdefault(self.rounds.get(path), []).append(node)
        return {home: list(rounds.values()) for home, rounds in found.items()}

    def block(self) -> str:
        """Of a block alone, its name, arguments and parameters."""
        if "" not in self.graph.scopes:
            return ""
        args = ", ".join(f"{name}={value}" for name, value in self.graph.scopes[""].args.items())
        count = totals(self.graph.nodes.values()).params
        return f"{self.graph.name}{f'({args})' if args else ''}: {count:,} parameters"

    def fill(self, region: Region, frame: Frame, left: int) -> None:
        """Puts the items of a region into a frame, `left` levels deep."""
        for run in grouped(self.graph, region, self.signatures, self.names, self.view.unfold):
            if isinstance(run[0], Node):
                nodes: list[Node] = run
                frame.items.append(self.box(nodes, region))
                self.homes |= dict.fromkeys((n.path for n in nodes), nodes[0].path)
            else:
                scopes: list[Region] = run
                self.scope(scopes, region, frame, left)

    def scope(self, run: Sequence[Region], parent: Region, frame: Frame, left: int) -> None:
        """A scope and its repeats: one box, or a frame around the first."""
        first, last = run[0], run[-1].path if len(run) > 1 else ""
        if closes(first, left, self.names, not self.view.unfold):
            frame.items.append(self.closed(run, parent))
            self.homes |= dict.fromkeys((n.path for n in first.nodes()), first.path)
            self.inside |= dict.fromkeys((n.path for n in first.nodes()), first.path)
        else:
            title = scope_title(first, parent, last, "names" in self.view.show) + times(run)
            inner = Frame(first.path, title, first.scope.kind, describe(first), line_of(first.scope.span), len(run))
            frame.items.append(inner)
            self.fill(first, inner, left - (first.scope.kind != "branch"))
        if len(run) > 1:
            self.repeat(run)

    def repeat(self, run: Sequence[Region]) -> None:
        """Puts the nodes of the later rounds where those of the first stand."""
        first, number = run[0], len(self.runs)
        self.runs.append(run)
        known = {str(node.path): self.rounds.get(node.path, ()) for node in first.nodes()}
        for index, region in enumerate(run):
            for node in region.nodes():
                twin = first.path + node.path[len(region.path) :]
                self.twins[node.path] = self.twins.get(twin, twin)
                self.homes[node.path] = self.homes[twin]
                if twin in self.inside:
                    self.inside[node.path] = region.path + self.inside[twin][len(first.path) :]
                self.rounds[node.path] = (*known[twin], (number, index))

    def box(self, nodes: list[Node], region: Region) -> Box:
        """A node, or a layer with what follows it."""
        first, last = nodes[0], nodes[-1]
        lead = next((n for n in nodes if kind_of(n) in ("weights", "pool")), first)
        ops = " ".join(dict.fromkeys(n.op for n in nodes))
        tooltip = ". ".join(filter(None, (f"{first.path}: {ops} -> {show(last.shape)}", first.doc)))
        lines = (*node_lines(nodes, region, "names" in self.view.show), *self.numbers.shared(nodes))
        return Box(
            first.path, kind_of(lead), lines, tooltip, first.doc, line_of(first.span), tuple(n.path for n in nodes)
        )

    def closed(self, run: Sequence[Region], parent: Region) -> Box:
        """A scope as one box: a layer with what follows it, or its name and what it repeats."""
        region = run[0]
        nodes = list(region.nodes())
        kind, lines = closed_lines(self.graph, run, parent, "names" in self.view.show)
        lines += self.numbers.shared(nodes, (region.path, *region.inner)[-1])
        ins, outs = ports(run, kind)
        return Box(
            region.path,
            kind,
            tuple(lines),
            describe(region),
            region.scope.doc,
            line_of(region.scope.span),
            tuple(n.path for n in nodes),
            times=len(run),
            ins=ins,
            outs=outs,
        )

    def arrows(self, boxes: Mapping[str, Box]) -> list[Arrow]:
        """Every edge between two boxes once; those between the rounds of a repeat are what the count stands for."""
        graph = self.graph
        serves = _ancestors(graph, [o.ref.node for o in graph.outputs.values() if not o.training_only])
        main = {self.homes[path] for path in serves}
        shapes = "shapes" in self.view.show
        found: dict[tuple[str, str, str, int, str, str], Arrow] = {}
        said: dict[tuple[str, str, str, int, str, str], _Said] = {}
        inner: dict[tuple[str, str], dict[str, None]] = {}
        for node in graph.nodes.values():
            for index, ref in enumerate(node.inputs):
                a, b = self.homes[ref.node], self.homes[node.path]
                if a == b:
                    continue
                label = show(graph.shape(ref)) if shapes else ""
                # A repeat is entered once, and left by an arrow that says of which rounds it comes.
                crosses = self.rounds.get(ref.node) != self.rounds.get(node.path)
                if self._alike(ref.node, node.path):
                    inner.setdefault((a, b), {})[label] = None
                if self._mirrors(ref, node.path):
                    continue
                leaves = bool(self._left(ref.node, node.path))
                place = str(Ref(self.twins.get(ref.node, ref.node), ref.out))
                value = "" if self.view.direct or (crosses and not leaves) else place
                for outof, into in product(self._leaves(ref, boxes[a]), self._enters(ref, node.path, boxes[b])):
                    key = (a, b, value, index if self.view.unfold else 0, outof, into)
                    one = said.setdefault(key, _Said())
                    one.values[ref] = label
                    one.left.update(dict.fromkeys(self._left(ref.node, node.path), label))
                    if key not in found or ref.node in self.rounds:
                        found[key] = Arrow(a, b, label, a in main and b in main, outof, into)
        several = Counter((arrow.source, arrow.target) for arrow in found.values())
        for key, one in said.items():
            if several[key[:2]] == 1:
                one.inner = list(inner.get(key[:2], ()))
        return [replace(arrow, label=self._label(arrow.label, said[key])) for key, arrow in found.items()]

    def _alike(self, source: str, target: str) -> bool:
        """Whether an edge lies inside one round of a repeat, and is what one arrow stands for in all rounds.

        It may leave a repeat in there by its last round, or enter one by its first.
        """
        froms, intos = dict(self.rounds.get(source, ())), dict(self.rounds.get(target, ()))
        shared = froms.keys() & intos.keys()
        leaves = all(index == len(self.runs[run]) - 1 for run, index in froms.items() if run not in shared)
        enters = all(index == 0 for run, index in intos.items() if run not in shared)
        return bool(shared) and leaves and enters and all(froms[run] == intos[run] for run in shared)

    def _left(self, source: str, target: str) -> list[tuple[int, int]]:
        """The outermost repeat that an edge leaves, with the round."""
        others = dict(self.rounds.get(target, ()))
        return [(run, index) for run, index in self.rounds.get(source, ()) if run not in others][-1:]

    def _label(self, label: str, said: _Said) -> str:
        """What an arrow says: a shape; how often or of which rounds; inside a repeat that of the first and the last."""
        left, own = said.left, label
        if len(said.inner) > 1:
            own = f"{said.inner[0]} to {said.inner[-1]}"
        if self.view.direct and len(said.values) > 1 and not left:
            return (
                f"{len(said.values)} \u00d7 {label}"
                if len(set(said.values.values())) == 1
                else (f"{len(said.values)} values")
            )
        if len({run for run, _ in left}) != 1:
            return label if left else own
        run = self.runs[next(iter(left))[0]]
        indices = sorted(index for _, index in left)
        shape = label if len(set(left.values())) == 1 else "different shapes"
        if indices == [len(run) - 1]:
            return own
        if len(indices) == len(run):
            return f"{len(run)} \u00d7 {shape}".rstrip()
        names = [run[index].path.rpartition(".")[2] for index in indices]
        named = " and ".join(names) if len(names) < 3 else f"{len(names)} of {len(run)}"
        return ": ".join(filter(None, (named, shape)))

    def _enters(self, ref: Ref, path: str, box: Box) -> Sequence[str]:
        """The names by which a value enters the closed scope around a node; a nameless one where it has none."""
        ins = self.scopes[self.inside[path]].ins if box.ins else {}
        return [name for name, value in ins.items() if value == ref and name in box.ins] or [""]

    def _leaves(self, ref: Ref, box: Box) -> Sequence[str]:
        """The name by which a value leaves the closed scope that makes it."""
        outs = self.scopes[self.inside[ref.node]].outs if box.outs else {}
        return [name for name, value in outs.items() if value == ref and name in box.outs][:1] or [""]

    def _mirrors(self, ref: Ref, path: str) -> bool:
        """Whether an edge is what the count of a repeat stands for.

        That is one between two rounds, one inside a later round, and one by which what entered the first comes to a
        later round, as the state before the last does in the cells of NASNet.
        """
        others = dict(self.rounds.get(path, ()))
        if any(run in others and (others[run] != index or index > 0) for run, index in self.rounds.get(ref.node, ())):
            return True
        return any(index > 0 and ref in self.runs[run][0].inputs for run, index in others.items())


def _ancestors(graph: Graph, paths: Sequence[str]) -> set[str]:
    found, queue = set(paths), list(paths)
    while queue:
        before = set(graph.nx.predecessors(queue.pop())) - found
        found |= before
        queue += before
    return found


def _training(only: bool, weight: float | None) -> tuple[str, ...]:
    return (f"training only{f', loss x {weight:g}' if weight is not None else ''}",) if only else ()
