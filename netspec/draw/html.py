"""A page that holds a whole network: what is open is laid out in the browser, by Graphviz as WebAssembly."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from html import escape
from importlib.resources import files
from typing import Any

from netspec.draw.colors import COLORS, FRAMES, HEAT, dark_css
from netspec.draw.direct import direct
from netspec.draw.dot import FONT, to_dot
from netspec.draw.folding import Names, Signatures, grouped
from netspec.draw.labels import kind_of, node_lines, op_text, scope_title
from netspec.draw.model import Picture
from netspec.draw.numbers import HEATED, Numbers
from netspec.draw.picture import closed_lines, line_of, open_scopes, ports, times
from netspec.draw.view import View
from netspec.errors import Span, UsageError
from netspec.graph import Graph, Node, Ref
from netspec.measure import memory, receptive_fields, totals
from netspec.ops.base import show
from netspec.passes import inference
from netspec.regions import Region, tree


def to_html(graph: Graph, view: View) -> str:
    """A page without links to anything outside it: zoom, search, open and close, details of every node."""
    return _page(graph.title or graph.name, _Page(graph, view).data())


def picture_to_html(drawn: Picture) -> str:
    """A page that shows one picture as it is, with zoom and search; raises UsageError for too many boxes."""
    boxes = [{"path": box.path, "lines": (*box.lines, *box.facts), "text": box.tooltip} for box in drawn.root.boxes()]
    if len(boxes) > MOST_BOXES:
        raise UsageError(f"a page lays out {MOST_BOXES:,} boxes at most; here are {len(boxes):,}",
                         "draw it as svg, or less deep")  # fmt: skip
    nothing: dict[str, Any] = {"items": [], "edges": [], "outputs": [], "open": [], "most": MOST_BOXES}
    facts = {"shown": drawn.legend}
    return _page(drawn.title, {**nothing, "title": drawn.title, "dot": to_dot(drawn), "boxes": boxes,
                               "arrows": len(drawn.arrows), "facts": facts})  # fmt: skip


def _page(title: str, content: dict[str, Any]) -> str:
    assets = files("netspec.draw") / "assets"
    names = ("page.css", "visible.js", "dot.js", "page.js", "viz-global.js")
    css, visible, dot, script, viz = ((assets / name).read_text(encoding="utf-8") for name in names)
    title = escape("".join(c if c.isprintable() else " " for c in title))
    # Inside a script element only `<` can end it or begin a comment.
    data = json.dumps(content, ensure_ascii=True, separators=(",", ":")).replace("<", "\\u003c")
    return PAGE.format(title=title, css=css + dark_css(), data=data, viz=viz, js=visible + dot + script)


# More would take the browser minutes: the 4,212 of ResNet-1202 take it half of one.
MOST_BOXES = 5000

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
<button id="more">Open a level</button>
<button id="less">Close a level</button>
<button id="first">As at first</button>
<button id="zoom-in" aria-label="Zoom in">+</button>
<button id="zoom-out" aria-label="Zoom out">&minus;</button>
<button id="fit">Fit</button>
</header>
<main id="view" tabindex="0" aria-label="The picture of the network"></main>
<aside aria-live="polite"><ul id="found"></ul><div id="details"></div></aside>
<footer id="status">Laying out&hellip;</footer>
<script type="application/json" id="network">{data}</script>
<script id="viz">{viz}</script>
<script>
{js}</script>
</body>
</html>
"""


