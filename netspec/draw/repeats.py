"""What is folded: repeats of one structure, and scopes that lie too deep or are named."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from netspec.diagnostics.errors import UsageError, did_you_mean
from netspec.draw.labels import is_layer, kind_of
from netspec.ir.graph import Graph, Node, Ref
from netspec.ir.scope_tree import Region
from netspec.ops import OPS

# Branches beside each other are what a figure shows, and so are the layers of a block that is drawn alone; only crowds
# of them are folded, such as the 32 paths of ResNeXt.
CROWD = 6


Run = list[Node] | list[Region]


def walk(region: Region) -> Iterator[Region]:
    """All regions below one, in order."""
    for item in region.items:
        if isinstance(item, Region):
            yield item
            yield from walk(item)


@dataclass(frozen=True, slots=True)
class Names:
    """The scopes that a user named: closed, opened, and those that stand apart from their repeats."""

    closed: frozenset[str]
    opened: frozenset[str]
    apart: frozenset[str]

    @classmethod
    def find(cls, root: Region, collapse: tuple[str, ...], expand: tuple[str, ...]) -> Names:
        """Resolves paths, blocks and patterns such as `layer*`; raises UsageError for one that meets no scope."""
        regions = list(walk(root))
        closed, opened, apart = set[str](), set[str](), set[str]()
        asked = {path for name in collapse for path in (r.path for r in _named(root, regions, name))}
        if both := asked & {r.path for name in expand for r in _named(root, regions, name)}:
            raise UsageError(f"'{min(both)}' is to be closed and open", "ask for one of --collapse and --expand")
        for name in (*collapse, *expand):
            found = _named(root, regions, name)
            if len(found) == 1 and name != found[0].scope.block:
                apart |= set(_upwards(found[0].path))
            if name in collapse:
                closed |= {r.path for r in found}
            else:
                opened |= {path for r in found for path in _upwards(r.path)}
        return cls(frozenset(closed), frozenset(opened), frozenset(apart))


def _upwards(path: str) -> Iterator[str]:
    while path:
        yield path
        path = path.rpartition(".")[0]


def _named(root: Region, regions: list[Region], name: str) -> list[Region]:
    """The scopes of a block, at a path, or at the end of one: `denseblock1` is `features.denseblock1`."""
    found = [r for r in regions if name == r.scope.block or fnmatchcase(r.path, name)]
    found = found or [r for r in regions if fnmatchcase(r.path, f"*.{name}")]
    if not found and any(name == node.path for node in root.nodes()):
        raise UsageError(f"'{name}' is a single step: there is nothing in it to fold or open")
    if not found:
        known = {r.path for r in regions} | {r.scope.block for r in regions if r.scope.block}
        raise UsageError(f"there is no block or scope '{name}' to fold or open", did_you_mean(name, known))
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
            # A join of all that came before reads more in every round.
            if name != "outside" or inputs[-1:] != ["outside"]:
                inputs.append(name)
        varying = OPS[node.op].varying
        attrs = repr(sorted((k, v) for k, v in node.attrs.items() if k not in varying))
        return region.relative(node.path), node.op, attrs, tuple(inputs)


def runs(graph: Graph, region: Region, signatures: Signatures, names: Names) -> Iterator[Run]:
    """The items of a region, with repeats that stand one after the other, or beside each other, as one list."""
    found: list[Run] = []
    last: list[Region] = []
    for item in region.items:
        if isinstance(item, Node):
            last = []
            found.append([item])
        elif last and _repeats(item, last[0], signatures, names) and _continues(graph, last, item):
            last.append(item)
        else:
            last = [item]
            found.append(last)
    for run in found:
        scopes = [r for r in run[:CROWD] if isinstance(r, Region)]
        if 1 < len(scopes) < CROWD and (beside(scopes) or ("" in graph.scopes and is_layer(scopes[0]))):
            yield from ([scope] for scope in scopes)
        else:
            yield run


def beside(run: Sequence[Region]) -> bool:
    """Whether the scopes of a run stand beside each other: the second does not read the first."""
    return not set(run[1].inputs) & set(run[0].outputs)


def _continues(graph: Graph, run: Sequence[Region], item: Region) -> bool:
    """Whether a scope follows on a run: after its last, as all of it do, or beside all of it and read by the same."""
    if beside([run[-1], item]):
        return (len(run) == 1 or beside(run)) and _readers(graph, run[0]) == _readers(graph, item)
    return len(run) == 1 or not beside(run)


def _readers(graph: Graph, region: Region) -> set[str]:
    """The nodes and outputs that read what a scope gives."""
    ends = {f"output {name}" for name, output in graph.outputs.items() if output.ref in region.outputs}
    own = {node.path for node in region.nodes()}
    return ends | {path for ref in region.outputs for path in graph.nx.successors(ref.node) if path not in own}


def grouped(graph: Graph, region: Region, signatures: Signatures, names: Names, unfold: bool) -> Iterator[Run]:
    """The items of a region as they are drawn: repeats together, layers with what follows them, or each for itself."""
    if not unfold:
        yield from layers(graph, list(runs(graph, region, signatures, names)))
        return
    yield from ([item] for item in region.items)  # type: ignore[misc]


def _repeats(item: Region, first: Region, signatures: Signatures, names: Names) -> bool:
    apart = {item.path, first.path, *item.inner, *first.inner} & names.apart
    return not apart and signatures.of(item) == signatures.of(first)


def layers(graph: Graph, run: list[Run]) -> Iterator[Run]:
    """Joins a layer or a pooling with the norm, activation and dropout that follow it alone."""
    ends = {o.ref.node for o in graph.outputs.values()}
    held: list[Node] = []
    for items in run:
        node = items[0]
        if len(items) == 1 and isinstance(node, Node):
            if held and _follows(graph, held[-1], node, ends):
                held.append(node)
                continue
            if held:
                yield held
            held = [node]
        else:
            if held:
                yield held
            held = []
            yield items
    if held:
        yield held


def _follows(graph: Graph, before: Node, node: Node, ends: set[str]) -> bool:
    alone = graph.nx.out_degree(before.path) == 1 and before.path not in ends and node.inputs == (Ref(before.path),)
    return alone and kind_of(before) not in ("input", "join") and kind_of(node) in ("norm", "other")


def closes(region: Region, left: int, names: Names, merge: bool) -> bool:
    """Whether a scope is one box, where `left` more levels are opened and layers stay one box (`merge`)."""
    paths = {region.path, *region.inner}
    if paths & names.closed:
        return True
    if paths & names.opened:
        return False
    # Branches are not a level of their own: a figure of a block shows them.
    return (left <= 1 and region.scope.kind != "branch") or (merge and is_layer(region))
