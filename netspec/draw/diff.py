"""Two networks next to each other, with what the second adds, leaves out and changes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from difflib import SequenceMatcher

from netspec.draw.model import Arrow, Box, Frame, Picture, View
from netspec.draw.picture import picture
from netspec.draw.repeats import walk
from netspec.draw.simplify import merge_single_child_scopes
from netspec.ir.graph import Graph, Scope
from netspec.ir.scope_tree import tree
from netspec.ops import OPS, Shape
from netspec.ops.base import show


def difference(before: Graph, after: Graph, view: View | None = None) -> Picture:
    """Both pictures as frames of one; boxes are matched by path, by name, and by what they say, in this order."""
    graphs, drawn = (before, after), [picture(graph, view) for graph in (before, after)]
    scopes = [
        {region.path: region.scope for region in walk(merge_single_child_scopes(tree(graph)))} for graph in graphs
    ]
    boxes = [list(found.root.boxes()) for found in drawn]
    pairs = _pairs(boxes[0], boxes[1])
    back = {b: a for a, b in pairs.items()}
    content = [{box.path: _content(box, graph) for box in found} for found, graph in zip(boxes, graphs, strict=True)]

    def mark_before(path: str) -> str:
        if path not in pairs:
            return "removed"
        return "same" if content[0][path] == content[1][pairs[path]] else "changed"

    def mark_after(path: str) -> str:
        return mark_before(back[path]) if path in back else "added"

    known = [{box.path: box for box in found} for found in boxes]
    said = {b: _changes(known, (a, b), graphs, scopes) for a, b in pairs.items() if mark_after(b) == "changed"}
    root = Frame("", "", "network")
    arrows: list[Arrow] = []
    for side, found, mark in zip(("before", "after"), drawn, (mark_before, mark_after), strict=True):
        more = said if side == "after" else {}
        root.items.append(Frame(side, found.title, "network", items=_marked(found.root, f"{side}/", mark, more)))
        arrows += [replace(a, source=f"{side}/{a.source}", target=f"{side}/{a.target}") for a in found.arrows]
    counts = Counter(mark_before(box.path) for box in boxes[0])
    added = sum(mark_after(box.path) == "added" for box in boxes[1])
    legend = f"boxes: {added} added (green), {counts['removed']} removed (red), {counts['changed']} changed (yellow)"
    return Picture(f"{drawn[0].title} and {drawn[1].title}", root, arrows, legend)


def _pairs(before: list[Box], after: list[Box]) -> dict[str, str]:
    """The boxes of the second network by those of the first that they stand for."""
    known = {box.path for box in after}
    pairs = {box.path: box.path for box in before if box.path in known}
    for words in (_name, _words):
        taken = set(pairs.values())
        left = [box for box in before if box.path not in pairs]
        right = [box for box in after if box.path not in taken]
        matcher = SequenceMatcher(None, [words(b) for b in left], [words(b) for b in right], autojunk=False)
        for a, b, size in matcher.get_matching_blocks():
            pairs |= {left[a + i].path: right[b + i].path for i in range(size)}
    return pairs


def _name(box: Box) -> tuple[str, ...]:
    """The name of a box without where it lies: conv1 of `net.conv1`."""
    return (box.kind, box.path.rpartition(".")[2])


def _words(box: Box) -> tuple[str, ...]:
    """What a box says without the name that it was given: `conv1: 7x7 conv, 64` is `7x7 conv, 64`."""
    return (box.kind, box.lines[0].rpartition(": ")[2], *box.lines[1:])


def _content(box: Box, graph: Graph) -> object:
    """What makes two boxes the same: their ops, arguments, shapes, and how often they stand there."""
    if box.kind == "output":
        return (box.lines, show(_output(box, graph)))
    nodes = [graph.nx.nodes[path]["node"] for paths in box.iterations for path in paths]
    return (
        box.kind,
        len(box.iterations),
        [(n.op, repr(sorted(n.attrs.items())), n.shapes, list(n.result.weights.items())) for n in nodes],
    )


def _output(box: Box, graph: Graph) -> Shape:
    return graph.shape(graph.outputs[box.path.removeprefix("output ")].ref)


MOST_CHANGES = 4


def _changes(
    boxes: Sequence[Mapping[str, Box]],
    paths: tuple[str, str],
    graphs: tuple[Graph, Graph],
    known: Sequence[Mapping[str, Scope]],
) -> tuple[str, ...]:
    """What differs in a box: arguments of its block, or else of its ops or their weights; `groups 1 -> 32`."""
    before, after = (found[path] for found, path in zip(boxes, paths, strict=True))
    scopes = [found.get(path) for found, path in zip(known, paths, strict=True)]
    args = [scope.args if scope else {} for scope in scopes]
    blocks = [scope.block if scope else "" for scope in scopes]
    # Blocks of one name in two files are two blocks where they take other arguments.
    found = _unequal(args[0], args[1], "") if blocks[0] == blocks[1] and args[0].keys() == args[1].keys() else []
    if before.kind == "output":
        shapes = [show(_output(box, graph)) for box, graph in zip((before, after), graphs, strict=True)]
        return (f"{shapes[0]} \u2192 {shapes[1]}",) if shapes[0] != shapes[1] else ()
    times = [
        len(box.iterations) if len(box.iterations) > 1 else _iterations(graph, path)
        for box, graph, path in zip((before, after), graphs, paths, strict=True)
    ]
    if times[0] != times[1]:
        found.insert(0, f"\u00d7{times[0]} \u2192 \u00d7{times[1]}")
    # Of as many iterations all are compared, else the first.
    iterations = [
        box.iterations if len(before.iterations) == len(after.iterations) else box.iterations[:1]
        for box in (before, after)
    ]
    nodes = [
        [graph.nx.nodes[path]["node"] for paths in some for path in paths]
        for graph, some in zip(graphs, iterations, strict=True)
    ]
    ops = [[OPS[n.op].title for n in found] for found in nodes]
    if not found:
        found += [f"without {op}" for op in dict.fromkeys(ops[0]) if op not in ops[1]]
        found += [f"with {op}" for op in dict.fromkeys(ops[1]) if op not in ops[0]]
    if not found and [n.op for n in nodes[0]] == [n.op for n in nodes[1]]:
        for a, b in zip(*nodes, strict=True):
            name = "" if len(nodes[0]) == 1 else f"{b.path.removeprefix(f'{after.path}.')}: "
            found += _unequal(a.attrs, b.attrs, name) or _unequal(a.result.weights, b.result.weights, name)
    if not found:
        counts = [Counter(some) for some in ops]
        found += [f"{op}: {n} \u2192 {counts[1][op]}" for op, n in counts[0].items() if counts[1][op] != n]
    if not found and nodes[0] and nodes[1]:
        found += _unequal({"gives": show(nodes[0][-1].shape)}, {"gives": show(nodes[1][-1].shape)}, "")
    found = list(dict.fromkeys(found))
    if len(found) > MOST_CHANGES:
        found[MOST_CHANGES - 1 :] = [f"and {len(found) - MOST_CHANGES + 1} more"]
    return tuple(found)


def _unequal(before: Mapping[str, object], after: Mapping[str, object], name: str) -> list[str]:
    """The entries that two mappings do not share: `groups 1 -> 32`."""
    keys = [key for key in {**before, **after} if before.get(key) != after.get(key)]
    return [f"{name}{key} {_value(before.get(key))} \u2192 {_value(after.get(key))}" for key in keys]


def _value(value: object) -> str:
    if isinstance(value, tuple):
        return show(value) if value[:1] == ("N",) else "x".join(map(str, value))
    return str(value)


def _iterations(graph: Graph, path: str) -> int:
    """How many iterations a scope has, which are called 0, 1, 2."""
    names = [inner.rpartition(".") for inner in graph.scopes]
    return max(1, sum(above == path and name.isdigit() for above, _, name in names))


def _marked(
    frame: Frame, prefix: str, mark: Callable[[str], str], said: Mapping[str, tuple[str, ...]]
) -> list[Box | Frame]:
    return [
        replace(item, path=prefix + item.path, mark=mark(item.path), facts=item.facts + said.get(item.path, ()))
        if isinstance(item, Box)
        else Frame(
            prefix + item.path,
            item.title,
            item.kind,
            item.tooltip,
            item.source,
            item.times,
            _marked(item, prefix, mark, said),
        )
        for item in frame.items
    ]
