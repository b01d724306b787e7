"""A picture as DOT: every text is escaped, every name is counted, the same picture gives the same bytes."""

from __future__ import annotations

from netspec.draw.picture import Box, Frame, Picture

FONT = "Helvetica"
# Fill, border: calm colours that hold on light and dark pages, one for each kind of thing.
COLORS = {
    "input": ("#e8eaed", "#5f6368"),
    "output": ("#e8eaed", "#5f6368"),
    "weights": ("#d7e5f7", "#3b6ea5"),
    "pool": ("#fbe0dc", "#b5483a"),
    "norm": ("#dff0e0", "#4a8a55"),
    "join": ("#fdf0cf", "#b28704"),
    "other": ("#f1ecf7", "#7a5fa0"),
    "block": ("#ffffff", "#3c4043"),
}
FRAMES = ("#f8f9fa", "#f1f3f4")


def to_dot(drawn: Picture) -> str:
    """The picture as DOT, from top to bottom."""
    ids: dict[str, str] = {}
    lines = [
        "digraph netspec {",
        "  rankdir=TB; ranksep=0.32; nodesep=0.28; pad=0.15; compound=true; ordering=out;",
        f"  bgcolor=white; fontname={_quote(FONT)}; fontsize=14; labelloc=t; label={_quote(drawn.title)};",
        f'  node [shape=box, style="filled,rounded", fontname={_quote(FONT)}, fontsize=11, height=0.32, '
        'margin="0.12,0.05", penwidth=1.1];',
        f'  edge [fontname={_quote(FONT)}, fontsize=9, fontcolor="#5f6368", color="#5f6368", arrowsize=0.6];',
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
        lines.append(f"  {ids[arrow.source]} -> {ids[arrow.target]} [label={_quote(' ' + arrow.label)}{side}];")
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
            fill, border = COLORS[item.kind]
            shape = ", shape=ellipse, style=filled" if item.kind == "join" else ""
            shape = ", style=filled, peripheries=2" if item.kind == "block" else shape
            lines.append(
                f'{pad}{ids[item.path]} [label={_quote(*item.lines)}, fillcolor="{fill}", color="{border}"{shape}, '
                f"tooltip={_quote(item.tooltip)}, id={_quote(item.path)}];"
            )
        else:
            lines.append(f"{pad}subgraph cluster_{len(lines)} {{")
            lines.append(
                f"{pad}  label={_quote(item.title)}; tooltip={_quote(item.tooltip)}; "
                f"id={_quote('scope ' + item.path)}; "
                f'labeljust=l; fontsize=11; style="filled,rounded"; color="#bdc1c6"; fillcolor="{FRAMES[level % 2]}";'
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


def _quote(*lines: str) -> str:
    """Text as a DOT string; quotes, backslashes and control characters cannot end it or change its meaning."""
    safe = [
        "".join(c if c.isprintable() else " " for c in line).replace("\\", "\\\\").replace('"', '\\"') for line in lines
    ]
    return '"' + "\\n".join(safe) + '"'
