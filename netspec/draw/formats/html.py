"""A page that holds a whole network: what is expanded is laid out in the browser, by Graphviz as WebAssembly."""

from __future__ import annotations

import math
from collections.abc import Sequence
from importlib.resources import files

from netspec.analysis.cost import activations, totals
from netspec.analysis.receptive_field import WHOLE_INPUT, receptive_fields
from netspec.diagnostics.errors import MissingError, Span, UsageError
from netspec.draw.annotations import meaning
from netspec.draw.arrows import Arrows, EveryPlace, Places
from netspec.draw.colors import COLORS, SHADES, dark_css
from netspec.draw.formats.crossings import TANGLED, TOO_LONG, fewest_crossings
from netspec.draw.formats.dot import (
    ARROWS,
    BOXES,
    BRANCH_LOOK,
    FRAME_LOOKS,
    MANY_BOXES,
    SHAPES,
    TITLES,
    Arrangement,
    to_dot,
    with_ports,
)
from netspec.draw.formats.quoting import dot_cell, script_json, xml_text
from netspec.draw.labels import op_text
from netspec.draw.model import Box, Picture, View
from netspec.draw.outline import Outline, line_of
from netspec.draw.picture import picture_of
from netspec.draw.repeats import Layer
from netspec.ir.graph import Graph, Node
from netspec.ir.scope_tree import Region
from netspec.ops.base import show
from netspec.passes import inference


def to_html(graph: Graph, view: View) -> str:
    """A page without links to anything outside it: zoom, search, expand and collapse, details of every node."""
    return _page(graph.title or graph.name, _Page(graph, view).data())


def picture_to_html(drawn: Picture) -> str:
    """A page that shows one picture as it is, with zoom and search; raises UsageError for too many boxes."""
    boxes = [
        {"path": box.path, "lines": (*box.lines, *box.facts), "text": box.tooltip, "facts": box.facts}
        for box in drawn.root.boxes()
    ]
    if len(boxes) > MOST_BOXES:
        raise UsageError(
            f"a page lays out {MOST_BOXES:,} boxes at most; got {len(boxes):,}", "draw it as svg, or less deep"
        )
    content: dict[str, object] = {
        "title": drawn.title,
        "dot": to_dot(drawn, for_page=True),
        "boxes": boxes,
        "count": len(drawn.arrows),
        "facts": {"shown": drawn.legend},
        **{"items": [], "outputs": [], "expanded": [], "args": {}, "most": MOST_BOXES},
    }
    return _page(drawn.title, content)


def _page(title: str, content: dict[str, object]) -> str:
    assets = files("netspec.draw.formats") / "assets"
    names = ("page.css", "visible.js", "dot.js", "page.js", "viz-global.js")
    css, visible, dot, script, viz = ((assets / name).read_text(encoding="utf-8") for name in names)
    data, js = script_json(content), visible + dot + script
    return PAGE.format(title=xml_text(title), css=css + dark_css(), data=data, viz=viz, js=js)


# More would take the browser minutes: the 4,212 of ResNet-1202 take it half of one.
MOST_BOXES = 5000
# Boxes in more repeats than so, one in another, say no numbers: there is one text for each choice of those drawn once.
MOST_NESTED = 8
# What takes the places of the colour and the numbers in a table: no text of a spec holds a control character.
FILL, NUMBERS = "\x01", "\x02"
# What dot.js writes as dot.py does.
LOOKS = {
    "node": BOXES,
    "edge": ARROWS,
    "shapes": SHAPES,
    "colors": COLORS,
    "shades": SHADES,
    "frames": FRAME_LOOKS,
    "branch": BRANCH_LOOK,
    "titles": TITLES,
    "most": MOST_BOXES,
    "many": MANY_BOXES,
    "tangled": (TANGLED, TOO_LONG),
}

PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; \
script-src 'unsafe-inline' 'wasm-unsafe-eval'; worker-src blob:; img-src data:">
<title>{title}</title>
<style>
{css}</style>
</head>
<body>
<header>
<h1>{title}</h1>
<input id="search" type="search" placeholder="Search by name, op or block" aria-label="Search">
<button id="more">Expand a level</button>
<button id="less">Collapse a level</button>
<button id="first">As at first</button>
<button id="zoom-in" aria-label="Zoom in">+</button>
<button id="zoom-out" aria-label="Zoom out">&minus;</button>
<button id="fit">Fit</button>
</header>
<main id="view" tabindex="0" aria-label="The picture of the network" data-busy="Laying out&hellip;">\
<noscript>This page draws itself by a script, and scripts are turned off here.</noscript></main>
<aside aria-live="polite"><ul id="found"></ul><div id="details"></div></aside>
<footer id="status"></footer>
<script type="application/json" id="network">{data}</script>
<script id="viz">{viz}</script>
<script>
{js}</script>
</body>
</html>
"""


def texts_of(box: Box) -> dict[str, object]:
    """What a box says, and as a table with the names of what enters and leaves it, where there are any."""
    found: dict[str, object] = {"kind": box.kind, "lines": box.lines}
    if box.ins or box.outs:
        text = "<BR/>".join(map(dot_cell, box.lines)) + NUMBERS
        found |= {"ins": box.ins, "outs": box.outs, "table": with_ports(box, text, FILL, COLORS[box.kind][1])}
    return found


def without_crossings(drawn: Picture) -> str:
    """The layout of a picture whose arrows cross in source order; empty for another, and without Graphviz."""
    try:
        arrangement = fewest_crossings(drawn)
    except MissingError:
        return ""
    return "" if arrangement == Arrangement() else to_dot(drawn, arrangement, for_page=True)


class _Page:
    """The data of a page: a tree of boxes and scopes, edges between nodes, and the texts of the specs."""

    def __init__(self, graph: Graph, view: View) -> None:
        self.inference, self.params = inference(graph), totals(graph.nodes.values()).params
        self.outline, self.view = Outline(graph, view), view
        self.graph, self.annotations = self.outline.graph, self.outline.annotations
        self.fields = receptive_fields(self.graph)
        self.parts = dict[str, int]()
        """The number of every box and scope by its path, in the order in which they stand in the page."""
        self.sources = dict[str, tuple[int, list[str]]]()
        self.paths = list(self.graph.nodes)
        self.ids = {path: number for number, path in enumerate(self.paths)}

    def data(self) -> dict[str, object]:
        """Everything that the script of the page reads."""
        first = picture_of(self.outline)
        items = self.items(self.outline.root, ())
        places = EveryPlace(self.outline)
        outputs = [self.output(name, box) for name, box in self.outline.outputs()]
        return {
            **LOOKS,
            "title": self.graph.title or self.graph.name,
            "items": items,
            "outputs": outputs,
            "arrows": self.arrows(places),
            "unrolls": places.apart,
            "expanded": sorted({frame.path for frame in first.root.frames()}),
            "first": without_crossings(first),
            "texts": [lines for _, lines in self.sources.values()],
            "coloured": self.view.heat is not None,
            "facts": self.facts(),
            "args": self.args(),
        }

    def facts(self) -> dict[str, str]:
        """What the page says of the inference graph, as all tables do."""
        nodes = list(self.inference.nodes.values())
        counts = totals(nodes)
        more = self.params - counts.params
        return {
            "parameters": f"{counts.params:,}",
            "MACs": f"{counts.macs:,}",
            "activations": f"{activations(nodes):,} bytes",
            "nodes": str(len(nodes)),
            "training adds": f"{more:,} parameters" if more else "",
            "colours": meaning(self.view),
        }

    def args(self) -> dict[str, str]:
        """The arguments of a block alone."""
        alone = self.graph.scopes.get("")
        return {name: str(value) for name, value in alone.args.items()} if alone else {}

    def items(self, region: Region, around: tuple[Sequence[Region], ...]) -> list[dict[str, object]]:
        """What stands in a region; repeats stand one after the other, the first with what it says for all.

        `around` are the repeats in whose first iterations the region lies, the outermost first.
        """
        found: list[dict[str, object]] = []
        for group in self.outline.groups(region):
            if isinstance(group, Layer):
                found.append(self.layer(self.outline.layer(group.nodes, region), group.nodes, around))
                continue
            run = group.regions
            for index, scope in enumerate(run):
                item = self.scope(scope, region, around if index or len(run) == 1 else (*around, run))
                if len(run) > 1:
                    item["run"] = [index, run[0].path]
                if len(run) > 1 and index == 0:
                    item["repeat"] = self.forms(run, region)
                found.append(item)
        return found

    def arrows(self, places: Places) -> list[list[object]]:
        """Every arrow that can be visible.

        A row has its boxes, label, whether it only serves training, the names at its ends, the repeats drawn once,
        and those of which every iteration is drawn; what is empty at its end is left out.
        """
        first = [self.parts[run[0].path] for run in places.repeats]
        found: list[list[object]] = []
        for arrow, choices in Arrows(self.outline, places).all():
            once, apart = (
                [first[number] for number, is_once in choices if is_once is chosen] for chosen in (True, False)
            )
            ends = self.parts[arrow.source], self.parts[arrow.target]
            row = [*ends, arrow.label, int(not arrow.main), arrow.outof, arrow.into, sorted(once), sorted(apart)]
            while not row[-1]:
                row.pop()
            found.append(row)
        return found

    def part(self, path: str) -> str:
        """The path of a box or scope, which gets the next number."""
        self.parts[path] = len(self.parts)
        return path

    def forms(self, run: Sequence[Region], parent: Region) -> dict[str, object]:
        """What a scope with its repeats says where it is collapsed, and its title where it is expanded."""
        box, frame = self.outline.collapsed(run, parent), self.outline.expanded(run, parent)
        return {**texts_of(box), "title": frame.title}

    def annotated(self, nodes: Sequence[Node], doc: str, around: Sequence[Sequence[Region]]) -> dict[str, object]:
        """The numbers that a box is to say, and what it is coloured by, for every choice of repeats drawn once.

        The choice is a number, whose lowest bit is set where the outermost repeat around the box is drawn once.
        """
        if not (self.view.show - {"names", "shapes"} or self.view.heat) or len(around) > MOST_NESTED:
            return {}
        found = []
        for choice in range(1 << len(around)):
            once = [run for bit, run in enumerate(around) if choice >> bit & 1]
            iterations = sorted(self.iterations([node.path for node in nodes], once), key=min)
            every = [[self.graph.nodes[self.paths[i]] for i in sorted(numbers)] for numbers in iterations]
            found.append(
                [self.annotations.facts(every, [doc]), self.annotations.value([n for run in every for n in run])]
            )
        return {"annotations": found}

    def iterations(self, paths: Sequence[str], repeats: Sequence[Sequence[Region]]) -> list[list[int]]:
        """The numbers of the nodes that stand for some of the first iterations of repeats, in every iteration."""
        found = [list(paths)]
        for run in reversed(repeats):
            start = len(run[0].path)
            found = [[region.path + path[start:] for path in inner] for region in run for inner in found]
        return [[self.ids[path] for path in inner] for inner in found]

    def output(self, name: str, box: Box) -> dict[str, object]:
        """An output of the network."""
        output = self.graph.outputs[name]
        return {
            "path": self.part(box.path),
            "lines": box.lines,
            "node": output.ref.node,
            "shape": show(self.graph.shape(output.ref)),
        }

    def layer(self, box: Box, nodes: Sequence[Node], around: tuple[Sequence[Region], ...]) -> dict[str, object]:
        """A node, or a layer with what follows it."""
        return {
            "path": self.part(box.path),
            **texts_of(box),
            **self.annotated(nodes, box.doc, around),
            "nodes": [self.node(n) for n in nodes],
        }

    def scope(self, region: Region, parent: Region, around: tuple[Sequence[Region], ...]) -> dict[str, object]:
        """A scope with what it holds, and what it says where it is collapsed."""
        nodes, scope = list(region.nodes()), region.scope
        counts = totals(nodes)
        return {
            "path": self.part(region.path),
            "inner": region.inner,
            "scope": scope.kind,
            "block": scope.block,
            **self.forms([region], parent),
            **self.annotated(nodes, scope.doc, around),
            "items": self.items(region, around),
            "args": {k: str(v) for k, v in scope.args.items()},
            "doc": scope.doc,
            "at": self.at(scope.span, scope.kind),
            "where": line_of(scope.span),
            "facts": {
                "parameters": f"{counts.params:,}",
                "MACs": f"{counts.macs:,}",
                "activations": f"{activations(nodes):,} bytes",
                "nodes": str(len(nodes)),
                "gives": ", ".join(show(self.graph.shape(r)) for r in region.outputs),
            },
        }

    def node(self, node: Node) -> dict[str, object]:
        """The details of one node."""
        field = self.fields[node.path]
        macs = node.result.macs
        per = f"{show(node.shape)} x {macs // math.prod(map(int, node.shape[1:])):,} = " if macs else ""
        facts = {
            "op": op_text(node.op, node.attrs),
            "shape": " and ".join(map(show, node.shapes)),
            "parameters": f"{totals([node]).params:,}" if node.result.weights else "",
            "MACs": "uncounted" if macs is None else f"{per}{macs:,}" if macs else "",
            "activations": f"{activations([node]):,} bytes",
            "receptive field": f"{field[0]} x {field[1]}" if field else WHOLE_INPUT,
            "arguments": ", ".join(f"{k}={v}" for k, v in node.attrs.items()),
        }
        weights = [
            f"{key.removeprefix(node.weights_at + '.')}: {' x '.join(map(str, shape))} = "
            f"{math.prod(map(int, shape)):,}{'' if trained else ', not trained'}"
            for key, shape, trained in node.tensors()
        ]
        reads = [(ref.node, str(ref)[len(ref.node) :], show(self.graph.shape(ref))) for ref in node.inputs]
        return {
            "path": node.path,
            "op": node.op,
            "facts": facts,
            "reads": reads,
            "weights": weights,
            "doc": node.doc,
            "at": self.at(node.span),
            "where": line_of(node.span),
        }

    def at(self, span: Span | None, kind: str = "") -> list[int]:
        """The text of a spec by its number, and the lines in it of what a span begins."""
        if span is None:
            return []
        if span.file not in self.sources:
            self.sources[span.file] = len(self.sources), span.source.text.split("\n")
        number, lines = self.sources[span.file]
        return [number, *excerpt(lines, span.line, kind)]


def excerpt(lines: Sequence[str], first: int, kind: str = "") -> tuple[int, int]:
    """The lines of the step or branch of a spec whose text begins in line `first`, counted from 1.

    They are that line and all below it that is indented deeper; a branch begins at its key, a line above its steps.
    """

    def depth(number: int) -> int:
        return len(lines[number - 1]) - len(lines[number - 1].lstrip())

    if kind == "branch" and first > 1 and lines[first - 2].rstrip().endswith(":") and depth(first - 1) <= depth(first):
        first -= 1
    end = first
    while end < len(lines) and (not lines[end].strip() or depth(end + 1) > depth(first)):
        end += 1
    while end > first and not lines[end - 1].strip():
        end -= 1
    return first, end
