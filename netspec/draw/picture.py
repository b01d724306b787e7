"""What is drawn: boxes, frames around them, and arrows, with scopes and repeats folded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import product

from netspec.draw.direct import direct
from netspec.draw.folding import Names, Signatures, beside, closes, grouped
from netspec.draw.labels import (
    closed_title,
    describe,
    first_sentence,
    is_layer,
    kind_of,
    node_lines,
    op_lines,
    op_text,
    scope_title,
    title_lines,
)
from netspec.draw.model import Arrow, Box, Frame, Picture
from netspec.draw.numbers import Numbers
from netspec.draw.view import View
from netspec.errors import Span
from netspec.graph import Graph, Node, Ref
from netspec.measure import totals
from netspec.ops.base import show
from netspec.regions import Region, tree


def picture(graph: Graph, view: View | None = None) -> Picture:
    """The picture of a graph; without a depth, open as deep as fits a page; raises UsageError for names unknown."""
    view = view or View()
    graph = direct(graph) if view.direct else graph
    root = tree(graph)
    names = Names.find(root, view.collapse, view.expand)
    numbers = Numbers(graph, view)
    if view.depth is not None or view.unfold:
        return _Builder(graph, root, view, names, numbers, view.depth or 1000).picture()
    for depth in (6, 5, 4, 3, 2):
        found = _Builder(graph, root, view, names, numbers, depth).picture()
        if fits_a_page(found):
            return found
    return _Builder(graph, root, view, names, numbers, 1).picture()


def open_scopes(graph: Graph, view: View) -> set[str]:
    """The paths of the scopes that are open in the picture of a graph."""
    return {frame.path for frame in picture(graph, view).root.frames()}


# A4 with margins is 527 x 774 points; text of 10 may shrink to 7.
PAGE_WIDTH, PAGE_HEIGHT = 750, 1065


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
    heights = {path: 13 * (len(box.lines) + len(box.facts)) + 8 + 20 * (bool(box.ins) + bool(box.outs))
               for path, box in boxes.items()}
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


class _Builder:
    """Walks the regions once, and remembers in which box every node stands."""

    def __init__(self, graph: Graph, root: Region, view: View, names: Names, numbers: Numbers, depth: int) -> None:
        self.graph, self.root, self.view, self.names, self.numbers = graph, root, view, names, numbers
        self.depth = depth
        self.signatures = Signatures()
        self.homes: dict[str, str] = {}
        self.rounds: dict[str, tuple[tuple[int, int], ...]] = {}
        """Of every node inside folded repeats, the number of each repeat and the round in which it stands."""
        self.inside: dict[str, str] = {}
        """Of every node in a closed scope, the path of the scope, in the node's own round."""
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
            label = self._label(label, dict.fromkeys(self._left(output.ref.node, ""), label))
            arrows.append(Arrow(home, box.path, label, not output.training_only, outof))
        # Of a block's text, the first sentence: the rest says what a picture shows by itself.
        title = first_sentence(self.graph.title or self.graph.name)
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
            self.runs.append(run)
            for index, region in enumerate(run):
                for node in region.nodes():
                    mirror = first.path + node.path[len(region.path):]
                    self.homes[node.path] = self.homes[mirror]
                    if mirror in self.inside:
                        self.inside[node.path] = region.path + self.inside[mirror][len(first.path):]
                    self.rounds[node.path] = (*self.rounds.get(node.path, ()), (len(self.runs) - 1, index))

    def box(self, nodes: list[Node], region: Region) -> Box:
        """A node, or a layer with what follows it."""
        first, last = nodes[0], nodes[-1]
        lead = next((n for n in nodes if kind_of(n) in ("weights", "pool")), first)
        ops = " ".join(dict.fromkeys(n.op for n in nodes))
        tooltip = ". ".join(filter(None, (f"{first.path}: {ops} -> {show(last.shape)}", first.doc)))
        lines = (*node_lines(nodes, region, "names" in self.view.show), *self.numbers.shared(nodes))
        return Box(first.path, kind_of(lead), lines, tooltip, first.doc, line_of(first.span),
                   tuple(n.path for n in nodes))

    def closed(self, run: Sequence[Region], parent: Region) -> Box:
        """A scope as one box: a layer with what follows it, or its name and what it repeats."""
        region = run[0]
        nodes = list(region.nodes())
        names = "names" in self.view.show
        kind, lines = closed_lines(region, parent, run[-1].path if len(run) > 1 else "", names)
        if len(run) > 1:
            lines.append(times(run).strip())
        ins, outs = map(tuple, ports(region, kind))
        return Box(region.path, kind, tuple(lines), describe(region), region.scope.doc, line_of(region.scope.span),
                   tuple(n.path for n in nodes), times=len(run), ins=ins, outs=outs)

    def arrows(self, boxes: Mapping[str, Box]) -> list[Arrow]:
        """Every edge between two boxes once; those between the rounds of a repeat are what the count stands for."""
        graph = self.graph
        serves = _ancestors(graph, [o.ref.node for o in graph.outputs.values() if not o.training_only])
        main = {self.homes[path] for path in serves}
        shapes = "shapes" in self.view.show
        found: dict[tuple[str, str, str, int, str, str], Arrow] = {}
        left: dict[tuple[str, str, str, int, str, str], dict[tuple[int, int], str]] = {}
        for node in graph.nodes.values():
            for index, ref in enumerate(node.inputs):
                a, b = self.homes[ref.node], self.homes[node.path]
                if a == b or self._mirrors(ref, node.path):
                    continue
                label = show(graph.shape(ref)) if shapes else ""
                # A repeat is entered once, and left by an arrow that says of which rounds it comes.
                crosses = self.rounds.get(ref.node) != self.rounds.get(node.path)
                for outof, into in product(self._leaves(ref, boxes[a]), self._enters(ref, node.path, boxes[b])):
                    key = (a, b, "" if crosses else str(ref), index if self.view.unfold else 0, outof, into)
                    left.setdefault(key, {}).update(dict.fromkeys(self._left(ref.node, node.path), label))
                    if key not in found or ref.node in self.rounds:
                        found[key] = Arrow(a, b, label, a in main and b in main, outof, into)
        return [replace(arrow, label=self._label(arrow.label, left[key])) for key, arrow in found.items()]

    def _left(self, source: str, target: str) -> list[tuple[int, int]]:
        """The outermost repeat that an edge leaves, with the round."""
        others = dict(self.rounds.get(target, ()))
        return [(run, index) for run, index in self.rounds.get(source, ()) if run not in others][-1:]

    def _label(self, label: str, left: Mapping[tuple[int, int], str]) -> str:
        """What an arrow says: a shape; of a repeat that is not left by its last round alone, the rounds as well."""
        if len({run for run, _ in left}) != 1:
            return label
        run = self.runs[next(iter(left))[0]]
        indices = sorted(index for _, index in left)
        shape = label if len(set(left.values())) == 1 else "different shapes"
        if indices == [len(run) - 1]:
            return label
        if len(indices) == len(run):
            return f"{len(run)} \u00d7 {shape}".rstrip()
        names = [run[index].path.rpartition(".")[2] for index in indices]
        named = " and ".join(names) if len(names) < 3 else f"{len(names)} of {len(run)}"
        return ": ".join(filter(None, (named, shape)))

    def _enters(self, ref: Ref, path: str, box: Box) -> Sequence[str]:
        """The names by which a value enters the closed scope around a node; a nameless one where it has none."""
        ins = self.graph.scopes[self.inside[path]].ins if box.ins else {}
        return [name for name, value in ins.items() if value == ref and name in box.ins] or [""]

    def _leaves(self, ref: Ref, box: Box) -> Sequence[str]:
        """The name by which a value leaves the closed scope that makes it."""
        outs = self.graph.scopes[self.inside[ref.node]].outs if box.outs else {}
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