class _Page:
    """The data of a page: a tree of boxes and scopes, edges between boxes, and the texts of the specs."""

    def __init__(self, graph: Graph, view: View) -> None:
        self.inference, self.params = inference(graph), totals(graph.nodes.values()).params
        graph = direct(graph) if view.direct else graph
        self.graph, self.view, self.named = graph, view, "names" in view.show
        self.numbers, self.refs = Numbers(graph, view), dict[Ref, int]()
        self.fields = receptive_fields(graph)
        self.signatures, self.sources = Signatures(), dict[str, int]()
        self.texts: list[dict[str, Any]] = []
        self.box_of: dict[str, int] = {}
        self.boxes = 0

    def data(self) -> dict[str, Any]:
        """Everything that the script of the page reads."""
        root = tree(self.graph)
        names = Names.find(root, self.view.collapse, self.view.expand)
        items = self.items(root, names)
        edges: dict[tuple[int, int, str, int], None] = {}
        for node in self.graph.nodes.values():
            for ref in node.inputs:
                a, b = self.box_of[ref.node], self.box_of[node.path]
                if a != b:
                    edges[a, b, self.shape(ref), self.number(ref)] = None
        outputs = [
            {"name": name, "node": o.ref.node, "box": self.box_of[o.ref.node], "shape": show(self.graph.shape(o.ref)),
             "label": self.shape(o.ref), "ref": self.number(o.ref), "training": o.training_only,
             "weight": o.loss_weight}
            for name, o in self.graph.outputs.items()
        ]  # fmt: skip
        return {
            "title": self.graph.title or self.graph.name, "items": items, "edges": list(edges), "outputs": outputs,
            "open": sorted(open_scopes(self.graph, self.view)), "texts": self.texts, "colors": COLORS, "font": FONT,
            "frames": FRAMES, "heat": HEAT, "heated": self.view.heat, "facts": self.facts(),
            "most": MOST_BOXES,
        }  # fmt: skip

    def facts(self) -> dict[str, str]:
        """What the page says of the inference graph, as all tables do, and of a block alone its arguments."""
        nodes, scope = list(self.inference.nodes.values()), self.graph.scopes.get("")
        counts = totals(nodes)
        more = self.params - counts.params
        args = {name: str(value) for name, value in scope.args.items()} if scope else {}
        return {"parameters": f"{counts.params:,}", "MACs": f"{counts.macs:,}", "memory": f"{memory(nodes):,} bytes",
                "nodes": str(len(nodes)), "training adds": f"{more:,} parameters" if more else "",
                "darker has more": HEATED[self.view.heat][0] if self.view.heat else "", **args}  # fmt: skip

    def items(self, region: Region, names: Names) -> list[dict[str, Any]]:
        """What stands in a region; repeats stand one after the other, each with its run."""
        found = []
        for run in grouped(self.graph, region, self.signatures, names, self.view.unfold):
            if isinstance(run[0], Node):
                found.append(self.box([n for n in run if isinstance(n, Node)], region))
                continue
            scopes = [r for r in run if isinstance(r, Region)]
            for index, scope in enumerate(scopes):
                found.append(self.scope(scope, region, names))
                if len(scopes) > 1:
                    title = scope_title(scopes[0], region, scopes[-1].path, self.named) + times(scopes)
                    said = self.numbers.facts([list(s.nodes()) for s in scopes], [scope.scope.doc])
                    found[-1]["enter"] = [self.number(ref) for ref in scope.inputs] if index == 0 else []
                    found[-1]["run"] = [index, len(scopes), title, scopes[0].path, times(scopes), said]
        return found

    def shape(self, ref: Ref) -> str:
        """What an arrow says."""
        return show(self.graph.shape(ref)) if "shapes" in self.view.show else ""

    def number(self, ref: Ref) -> int:
        """The number of a value, by which arrows find the names that it enters and leaves a block by."""
        return self.refs.setdefault(ref, len(self.refs))

    def box(self, nodes: Sequence[Node], region: Region) -> dict[str, Any]:
        """A node, or a layer with what follows it."""
        number = self.boxes
        self.boxes += 1
        self.box_of |= dict.fromkeys((node.path for node in nodes), number)
        lead = next((n for n in nodes if kind_of(n) in ("weights", "pool")), nodes[0])
        return {
            "path": nodes[0].path, "id": number, "kind": kind_of(lead),
            "lines": (*node_lines(nodes, region, self.named), *self.numbers.shared(nodes)),
            "nodes": [self.node(n) for n in nodes],
            "said": self.numbers.facts([nodes], [nodes[0].doc]),
            "heat": self.numbers.value(nodes),
        }  # fmt: skip

    def scope(self, region: Region, parent: Region, names: Names) -> dict[str, Any]:
        """A scope with what it holds, and what it says where it is closed."""
        kind, lines = closed_lines(region, parent, "", self.named)
        ins, outs = ports(region, kind)
        nodes = list(region.nodes())
        counts = totals(nodes)
        return {
            "path": region.path, "scope": region.scope.kind, "block": region.scope.block,
            "title": scope_title(region, parent, "", self.named), "kind": kind, "lines": lines,
            "items": self.items(region, names), "said": self.numbers.facts([nodes], [region.scope.doc]),
            "ins": {k: self.number(v) for k, v in ins.items()}, "outs": {k: self.number(v) for k, v in outs.items()},
            "args": {k: str(v) for k, v in region.scope.args.items()}, "doc": region.scope.doc,
            "at": self.at(region.scope.span), "where": line_of(region.scope.span),
            "facts": {"parameters": f"{counts.params:,}", "MACs": f"{counts.macs:,}",
                      "memory": f"{memory(nodes):,} bytes", "nodes": str(len(nodes)),
                      "gives": ", ".join(show(self.graph.shape(r)) for r in region.outputs)},
        }  # fmt: skip

    def node(self, node: Node) -> dict[str, Any]:
        """The details of one node."""
        field = self.fields[node.path]
        macs = node.rule.macs
        per = f"{show(node.shape)} x {macs // math.prod(map(int, node.shape[1:])):,} = " if macs else ""
        facts = {
            "op": op_text(node.op, node.attrs),
            "shape": " and ".join(map(show, node.shapes)),
            "parameters": f"{totals([node]).params:,}" if node.rule.weights else "",
            "MACs": "uncounted" if macs is None else f"{per}{macs:,}" if macs else "",
            "memory": f"{memory([node]):,} bytes",
            "receptive field": f"{field[0]} x {field[1]}" if field else "the whole input",
            "arguments": ", ".join(f"{k}={v}" for k, v in node.attrs.items()),
        }
        weights = [f"{key.removeprefix(node.weights_at + '.')}: {' x '.join(map(str, shape))} = "
                   f"{math.prod(map(int, shape)):,}{'' if trained else ', not trained'}"
                   for key, shape, trained in node.tensors()]  # fmt: skip
        reads = [(ref.node, show(self.graph.shape(ref))) for ref in node.inputs]
        return {"path": node.path, "op": node.op, "facts": facts, "reads": reads, "weights": weights, "doc": node.doc,
                "at": self.at(node.span), "where": line_of(node.span)}  # fmt: skip

    def at(self, span: Span | None) -> list[int]:
        """The text of a spec by its number, and the lines of a span in it."""
        if span is None:
            return []
        if span.file not in self.sources:
            self.sources[span.file] = len(self.texts)
            name = span.file.replace("\\", "/").rpartition("/")[2]
            self.texts.append({"name": name, "lines": span.source.text.split("\n")})
        return [self.sources[span.file], span.line, max(span.line, span.end_line)]
