"""What a page and a picture share: what both say of the same network, box by box and arrow by arrow."""

from __future__ import annotations

import json
import re
import shutil
from typing import Any

from netspec.draw import View, picture
from netspec.ir.graph import Graph

BROWSER = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")

SAID = """(network) => {
  const state = { open: new Set(network.open), unrolled: new Set() };
  const made = visible(network, indexed(network), state);
  return [
    [...made.visible].map(([path, box]) =>
      [path, box.kind, [...box.lines, ...box.said], box.ins, box.outs, box.heat ?? null]),
    made.arrows.map((arrow) => [arrow.from, arrow.to, arrow.label, arrow.main, arrow.outof, arrow.into]),
    dot(made, network, false).text,
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
        [b.path, b.kind, [*b.lines, *b.facts], list(b.ins), list(b.outs), b.heat and round(b.heat, 6)]
        for b in drawn.root.boxes()
    ]
    arrows = [[a.source, a.target, a.label, a.main, a.outof, a.into] for a in drawn.arrows]
    return sorted(boxes), sorted(arrows)
