"""Where a pass changes a network: the steps that it makes others of, and the smallest sets of them that go together."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable, Mapping
from math import inf

from netspec.ir.graph import Graph, Node, Ref
from netspec.ir.module import Module
from netspec.passes.base import Pass

Place = tuple[str, ...]
"""The paths at which a pass changes some steps that belong together: one scope, or these steps."""


def changed(before: Graph, after: Graph) -> list[str]:
    """The steps of a graph that are gone after a pass, or that are another op or of other attributes or shapes.

    One that reads another value alone is the same step.
    """
    found = []
    for path, node in before.nodes.items():
        new = after.nodes.get(path)
        if new is None or (new.op, new.attrs, new.shapes) != (node.op, node.attrs, node.shapes):
            found.append(path)
        elif len(new.inputs) != len(node.inputs):
            found.append(path)
    return found


def scopes_of(paths: Iterable[str]) -> set[str]:
    """These paths, and those of all scopes around them."""
    found = set()
    for path in paths:
        while path and path not in found:
            found.add(path)
            path = path.rpartition(".")[0]
    return found


def places(p: Pass, module: Module, until: float = inf) -> list[Place]:
    """Where a pass changes a module, each a place of its own; as one where they cannot be told apart in time.

    Steps that the pass changes belong together where one reads another, or both read the same value. The pass runs
    for each place, so that all take time with the square of a network; `until` is of `time.monotonic`.
    """
    after = p(module)
    if after is module:
        return []
    found = []
    for group in _together(module.graph, changed(module.graph, after.graph)):
        if time.monotonic() > until:
            return [()]
        if place := _at(p, module, group):
            found.append(place)
    if found and p.at(path for place in found for path in place)(module).graph.nodes == after.graph.nodes:
        return found
    return [()]


def _at(p: Pass, module: Module, group: list[str]) -> Place:
    """One step, or the scope around the steps, if the pass changes these alone there; nothing where it changes none."""

    def changed_at(paths: Collection[str]) -> Mapping[str, Node]:
        after: Module = p.run(module, frozenset(paths))  # all places together are proved
        return after.graph.nodes

    nodes = changed_at(group)
    if nodes == module.graph.nodes:
        return ()
    for path in (group[0], group[-1], _common(group)) if len(group) > 1 else ():
        if path and changed_at([path]) == nodes:
            return (path,)
    return tuple(group)


def _common(paths: Collection[str]) -> str:
    """The innermost scope around some steps; empty for the whole."""
    inner = min(paths, key=len).rpartition(".")[0]
    while inner and not all(path.startswith(f"{inner}.") for path in paths):
        inner = inner.rpartition(".")[0]
    return inner


def _together(graph: Graph, paths: list[str]) -> list[list[str]]:
    """Steps in groups, in source order: one reads another of its group, or both read the same value."""
    group, order = {path: path for path in paths}, {path: i for i, path in enumerate(paths)}

    def first(path: str) -> str:
        while group[path] != path:
            path = group[path]
        return path

    reading: dict[Ref, str] = {}
    for path in paths:
        for ref in graph.nodes[path].inputs:
            for other in (ref.node, reading.setdefault(ref, path)):
                if other in group:
                    a, b = first(other), first(path)
                    group[max(a, b, key=order.__getitem__)] = min(a, b, key=order.__getitem__)
    found: dict[str, list[str]] = {}
    for path in paths:
        found.setdefault(first(path), []).append(path)
    return list(found.values())
