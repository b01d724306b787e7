"""A picture as DOT: every text is escaped, every name is counted, the same picture gives the same bytes."""

from __future__ import annotations

from textwrap import wrap

from netspec.draw.colors import COLORS, FRAMES, MARKS, heat
from netspec.draw.model import Box, Frame, Picture

FONT = "Helvetica"


def to_dot(drawn: Picture) -> str:
    """The picture as DOT, from top to bottom."""
    ids: dict[str, str] = {}
    title = [*wrap(drawn.title, 60), *wrap(drawn.legend, 60)]
    lines = [
        "digraph netspec {",
        "  rankdir=TB; ranksep=0.08; nodesep=0.22; pad=0.1; compound=true; ordering=out;",
        f"  bgcolor=transparent; fontname={_quote(FONT)}; fontsize=14; labelloc=t; label={_quote(*title)};",
        f'  node [shape=box, style="filled,rounded", fontname={_quote(FONT)}, fontsize=11, height=0.28, '
        'margin="0.1,0.03", penwidth=1.1];',
        f'  edge [fontname={_quote(FONT)}, fontsize=10, fontcolor="#5f6368", color="#5f6368", arrowsize=0.6];',
    ]
    padding = _padding(drawn)
    _frame(drawn.root, lines, ids, 1, padding)
    joins = {box.path for box in drawn.root.boxes() if box.kind == "join"}
    ends = {end: (ids[end] + f"_{rows - 1}") for end, rows in padding.values()}
    for arrow in drawn.arrows:
        if arrow.source in ends and arrow.target in joins:
            lines.append(f"  {ends[arrow.source]} -> {ids[arrow.target]} [style=invis];")
        # Heavy arrows are short: the main path stays straight, and a short branch stands at the top, where
        # `ordering=out` keeps it in the order of the spec.
        side = ", style=dashed" if not arrow.main else "" if arrow.target in joins else ", weight=8"
        label = f"label={_quote(' ' + arrow.label)}" if arrow.label else 'label=""'
        tip = f"{arrow.source} to {arrow.target}{': ' * bool(arrow.label)}{arrow.label}"
        lines.append(f"  {ids[arrow.source]} -> {ids[arrow.target]} [{label}, tooltip={_quote(tip)}{side}];")
    return "\n".join([*lines, "}"]) + "\n"


def _padding(drawn: Picture) -> dict[str, tuple[str, int]]:
    """Short branches by their path: the box below which to pad, and by how many rows.

    Graphviz moves a branch that is shorter than its neighbours to the side; of equal height they stay in order.
    """
    height: dict[str, int] = {}
    found: dict[str, tuple[str, int]] = {}

    def deepest(frame: Frame) -> str:
        inside = {box.path for box in frame.boxes()}
        rows = dict.fromkeys(inside, 1)
        for arrow in drawn.arrows:  # in the order of the graph, which is a topological one
            if arrow.source in inside and arrow.target in inside:
                rows[arrow.target] = max(rows[arrow.target], rows[arrow.source] + 1)
        last = max(rows, key=lambda path: (rows[path], path))
        height[frame.path] = rows[last]
        return last

    def walk(frame: Frame) -> None:
        inner = [item for item in frame.items if isinstance(item, Frame)]
        ends = {item.path: deepest(item) for item in inner if item.kind == "branch"}
        for path, end in ends.items():
            if missing := max(height[p] for p in ends) - height[path]:
                found[path] = (end, missing)
        for item in inner:
            walk(item)

    walk(drawn.root)
    return found


def _frame(
    frame: Frame, lines: list[str], ids: dict[str, str], level: int, padding: dict[str, tuple[str, int]]
) -> None:
    pad = "  " * level
    for item in frame.items:
        if isinstance(item, Box):
            ids[item.path] = f"n{len(ids)}"
            lines.append(f"{pad}{ids[item.path]} [{_look(item)}, id={_quote(item.path)}];")
        else:
            lines.append(f"{pad}subgraph cluster_{len(lines)} {{")
            # The papers' figures draw no frames around branches; an arrow would run through their names.
            look = f'style="filled,rounded"; color="#bdc1c6"; fillcolor="{FRAMES[level % 2]}"'
            # The right half of a title is empty: there the arrows enter.
            title = item.title + "\u00a0" * 2 * len(item.title)
            title, look = ("", "peripheries=0") if item.kind == "branch" and item.times == 1 else (title, look)
            lines.append(
                f"{pad}  label={_quote(title)}; tooltip={_quote(item.tooltip)}; "
                f"id={_quote('scope ' + item.path)}; margin=6; labeljust=l; fontsize=11; {look};"
            )
            _frame(item, lines, ids, level + 1, padding)
            end, missing = padding.get(item.path, ("", 0))
            above = ids.get(end, "")
            for row in range(missing):
                below = f"{ids[end]}_{row}"
                lines.append(
                    f'{pad}  {below} [style=invis, label="", width=0]; {above} -> {below} [style=invis, weight=8];'
                )
                above = below
            lines.append(f"{pad}}}")


def _look(box: Box) -> str:
    """The attributes of a box: shape by its kind, colour by its kind, its mark or its heat."""
    fill, border = MARKS[box.mark] if box.mark else COLORS[box.kind]
    if box.heat is not None:
        fill = heat(box.heat)
    shape = ""
    if box.kind == "join":
        shape = ", shape=ellipse, style=filled"
    elif box.kind == "block":
        shape = ", style=filled, peripheries=2"
    text, tip = _quote(*box.lines, *box.facts), _quote(box.tooltip)
    return f'label={text}, tooltip={tip}, fillcolor="{fill}", color="{border}"{shape}'


def _quote(*lines: str) -> str:
    """Text as a DOT string; quotes, backslashes and control characters cannot end it or change its meaning."""
    known = str.maketrans({"\\": "\\\\", '"': '\\"', "&": "&amp;"})
    safe = ["".join(c if c.isprintable() else " " for c in line).translate(known) for line in lines]
    return '"' + "\\n".join(safe) + '"'
