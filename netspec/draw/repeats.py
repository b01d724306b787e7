"""What is drawn once: repeats of one structure; and which scopes are collapsed, being too deep or named."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import TypeAlias

from netspec.diagnostics.errors import UsageError, did_you_mean, listed
from netspec.draw.labels import is_layer, kind_of
from netspec.ir.graph import Graph, Node, Ref
from netspec.ir.scope_tree import Region
from netspec.ir.titles import matching
from netspec.ops import OPS

# Branches next to each other are what a figure shows, and so are the layers of a block that is drawn alone; only crowds
# of them are folded, such as the 32 paths of ResNeXt.
CROWD = 6


@dataclass(frozen=True, slots=True)
class Layer:
    """A node, or a layer with what follows it."""

    nodes: list[Node]


@dataclass(frozen=True, slots=True)
class Repeat:
    """A scope with those of the same structure that follow it; mostly one."""

    regions: list[Region]


Group: TypeAlias = Layer | Repeat


def walk(region: Region) -> Iterator[Region]:
    """All regions below one, in order."""
    for item in region.items:
        if isinstance(item, Region):
            yield item
            yield from walk(item)


@dataclass(frozen=True, slots=True)
class Selection:
    """The scopes that a user named: to collapse, to expand, and those that stand apart from their repeats."""

    collapsed: frozenset[str]
    expanded: frozenset[str]
    apart: frozenset[str]

    @classmethod
    def find(cls, root: Region, collapse: tuple[str, ...], expand: tuple[str, ...]) -> Selection:
        """Resolves paths, blocks and patterns such as `layer*`; raises UsageError for one that meets no scope."""
        regions = list(walk(root))
        collapsed, expanded, apart = set[str](), set[str](), set[str]()
        asked = {path for name in collapse for path in (r.path for r in _named(root, regions, name))}
        if both := asked & {r.path for name in expand for r in _named(root, regions, name)}:
            raise UsageError(f"'{min(both)}' is to be collapsed and expanded", "ask for one of --collapse and --expand")
        for name in (*collapse, *expand):
            found = _named(root, regions, name)
            if len(found) == 1 and name != found[0].scope.block:
                apart |= set(_upwards(found[0].path))
            if name in collapse:
                collapsed |= {r.path for r in found}
            else:
                expanded |= {path for r in found for path in _upwards(r.path)}
        return cls(frozenset(collapsed), frozenset(expanded), frozenset(apart))


def _upwards(path: str) -> Iterator[str]:
    while path:
        yield path
        path = path.rpartition(".")[0]


_NONE = "this network has no blocks and scopes"


def _named(root: Region, regions: list[Region], name: str) -> list[Region]:
    """The scopes of a block, at a path, or at the end of one: `denseblock1` is `features.denseblock1`; or by titles."""
    found = [r for r in regions if name == r.scope.block or fnmatchcase(r.path, name)]
    found = found or [r for r in regions if fnmatchcase(r.path, f"*.{name}")]
    named = {r.path: r.scope.title for r in regions if r.scope.title}
    paths = {*matching(name, (r.path for r in regions), named, ends=True)} if named and not found else ()
    found = found or [r for r in regions if r.path in paths]
    if not found and any(name == node.path for node in root.nodes()):
        paths_of = [r.path for r in regions if r.path]
        help = f"there are {listed(paths_of, 12)}" if paths_of else _NONE
        raise UsageError(f"'{name}' is a single step: only blocks and scopes are collapsed or expanded", help)
    if not found:
        known = {*named.values(), *(r.path for r in regions)} | {r.scope.block for r in regions if r.scope.block}
        raise UsageError(
            f"there is no block or scope '{name}' to collapse or expand",
            did_you_mean(name, known, "" if known else _NONE),
        )
    return found


class Signatures:
    """The structure of scopes, by which repeats are found: ops and attributes, without sizes and names of inputs."""

    def __init__(self) -> None:
        self._known: dict[str, object] = {}

    def of(self, region: Region) -> object:
        """A value that is equal for scopes of one structure."""
        if region.path not in self._known:
            nodes = tuple(self._node(node, region) for node in region.nodes())
            inner = tuple(path[len(region.path) :] for path in region.inner)
            self._known[region.path] = (region.scope.kind, region.scope.block, inner, nodes)
        return self._known[region.path]

    @staticmethod
    def _node(node: Node, region: Region) -> object:
        inside = f"{region.path}."
        inputs: list[str] = []
        for ref in node.inputs:
            name = str(ref)[len(inside) :] if ref.node.startswith(inside) else "outside"
            # A join of all that came before reads more in every iteration.
            if name != "outside" or inputs[-1:] != ["outside"]:
                inputs.append(name)
        varying = OPS[node.op].varying
        attrs = repr(sorted((k, v) for k, v in node.attrs.items() if k not in varying))
        return region.relative(node.path), node.op, attrs, tuple(inputs)


def repeats(graph: Graph, region: Region, signatures: Signatures, selection: Selection) -> Iterator[Group]:
    """The items of a region, with scopes of one structure that follow each other, or stand in parallel, as one."""
    found: list[Group] = []
    last: list[Region] = []
    for item in region.items:
        if isinstance(item, Node):
            last = []
            found.append(Layer([item]))
        elif last and _repeats(item, last[0], signatures, selection) and _continues(graph, last, item):
            last.append(item)
        else:
            last = [item]
            found.append(Repeat(last))
    for group in found:
        scopes = group.regions if isinstance(group, Repeat) else []
        if 1 < len(scopes) < CROWD and (parallel(scopes) or ("" in graph.scopes and is_layer(scopes[0]))):
            yield from (Repeat([scope]) for scope in scopes)
        else:
            yield group


def parallel(run: Sequence[Region]) -> bool:
    """Whether the scopes of a run stand in parallel: the second does not read the first."""
    return not set(run[1].inputs) & set(run[0].outputs)


def _continues(graph: Graph, run: Sequence[Region], item: Region) -> bool:
    """Whether a scope follows on a run: after its last, as all of it do, or parallel to it and read by the same."""
    if parallel([run[-1], item]):
        return (len(run) == 1 or parallel(run)) and _readers(graph, run[0]) == _readers(graph, item)
    return len(run) == 1 or not parallel(run)


def _readers(graph: Graph, region: Region) -> set[str]:
    """The nodes and outputs that read what a scope gives."""
    ends = {f"output {name}" for name, output in graph.outputs.items() if output.ref in region.outputs}
    own = {node.path for node in region.nodes()}
    return ends | {path for ref in region.outputs for path in graph.nx.successors(ref.node) if path not in own}


def grouped(
    graph: Graph, region: Region, signatures: Signatures, selection: Selection, unfold: bool
) -> Iterator[Group]:
    """The items of a region as they are drawn: repeats together, layers with what follows them, or each for itself."""
    if unfold:
        for item in region.items:
            yield Layer([item]) if isinstance(item, Node) else Repeat([item])
    else:
        yield from layers(graph, repeats(graph, region, signatures, selection))


def _repeats(item: Region, first: Region, signatures: Signatures, selection: Selection) -> bool:
    apart = {item.path, first.path, *item.inner, *first.inner} & selection.apart
    return not apart and signatures.of(item) == signatures.of(first)


def layers(graph: Graph, groups: Iterable[Group]) -> Iterator[Group]:
    """Joins a layer or a pooling with the norm, activation and dropout that follow it alone."""
    ends = {o.ref.node for o in graph.outputs.values()}
    held: list[Node] = []
    for group in groups:
        if isinstance(group, Layer) and held and _follows(graph, held[-1], group.nodes[0], ends):
            held += group.nodes
            continue
        if held:
            yield Layer(held)
        held = []
        if isinstance(group, Layer):
            held = list(group.nodes)
        else:
            yield group
    if held:
        yield Layer(held)


def _follows(graph: Graph, before: Node, node: Node, ends: set[str]) -> bool:
    alone = graph.nx.out_degree(before.path) == 1 and before.path not in ends and node.inputs == (Ref(before.path),)
    return alone and kind_of(before) not in ("input", "join") and kind_of(node) in ("norm", "other")


def collapses(region: Region, left: int, selection: Selection, merge: bool) -> bool:
    """Whether a scope is one box, where `left` more levels are expanded and layers stay one box (`merge`)."""
    paths = {region.path, *region.inner}
    if paths & selection.collapsed:
        return True
    if paths & selection.expanded:
        return False
    # Branches are not a level of their own: a figure of a block shows them.
    return (left <= 1 and region.scope.kind != "branch") or (merge and is_layer(region))
