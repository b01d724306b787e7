"""What a page and a picture share: what both say of the same network, box by box and arrow by arrow."""

from __future__ import annotations

import shutil
from typing import Any

from netspec.draw import View, picture
from netspec.graph import Graph

BROWSER = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")

SAID = """() => {
  const { visible, arrows } = document.getElementById("view").picture;
  return [
    [...visible].map(([path, box]) =>
      [path, box.kind, [...box.lines, ...box.said], box.ins, box.outs, box.heat ?? null]),
    arrows.map((arrow) => [arrow.from, arrow.to, arrow.label, arrow.main, arrow.outof, arrow.into]),
  ];
}"""


def on_page(page: Any) -> tuple[list[Any], list[Any]]:
    """The boxes and arrows of a page that is open, sorted; heat as a share of the largest."""
    boxes, arrows = page.evaluate(SAID)
    most = max((box[5] or 0 for box in boxes), default=0)
    heats = [None if box[5] is None or not most else round(box[5] / most, 6) for box in boxes]
    return sorted([*box[:5], heat] for box, heat in zip(boxes, heats, strict=True)), sorted(arrows)


def in_picture(graph: Graph, view: View) -> tuple[list[Any], list[Any]]:
    """The same of a picture."""
    drawn = picture(graph, view)
    boxes = [[b.path, b.kind, [*b.lines, *b.facts], list(b.ins), list(b.outs), b.heat and round(b.heat, 6)]
             for b in drawn.root.boxes()]  # fmt: skip
    arrows = [[a.source, a.target, a.label, a.main, a.outof, a.into] for a in drawn.arrows]
    return sorted(boxes), sorted(arrows)
