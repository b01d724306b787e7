"""A picture as DOT: every text is escaped, every name is counted, the same picture gives the same bytes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from random import Random
from textwrap import wrap

from netspec.draw.colors import COLORS, FRAMES, MARKS, shade
from netspec.draw.formats.quoting import dot_cell, dot_string
from netspec.draw.labels import title_lines
from netspec.draw.model import Arrow, Box, Frame, Picture

FONT = "Helvetica"
# Of more boxes the places are not looked for to the end: ResNet-1202 takes a third of the time, and is as wide.
MANY_BOXES = 2000


@dataclass(frozen=True, slots=True)
class Arrangement:
    """One way to lay out a picture; the default is in the order of the spec."""

    seed: int | None = None
    """Boxes in another order."""
    above: tuple[str, str] | None = None
    """Paths of two boxes, of which the first stands above the second."""
    turned: frozenset[str] = frozenset()
    """Paths of boxes whose inputs are named from right to left."""
    rough: bool = False
    """Straight arrows, placed in seconds where each passes many others."""


# What all boxes, arrows, frames and their titles look like; a page writes them too.
BOXES = (
    f'shape=box, style="filled,rounded", fontname={dot_string(FONT)}, fontsize=11, height=0.26, '
    'margin="0.1,0.025", penwidth=1.1'
)
ARROWS = f'fontname={dot_string(FONT)}, fontsize=10, fontcolor="#5f6368", color="#5f6368", arrowsize=0.6'
SHAPES = {"join": ", shape=ellipse, style=filled", "block": ", style=filled, peripheries=2"}
# The papers' figures draw no frames around branches.
FRAME_LOOKS = [f'peripheries=1; style="filled,rounded"; color="#bdc1c6"; fillcolor="{fill}"' for fill in FRAMES]
BRANCH_LOOK = "peripheries=0"
TITLES = 'class=title, shape=plaintext, style="", margin="0.02,0", width=0'


def to_dot(drawn: Picture, arrangement: Arrangement = Arrangement(), for_page: bool = False) -> str:
    """The picture as DOT, from top to bottom; a page has its title and what the tooltips say elsewhere."""
    return (_PageWriter if for_page else _Writer)(drawn, arrangement).text()


class _Writer:
    """Collects the lines of a picture."""

    def __init__(self, drawn: Picture, arrangement: Arrangement) -> None:
        self.drawn, self.arrangement, self.free = drawn, arrangement, arrangement.seed is not None
        self.free |= arrangement.rough
        self.lines: list[str] = []
        self.ids: dict[str, str] = {}
        self.boxes = {
            box.path: replace(box, ins=box.ins[::-1]) if box.path in arrangement.turned else box
            for box in drawn.root.boxes()
        }
        self.straight = _straight(drawn)
        self.padding = {} if self.free else _padding(drawn)
        self.random = Random(arrangement.seed)

    def title(self) -> str:
        """The label of the whole."""
        title = dot_string(*wrap(self.drawn.title, 60))
        if self.drawn.legend:
            small = "<BR/>".join(map(dot_cell, wrap(self.drawn.legend, 76)))
            large = "<BR/>".join(map(dot_cell, wrap(self.drawn.title, 60)))
            title = f'<{large}<BR/><FONT POINT-SIZE="4"> </FONT><BR/><FONT POINT-SIZE="11">{small}</FONT>>'
        return f" fontname={dot_string(FONT)}; fontsize=14; labelloc=t; label={title};"

    def tooltip(self, text: str) -> str:
        """The attribute of a tooltip."""
        return f"tooltip={dot_string(text)}"

    def title_id(self, frame: Frame) -> str:
        """The attribute by which the title of a frame is found."""
        return ""

    def text(self) -> str:
        """All of it."""
        # An arrow with a label has a row for it.
        gap = 0.08 if any(arrow.label for arrow in self.drawn.arrows) else 0.25
        order = "" if self.free else " ordering=out;"
        order += " mclimit=0.1; splines=line;" if self.arrangement.rough else ""
        order += " nslimit=1;" if self.arrangement.rough or len(self.boxes) > MANY_BOXES else ""
        self.lines += [
            "digraph netspec {",
            f"  rankdir=TB; ranksep={gap}; nodesep=0.22; pad=0.1; compound=true;{order}",
            f"  bgcolor=transparent;{self.title()}",
            f"  node [{BOXES}];",
            f"  edge [{ARROWS}];",
        ]
        self.frame(self.drawn.root, 1)
        arrows = [self.arrow(arrow) for arrow in self.drawn.arrows]
        if self.arrangement.above:
            upper, lower = (self.ids[path] for path in self.arrangement.above)
            arrows.append(f"  {upper} -> {lower} [style=invis];")
        return "\n".join([*self.lines, *arrows, "}"]) + "\n"

    def frame(self, frame: Frame, level: int) -> None:
        """The boxes and frames in a frame."""
        pad, items = "  " * level, list(frame.items)
        if self.arrangement.seed is not None:
            self.random.shuffle(items)
        for item in items:
            if isinstance(item, Box):
                self.ids[item.path] = f"n{len(self.ids)}"
                look = self.look(self.boxes[item.path])
                self.lines.append(f"{pad}{self.ids[item.path]} [{look}, id={dot_string(item.path)}];")
            elif self.free and _plain(item):
                self.frame(item, level)
            else:
                self.inner(item, level)

    def inner(self, frame: Frame, level: int) -> None:
        """A frame in a frame.

        Its title stands at the right of its first box: above it, arrows that enter would run through the title.
        """
        pad, number = "  " * (level + 1), len(self.lines)
        self.lines.append(f"{pad[2:]}subgraph cluster_{number} {{")
        look = BRANCH_LOOK if _plain(frame) else FRAME_LOOKS[level % 2]
        # Nothing enters a whole network: its title is above it.
        above = wrap(frame.title, 40) if frame.kind == "network" else []
        self.lines.append(
            f"{pad}label={dot_string(*above)}; {self.tooltip(frame.tooltip)}; "
            f"id={dot_string('scope ' + frame.path)}; margin=6; {look};"
        )
        self.frame(frame, level + 1)
        first = next(frame.boxes(), None)
        if first and not above and not _plain(frame):
            label = dot_string(*title_lines(frame.title), left=True)
            self.lines.append(f"{pad}t{number} [{self.title_id(frame)}{TITLES}, label={label}];")
            self.lines.append(f"{pad}{self.ids[first.path]} -> t{number} [style=invis, minlen=0];")
        end, missing = self.padding.get(frame.path, ("", 0))
        upper = self.ids.get(end, "")
        for row in range(missing):
            below = f"{self.ids[end]}_{row}"
            self.lines.append(
                f'{pad}{below} [style=invis, label="", width=0]; {upper} -> {below} [style=invis, weight=8];'
            )
            upper = below
        self.lines.append(f"{pad[2:]}}}")

    def arrow(self, arrow: Arrow) -> str:
        """An arrow, and one that nobody sees, which keeps a padded branch above the join that it ends in."""
        source, target = self.boxes[arrow.source], self.boxes[arrow.target]
        joins, hidden = target.kind == "join", ""
        for end, rows in self.padding.values() if joins else ():
            if end == arrow.source:
                hidden = f"  {self.ids[end]}_{rows - 1} -> {self.ids[arrow.target]} [style=invis];\n"
        # Heavy arrows are short and straight (frames pull by 128), and a short branch stands at the top, where
        # `ordering=out` keeps it in the order of the spec.
        weight = f", weight={8 if self.free else 200}"
        straight = arrow in self.straight if joins else True
        side = ", style=dashed" if not arrow.main else weight if straight else ""
        label = f"label={dot_string(' ' + arrow.label)}" if arrow.label else 'label=""'
        tip = f"{arrow.source} to {arrow.target}{': ' * bool(arrow.label)}{arrow.label}"
        tail = f":o{source.outs.index(arrow.outof)}:s" if arrow.outof in source.outs else ""
        head = f":i{target.ins.index(arrow.into)}:n" if arrow.into in target.ins else ""
        ends = f"{self.ids[arrow.source]}{tail} -> {self.ids[arrow.target]}{head}"
        return f"{hidden}  {ends} [{label}, {self.tooltip(tip)}{side}];"

    def look(self, box: Box) -> str:
        """The attributes of a box: shape by its kind, colour by its kind, its mark or its intensity."""
        fill, border = MARKS[box.mark] if box.mark else COLORS[box.kind]
        if box.intensity is not None:
            fill = shade(box.intensity)
        lines = (*box.lines, *box.facts)
        if box.ins or box.outs:
            label = with_ports(box, "<BR/>".join(map(dot_cell, lines)), fill, border)
            return f'label=<{label}>, shape=plain, style="", {self.tooltip(box.tooltip)}'
        shape = SHAPES.get(box.kind, "")
        return f'label={dot_string(*lines)}, {self.tooltip(box.tooltip)}, fillcolor="{fill}", color="{border}"{shape}'


class _PageWriter(_Writer):
    """Writes DOT for an HTML page: the titles of frames can be clicked, to expand and collapse them."""

    def title(self) -> str:
        """None: it stands at the top of the page."""
        return ""

    def tooltip(self, text: str) -> str:
        """None: the page explains what is chosen."""
        return 'tooltip=""'

    def title_id(self, frame: Frame) -> str:
        """The attribute by which the title of a frame is found."""
        return f"id={dot_string('title ' + frame.path)}, "


def _straight(drawn: Picture) -> set[Arrow]:
    """Of joins of two values, the arrow of the longer way: a residual block is a column, its shortcut at the side."""
    found: dict[str, list[Arrow]] = {}
    rows = dict.fromkeys((box.path for box in drawn.root.boxes()), 0)
    for arrow in drawn.arrows:  # in the order of the graph, which is a topological one
        found.setdefault(arrow.target, []).append(arrow)
        rows[arrow.target] = max(rows[arrow.target], rows[arrow.source] + 1)
    pairs = [arrows for arrows in found.values() if len({arrow.source for arrow in arrows}) == len(arrows) == 2]
    return {max(pair, key=lambda arrow: rows[arrow.source]) for pair in pairs}


def _plain(frame: Frame) -> bool:
    return frame.kind == "branch" and frame.times == 1


def _padding(drawn: Picture) -> dict[str, tuple[str, int]]:
    """Short branches by their path: the box below which to pad, and by how many rows.

    Graphviz moves a branch that is shorter than its neighbours to the side; of equal height they stay in order.
    """
    height: dict[str, int] = {}
    found: dict[str, tuple[str, int]] = {}
    leaving: dict[str, list[str]] = {}
    for arrow in drawn.arrows:
        leaving.setdefault(arrow.source, []).append(arrow.target)

    def deepest(frame: Frame) -> str:
        rows = dict.fromkeys((box.path for box in frame.boxes()), 1)
        for path in rows:  # in the order of the graph, which is a topological one
            for target in leaving.get(path, ()):
                if target in rows:
                    rows[target] = max(rows[target], rows[path] + 1)
        last = max(rows, key=lambda path: (rows[path], path))
        height[frame.path] = rows[last]
        return last

    def walk(frame: Frame) -> None:
        inner = [item for item in frame.items if isinstance(item, Frame)]
        ends = {item.path: deepest(item) for item in inner if item.kind == "branch"}
        highest = max((height[path] for path in ends), default=0)
        for path, end in ends.items():
            if missing := highest - height[path]:
                found[path] = (end, missing)
        for item in inner:
            walk(item)

    walk(drawn.root)
    return found


def with_ports(box: Box, text: str, fill: str, border: str) -> str:
    """A box as a table: the names of what enters it above, of what leaves it below."""
    width = math.lcm(len(box.ins) or 1, len(box.outs) or 1)

    def row(names: Sequence[str], letter: str) -> str:
        span = f'COLSPAN="{width // len(names)}"' if names else ""
        cells = "".join(
            f'<TD PORT="{letter}{i}" {span}><FONT POINT-SIZE="10">{dot_cell(name)}</FONT></TD>'
            for i, name in enumerate(names)
        )
        return f"<TR>{cells}</TR>" if names else ""

    body = f'<TR><TD COLSPAN="{width}" BORDER="0">{text}</TD></TR>'
    return (
        f'<TABLE BORDER="1" CELLBORDER="1" CELLSPACING="2" CELLPADDING="2" COLOR="{border}" BGCOLOR="{fill}">'
        f"{row(box.ins, 'i')}{body}{row(box.outs, 'o')}</TABLE>"
    )
