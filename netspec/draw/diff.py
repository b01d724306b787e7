"""Two networks next to each other, with what the second adds, leaves out and changes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from difflib import SequenceMatcher

from netspec.draw.beside import views
from netspec.draw.model import Arrow, Box, Frame, Picture, View
from netspec.draw.outline import Outline
from netspec.draw.picture import picture_of
from netspec.ir.graph import Graph, Node, Scope
from netspec.ops import OPS
from netspec.ops.base import show

MOST_CHANGES = 4


@dataclass(frozen=True, slots=True)
class _Side:
    """One of the networks, with its picture."""

    graph: Graph
    drawn: Picture
    boxes: dict[str, Box]
    scopes: dict[str, Scope]

    @classmethod
    def of(cls, graph: Graph, view: View) -> _Side:
        """A network as a view shows it."""
        outline = Outline(graph, view)
        drawn = picture_of(outline)
        # Nodes are compared as they are in the network, concatenations included.
        return cls(graph, drawn, {box.path: box for box in drawn.root.boxes()}, outline.scopes)

    def nodes(self, box: Box, iterations: int | None = None) -> list[Node]:
        """The nodes that a box stands for, in its first iterations or in all."""
        return [self.graph.nodes[path] for paths in box.iterations[:iterations] for path in paths]

    def shape(self, box: Box) -> str:
        """The shape of an output."""
        return show(self.graph.shape(self.graph.outputs[box.path.removeprefix("output ")].ref))

    def content(self, path: str) -> object:
        """What makes two boxes the same: their ops, arguments, shapes, and how often they stand there."""
        box = self.boxes[path]
        if box.kind == "output":
            return box.lines, self.shape(box)
        nodes = [
            (n.op, repr(sorted(n.attrs.items())), n.shapes, list(n.result.weights.items())) for n in self.nodes(box)
        ]
        return box.kind, len(box.iterations), nodes

    def count(self, box: Box) -> int:
        """How many iterations of a loop a box stands for."""
        if len(box.iterations) > 1:
            return len(box.iterations)
        names = [inner.rpartition(".") for inner in self.graph.scopes]
        return max(1, sum(above == box.path and name.isdigit() for above, _, name in names))


def difference(before: Graph, after: Graph, view: View | None = None) -> Picture:
    """Both pictures as frames of one; boxes are matched by path, by name, and by what they say, in this order."""
    sides = (before, after)
    old, new = (_Side.of(graph, own) for graph, own in zip(sides, views(sides, view or View()), strict=True))
    pairs = _pairs(list(old.boxes.values()), list(new.boxes.values()))
    back = {b: a for a, b in pairs.items()}

    def mark_before(path: str) -> str:
        if path not in pairs:
            return "removed"
        return "same" if old.content(path) == new.content(pairs[path]) else "changed"

    marks = {path: mark_before(path) for path in old.boxes}
    marks_after = {path: marks[back[path]] if path in back else "added" for path in new.boxes}
    changes = {b: tuple(_changes(old, new, a, b)) for a, b in pairs.items() if marks[a] == "changed"}
    root = Frame("", "", "network")
    arrows: list[Arrow] = []
    for name, side, mark, more in (("before", old, marks, {}), ("after", new, marks_after, changes)):
        items = _marked(side.drawn.root, f"{name}/", mark, more)
        root.items.append(Frame(name, side.drawn.title, "network", items=items))
        arrows += [replace(a, source=f"{name}/{a.source}", target=f"{name}/{a.target}") for a in side.drawn.arrows]
    counts = Counter(marks.values())
    added = Counter(marks_after.values())["added"]
    legend = f"boxes: {added} added (green), {counts['removed']} removed (red), {counts['changed']} changed (yellow)"
    return Picture(f"{old.drawn.title} and {new.drawn.title}", root, arrows, legend)


def _pairs(before: list[Box], after: list[Box]) -> dict[str, str]:
    """The boxes of the second network by those of the first that they stand for."""
    known = {box.path for box in after}
    pairs = {box.path: box.path for box in before if box.path in known}
    criteria: tuple[Callable[[Box], tuple[str, ...]], ...] = (_name, _text)
    for criterion in criteria:
        taken = set(pairs.values())
        left = [box for box in before if box.path not in pairs]
        right = [box for box in after if box.path not in taken]
        matcher = SequenceMatcher(None, list(map(criterion, left)), list(map(criterion, right)), autojunk=False)
        for a, b, size in matcher.get_matching_blocks():
            pairs |= {left[a + i].path: right[b + i].path for i in range(size)}
    return pairs


def _name(box: Box) -> tuple[str, ...]:
    """The name of a box without where it lies: conv1 of `net.conv1`."""
    return (box.kind, box.path.rpartition(".")[2])


def _text(box: Box) -> tuple[str, ...]:
    """What a box says without the name that it was given: `conv1: 7x7 conv, 64` is `7x7 conv, 64`."""
    return (box.kind, box.lines[0].rpartition(": ")[2], *box.lines[1:])


def _changes(old: _Side, new: _Side, path_before: str, path_after: str) -> list[str]:
    """What differs in a box: arguments of its block, or else of its ops or their weights; `groups 1 -> 32`."""
    before, after = old.boxes[path_before], new.boxes[path_after]
    if before.kind == "output":
        shapes = old.shape(before), new.shape(after)
        return [f"{shapes[0]} \u2192 {shapes[1]}"] if shapes[0] != shapes[1] else []
    found = _changed_arguments(old.scopes.get(path_before), new.scopes.get(path_after))
    counts = old.count(before), new.count(after)
    if counts[0] != counts[1]:
        found.insert(0, f"\u00d7{counts[0]} \u2192 \u00d7{counts[1]}")
    if not found:
        # Of as many iterations all are compared, else the first.
        compared = None if len(before.iterations) == len(after.iterations) else 1
        found = _changed_nodes(old.nodes(before, compared), new.nodes(after, compared), after.path)
    found = list(dict.fromkeys(found))
    if len(found) > MOST_CHANGES:
        found[MOST_CHANGES - 1 :] = [f"and {len(found) - MOST_CHANGES + 1} more"]
    return found


def _changed_arguments(before: Scope | None, after: Scope | None) -> list[str]:
    """The arguments of a block that differ; blocks of one name in two files are two where they take other arguments."""
    if before is None or after is None or before.block != after.block or before.args.keys() != after.args.keys():
        return []
    return _unequal(before.args, after.args, "")


def _changed_nodes(before: list[Node], after: list[Node], path: str) -> list[str]:
    """What differs in the nodes of two boxes: ops, or else attributes and weights, their number, or the shape."""
    ops = [[OPS[node.op].title for node in nodes] for nodes in (before, after)]
    found = [f"without {op}" for op in dict.fromkeys(ops[0]) if op not in ops[1]]
    found += [f"with {op}" for op in dict.fromkeys(ops[1]) if op not in ops[0]]
    if not found and [n.op for n in before] == [n.op for n in after]:
        for a, b in zip(before, after, strict=True):
            name = "" if len(before) == 1 else f"{b.path.removeprefix(f'{path}.')}: "
            found += _unequal(a.attrs, b.attrs, name) or _unequal(a.result.weights, b.result.weights, name)
    if not found:
        counts = [Counter(some) for some in ops]
        found += [f"{op}: {n} \u2192 {counts[1][op]}" for op, n in counts[0].items() if counts[1][op] != n]
    if not found and before and after:
        found += _unequal({"gives": show(before[-1].shape)}, {"gives": show(after[-1].shape)}, "")
    return found


def _unequal(before: Mapping[str, object], after: Mapping[str, object], name: str) -> list[str]:
    """The entries that two mappings do not share: `groups 1 -> 32`."""
    keys = [key for key in {**before, **after} if before.get(key) != after.get(key)]
    return [f"{name}{key} {_value(before.get(key))} \u2192 {_value(after.get(key))}" for key in keys]


def _value(value: object) -> str:
    if isinstance(value, tuple):
        return show(value) if value[:1] == ("N",) else "x".join(map(str, value))
    return str(value)


def _marked(
    frame: Frame, prefix: str, marks: Mapping[str, str], changes: Mapping[str, tuple[str, ...]]
) -> list[Box | Frame]:
    """The items of a frame with other paths, boxes with their marks and what changed in them."""
    found: list[Box | Frame] = []
    for item in frame.items:
        if isinstance(item, Box):
            facts = item.facts + changes.get(item.path, ())
            found.append(replace(item, path=prefix + item.path, mark=marks[item.path], facts=facts))
        else:
            found.append(replace(item, path=prefix + item.path, items=_marked(item, prefix, marks, changes)))
    return found
