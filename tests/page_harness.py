"""What a page and a picture share: what both say of the same network, box by box and arrow by arrow."""

from __future__ import annotations

import json
import re
from functools import cache
from pathlib import Path
from typing import Any

import netspec
from netspec.draw import View, draw, picture
from netspec.ir.graph import Graph

ROOT = Path(__file__).parent.parent
NASTY = "net <script>alert(1)</script> \"q\" 'a' & \u7db2\u7d61 </script><!--"

SAID = """(network) => {
  const state = { expanded: new Set(network.expanded), unrolled: new Set() };
  const made = visible(network, indexed(network), state);
  return [
    [...made.visible].map(([path, box]) =>
      [path, box.kind, [...box.lines, ...box.numbers], box.ins, box.outs, network.coloured ? box.value ?? null : null]),
    made.arrows.map((arrow) => [arrow.from, arrow.to, arrow.label, arrow.main, arrow.outof, arrow.into]),
    dot(made, network, false),
  ];
}"""


def data(page: bytes) -> dict[str, Any]:
    """What the script of a page reads."""
    found = re.search(r'<script type="application/json" id="network">(.*?)</script>', page.decode(), re.DOTALL)
    assert found
    return json.loads(found[1])


def on_page(page: Any, network: dict[str, Any]) -> tuple[list[Any], list[Any], str]:
    """The boxes and arrows that the script of a page makes of a network's data, sorted; and its DOT.

    Heat is a share of the largest.
    """
    boxes, arrows, text = page.evaluate(SAID, network)
    most = max((box[5] or 0 for box in boxes), default=0)
    heats = [None if box[5] is None or not most else round(box[5] / most, 6) for box in boxes]
    return sorted([*box[:5], heat] for box, heat in zip(boxes, heats, strict=True)), sorted(arrows), text


def in_picture(graph: Graph, view: View) -> tuple[list[Any], list[Any]]:
    """The same of a picture."""
    drawn = picture(graph, view)
    boxes = [
        [b.path, b.kind, [*b.lines, *b.facts], list(b.ins), list(b.outs), b.intensity and round(b.intensity, 6)]
        for b in drawn.root.boxes()
    ]
    arrows = [[a.source, a.target, a.label, a.main, a.outof, a.into] for a in drawn.arrows]
    return sorted(boxes), sorted(arrows)


@cache
def graph_of(spec: str | Path) -> Graph:
    """A network's graph, elaborated once."""
    return netspec.load(spec).graph


@cache
def page_of(spec: str | Path, view: View) -> bytes:
    """A network's page, written once."""
    return draw(graph_of(spec), "html", view)


def opened(page: Any, spec: str | Path, folder: Path, part: str = "", view: View | None = None, **asked: Any) -> None:
    """Draws a network and opens its page, at a part of it."""
    file = folder / "page.html"
    file.write_bytes(page_of(spec, view or View(**asked)))
    page.goto(f"{file.as_uri()}{part}")
    page.wait_for_selector("body[data-ready=yes]", timeout=120_000)


def labels(page: Any) -> set[str]:
    """What the boxes and frames say."""
    return set(page.eval_on_selector_all("#view [role=button]", "all => all.map(e => e.getAttribute('aria-label'))"))


def box(page: Any, label: str) -> Any:
    """A box or a frame by what it says."""
    return page.locator(f'#view [role=button][aria-label="{label}"]')
