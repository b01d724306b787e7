"""Networks next to each other, as the columns of one picture (He et al. 2015, Figure 3)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from netspec.diagnostics.errors import UsageError
from netspec.draw.model import Box, Frame, Picture, View
from netspec.draw.picture import picture
from netspec.draw.repeats import Selection
from netspec.ir.graph import Graph
from netspec.ir.scope_tree import Region, tree


def beside(graphs: Sequence[Graph], view: View | None = None) -> Picture:
    """A frame for each graph, from left to right; the paths in it begin with its number, from 1."""
    root = Frame("", "", "network")
    arrows = []
    for number, (graph, own) in enumerate(zip(graphs, views(graphs, view or View()), strict=True), 1):
        drawn = picture(graph, own)
        root.items.append(Frame(str(number), drawn.title, "network", items=_below(f"{number}/", drawn.root)))
        arrows += [replace(a, source=f"{number}/{a.source}", target=f"{number}/{a.target}") for a in drawn.arrows]
    return Picture(" | ".join(frame.title for frame in root.frames() if frame.path.isdigit()), root, arrows)


def views(graphs: Sequence[Graph], view: View) -> list[View]:
    """The view of each graph, with those of the named scopes that it has; raises UsageError for what none has."""
    roots = [tree(graph) for graph in graphs]
    has = {name: [_has(root, name) for root in roots] for name in (*view.collapse, *view.expand)}
    for name in (name for name, found in has.items() if not any(found)):
        Selection.find(roots[0], (name,), ())  # it says what there is
    return [
        replace(
            view,
            collapse=tuple(name for name in view.collapse if has[name][i]),
            expand=tuple(name for name in view.expand if has[name][i]),
        )
        for i in range(len(roots))
    ]


def _has(root: Region, name: str) -> bool:
    try:
        Selection.find(root, (name,), ())
    except UsageError:
        return False
    return True


def _below(prefix: str, frame: Frame) -> list[Box | Frame]:
    """The items of a frame with a prefix before all paths."""
    found: list[Box | Frame] = []
    for item in frame.items:
        path = prefix + item.path
        found.append(
            replace(item, path=path) if isinstance(item, Box) else replace(item, path=path, items=_below(prefix, item))
        )
    return found
