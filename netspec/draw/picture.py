"""What is drawn: boxes, frames around them, and arrows, with scopes and repeats folded."""

from __future__ import annotations

from collections.abc import Sequence

from netspec.analysis.cost import totals
from netspec.draw.arrows import Arrows, Places
from netspec.draw.labels import first_sentence, title_lines
from netspec.draw.model import Frame, Picture, View
from netspec.draw.outline import Outline
from netspec.draw.repeats import Layer, collapses
from netspec.ir.graph import Graph, Node
from netspec.ir.scope_tree import Region


def picture(graph: Graph, view: View | None = None) -> Picture:
    """The picture of a graph; without a depth, as deep as fits a page; raises UsageError for names unknown."""
    return picture_of(Outline(graph, view or View()))


def picture_of(outline: Outline) -> Picture:
    """The picture of a graph as its view asks for it."""
    if outline.view.depth is not None or outline.view.unfold:
        return _Builder(outline, outline.view.depth or 1000).picture()
    for depth in (6, 5, 4, 3, 2):
        drawn = _Builder(outline, depth).picture()
        if fits_a_page(drawn):
            return drawn
    return _Builder(outline, 1).picture()


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
    for frame in frames:  # a title stands next to the first box
        widths[rows[next(frame.boxes()).path]] += 5 * max(map(len, title_lines(frame.title))) + 16
    return max(widths.values()), max(ends.values())


class _Builder:
    """Walks the regions once, and remembers in which box every node stands."""

    def __init__(self, outline: Outline, depth: int) -> None:
        self.outline, self.depth = outline, depth
        self.graph = outline.graph
        self.places = Places()

    def picture(self) -> Picture:
        """The whole of it."""
        frame = Frame("", "", "network")
        self.fill(self.outline.root, frame, self.depth)
        arrows = [arrow for arrow, _ in Arrows(self.outline, self.places).all()]
        frame.items += [box for _, box in self.outline.outputs()]
        title = self.graph.title or self.graph.name
        if "" in self.graph.scopes:  # the rest of a block's text says what a picture shows by itself
            title = first_sentence(title)
        legend = self.outline.annotations.annotate(frame, self.nodes_of())
        return Picture(title, frame, arrows, ". ".join(filter(None, (self.block(), legend))))

    def nodes_of(self) -> dict[str, list[list[Node]]]:
        """The nodes that every box stands for, iteration by iteration."""
        found: dict[str, dict[object, list[Node]]] = {}
        for path, node in self.graph.nodes.items():
            (place,) = self.places.of[path]
            found.setdefault(place.box.path, {}).setdefault(place.iterations, []).append(node)
        return {path: list(iterations.values()) for path, iterations in found.items()}

    def block(self) -> str:
        """Of a block alone, its name, arguments and parameters."""
        if "" not in self.graph.scopes:
            return ""
        args = ", ".join(f"{name}={value}" for name, value in self.graph.scopes[""].args.items())
        count = totals(self.graph.nodes.values()).params
        return f"{self.graph.name}{f'({args})' if args else ''}: {count:,} parameters"

    def fill(self, region: Region, frame: Frame, left: int) -> None:
        """Puts the items of a region into a frame, `left` levels deep."""
        for group in self.outline.groups(region):
            if isinstance(group, Layer):
                box = self.outline.layer(group.nodes, region)
                frame.items.append(box)
                self.places.add(box, False)
            else:
                self.scope(group.regions, region, frame, left)

    def scope(self, run: Sequence[Region], parent: Region, frame: Frame, left: int) -> None:
        """A scope and its repeats: one box, or a frame around the first."""
        first = run[0]
        if collapses(first, left, self.outline.selection, not self.outline.view.unfold):
            box = self.outline.collapsed(run, parent)
            frame.items.append(box)
            self.places.add(box, True)
        else:
            inner = self.outline.expanded(run, parent)
            frame.items.append(inner)
            self.fill(first, inner, left - (first.scope.kind != "branch"))
        if len(run) > 1:
            self.places.repeat(run)
