"""A picture as Mermaid, which GitHub and GitLab render in Markdown."""

from __future__ import annotations

import re

from netspec.draw.colors import COLORS, MARKS, shade
from netspec.draw.formats.quoting import mermaid_text, mermaid_title
from netspec.draw.model import Box, Frame, Picture


def to_mermaid(drawn: Picture) -> str:
    """The picture as a Mermaid flowchart, from top to bottom."""
    ids: dict[str, str] = {}
    # A title stands in YAML before the flowchart; JSON's strings are YAML's.
    title = mermaid_title(" | ".join(filter(None, (drawn.title, drawn.legend))))
    lines = ["---", f"title: {title}", "---", "flowchart TB"]
    _frame(drawn.root, lines, ids, 1)
    for arrow in drawn.arrows:
        line = "-->" if arrow.main else "-.->"
        label_text = " ".join(filter(None, (arrow.outof, arrow.label, arrow.into and f"to {arrow.into}")))
        label = f'|"{mermaid_text(label_text)}"|' if label_text else ""
        lines.append(f"  {ids[arrow.source]} {line}{label} {ids[arrow.target]}")
    used: dict[str, list[str]] = {}
    for box in drawn.root.boxes():
        used.setdefault(_style(box), []).append(ids[box.path])
    for index, (style, boxes) in enumerate(used.items()):
        lines.append(f"  classDef c{index} {style}")
        lines.append(f"  class {','.join(boxes)} c{index}")
    return "\n".join(lines) + "\n"


def _frame(frame: Frame, lines: list[str], ids: dict[str, str], level: int) -> None:
    pad = "  " * level
    for item in frame.items:
        if isinstance(item, Box):
            ids[item.path] = f"n{len(ids)}"
            text = "<br>".join(map(mermaid_text, (*item.lines, *item.facts)))
            left, right = {"join": ("([", "])"), "block": ("[[", "]]")}.get(item.kind, ("[", "]"))
            lines.append(f'{pad}{ids[item.path]}{left}"{text}"{right}')
        else:
            lines.append(f'{pad}subgraph s{len(lines)}["{mermaid_text(item.title)}"]')
            _frame(item, lines, ids, level + 1)
            lines.append(f"{pad}end")


def _style(box: Box) -> str:
    fill, border = MARKS[box.mark] if box.mark else COLORS[box.kind]
    if box.intensity is not None:
        fill = shade(box.intensity)
    return f"fill:{fill},stroke:{border},color:#202124"


# What Mermaid draws where nobody set its `maxEdges` and `maxTextSize`, as on GitHub.
MOST_ARROWS, MOST_LETTERS = 500, 50_000


def too_large(text: str) -> str:
    """Why a flowchart is not drawn where Mermaid has its default limits; empty if it is."""
    arrows = len(re.findall(r"^  n\d+ (?:-->|-\.->)", text, re.MULTILINE))
    if arrows > MOST_ARROWS:
        return f"GitHub draws {MOST_ARROWS} arrows of a Mermaid chart at most; got {arrows:,}"
    if len(text) > MOST_LETTERS:
        return f"GitHub draws Mermaid charts of {MOST_LETTERS:,} letters at most; got {len(text):,}"
    return ""
