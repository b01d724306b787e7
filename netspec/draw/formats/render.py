"""A picture as a file: DOT, Mermaid, HTML by us; SVG, PNG, PDF by Graphviz, which comes with pygraphviz."""

from __future__ import annotations

import re
from html import unescape

from netspec.diagnostics.errors import UsageError, did_you_mean
from netspec.draw.colors import dark_css
from netspec.draw.formats.crossings import reduce_crossings
from netspec.draw.formats.dot import to_dot
from netspec.draw.formats.graphviz import graphviz, text_width
from netspec.draw.formats.html import picture_to_html, to_html
from netspec.draw.formats.mermaid import to_mermaid
from netspec.draw.formats.quoting import xml_text
from netspec.draw.model import Picture, View
from netspec.draw.picture import picture
from netspec.ir.graph import Graph

FORMATS = ("svg", "png", "pdf", "html", "dot", "mermaid")
SUFFIXES = {**{kind: kind for kind in FORMATS}, "mmd": "mermaid", "gv": "dot", "htm": "html"}
# Fonts of the widths that were measured, by their names on various machines.
FAMILIES = "Helvetica,Arial,Liberation Sans,Arimo,Nimbus Sans,sans-serif"
TEXTS = ("svg", "html", "dot", "mermaid")


def draw(graph: Graph, kind: str, view: View | None = None) -> bytes:
    """The picture of a graph as a file's bytes; raises UsageError, MissingError without Graphviz."""
    if kind not in FORMATS:
        raise UsageError(f"there is no format '{kind}'", did_you_mean(kind, FORMATS))
    if kind == "html":
        return to_html(graph, view or View()).encode()
    return render(picture(graph, view), kind)


def render(drawn: Picture, kind: str) -> bytes:
    """A picture as a file's bytes; raises MissingError without Graphviz."""
    if kind == "mermaid":
        return to_mermaid(drawn).encode()
    if kind == "html":
        return picture_to_html(drawn).encode()
    if kind == "dot":
        return to_dot(drawn).encode()
    made = graphviz(reduce_crossings(drawn), kind)
    return _described(made.decode(), drawn).encode() if kind == "svg" else made


def _described(svg: str, drawn: Picture) -> str:
    """An SVG with title and description, colours for dark pages, and at each box its path and line of the spec."""
    title = xml_text(drawn.title)
    boxes = list(drawn.root.boxes())
    svg = re.sub(r"<!-- .*?-->\n?", "", svg, flags=re.DOTALL)
    description = f"{len(boxes)} boxes, {len(drawn.arrows)} arrows; shapes are channels x height x width"
    head = f"<title>{title}</title>\n<desc>{description}</desc>\n<style>{dark_css()}</style>"
    svg = re.sub(r"<svg\b[^>]*>", lambda found: f"{found[0]}\n{head}", svg, count=1)
    places = {box.path: box.source for box in boxes} | {f"scope {f.path}": f.source for f in drawn.root.frames()}

    def group(found: re.Match[str]) -> str:
        path = unescape(found[1])
        source = f' data-source="{xml_text(places[path])}"' if places.get(path) else ""
        return f'<g id="{found[1]}" class="{found[2]}" data-path="{xml_text(path.removeprefix("scope "))}"{source}>\n'

    def text(found: re.Match[str]) -> str:
        width = text_width(unescape(found[3]), float(found[2]))
        length = "" if width is None else f' textLength="{width:.1f}" lengthAdjust="spacingAndGlyphs"'
        return f"<text {found[1]}{length}>{found[3]}</text>"

    # A reader without Helvetica or Arial sees another font: it takes the room that was measured, and fits its box.
    svg = re.sub(r'<text ([^>]*font-size="([\d.]+)"[^>]*)>([^<]*)</text>', text, svg)
    svg = svg.replace('font-family="Helvetica,sans-Serif"', f'font-family="{FAMILIES}"')
    # Graphviz's own names of nodes (n7) would be shown where the mouse rests; the tooltips say more.
    svg = re.sub(r'(<g id="[^"]*" class="(?:node(?: title)?|edge|cluster)">\n)<title>[^<]*</title>\n', r"\1", svg)
    return re.sub(r'<g id="([^"]*)" class="(node|cluster)">\n', group, svg)