def times(run: Sequence[Region]) -> str:
    """How often a scope is repeated: ` x5`, ` x5 shared`, ` x32 in parallel`; nothing for one."""
    if len(run) == 1:
        return ""
    shared = len({r.scope.weights_at for r in run}) == 1
    return f" \u00d7{len(run)}{' shared' if shared else ''}{' in parallel' if beside(run) else ''}"


def closed_lines(region: Region, parent: Region, last: str = "", names: bool = True) -> tuple[str, list[str]]:
    """The kind of a closed scope and what it says: a layer with what follows it, or its name and what it repeats."""
    if not is_layer(region):
        title, more = closed_title(region, parent, last, names), inside(region)
        return "block", [f"{title}: {more[0]}"] if more and len(region.items) == 1 else [title, *more]
    name, block = parent.relative(region.path), region.scope.block
    if last:
        name = f"{name} to {parent.relative(last)}"
    plain = not names or (bool(block) and name.startswith(block))
    nodes = list(region.nodes())
    kind = "weights" if any(kind_of(n) == "weights" for n in nodes) else "norm"
    return kind, op_lines(nodes, "" if plain else name)


# More names than this no box can show.
MOST_PORTS = 24


def ports(region: Region, kind: str) -> tuple[Mapping[str, Ref], Mapping[str, Ref]]:
    """What enters and what leaves a closed block by name, where it is more than one."""
    ins = {name: ref for name, ref in region.scope.ins.items() if ref in region.inputs}
    outs = {name: ref for name, ref in region.scope.outs.items() if ref in region.outputs}
    shown = [named if kind == "block" and 1 < len(named) <= MOST_PORTS else {} for named in (ins, outs)]
    return shown[0], shown[1]


def _layers(items: Sequence[Node | Region]) -> list[str]:
    """The layers of a closed group of few, without norms and activations: `3x3 conv, 64 x2`, `2x2 max pool, /2`."""
    found: list[tuple[str, int]] = []
    for item in items:
        if isinstance(item, Region) and not is_layer(item):
            return []
        for node in [item] if isinstance(item, Node) else item.nodes():
            kind, text = kind_of(node), op_text(node.op, node.attrs)
            if kind in ("input", "join"):
                return []
            if kind in ("weights", "pool"):
                found[-1:] = [(text, found[-1][1] + 1)] if found and found[-1][0] == text else [*found[-1:], (text, 1)]
    lines = [text if count == 1 else f"{text} \u00d7{count}" for text, count in found]
    # Two short ones share a line.
    return [" + ".join(lines)] if len(lines) == 2 and len("".join(lines)) < 32 else lines if len(lines) <= 3 else []


def inside(region: Region) -> list[str]:
    """What a closed scope holds: `bottleneck x3`, `3x3 conv, 8 x3 shared`; of a group of few layers, these."""
    items = region.items
    scopes, nodes = [i for i in items if isinstance(i, Region)], [i for i in items if isinstance(i, Node)]
    plain = not (scopes and nodes) and not any(r.scope.kind == "branch" or is_layer(r) for r in scopes)
    said = {r.scope.block or ("rounds" if r.scope.kind == "round" else "") for r in scopes}
    said |= {op_text(n.op, n.attrs) for n in nodes}
    if plain and len(items) > 1 and len(said) == 1 and said != {""}:
        places = {r.scope.weights_at for r in scopes} | {n.weights_at for n in nodes}
        return [f"{said.pop()} \u00d7{len(items)}{' shared' if len(places) == 1 else ''}"]
    if region.scope.block:
        return []
    return [scopes[0].scope.block] if len(items) == 1 and scopes and scopes[0].scope.block else _layers(items)
