"""The graph as a tree of regions: blocks, groups, branches and iterations with their inputs and outputs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from netspec.expressions.identifiers import Path
from netspec.ir.graph import Graph, Node, Ref, Scope


@dataclass(eq=False)
class Region:
    """A scope with what lies directly in it, in order, and the values that enter and leave it."""

    scope: Scope
    items: list[Node | Region] = field(default_factory=list)
    inputs: tuple[Ref, ...] = ()
    """Values made outside that are read inside, in the order of their first use."""
    outputs: tuple[Ref, ...] = ()
    """Values made inside that are read outside (or are outputs of the network), in order."""
    inner: tuple[str, ...] = ()
    """Paths of the scopes that are one with it, the outermost first; only drawing joins scopes."""

    @property
    def path(self) -> str:
        """The path of the scope; empty for the whole network."""
        return self.scope.path

    def nodes(self) -> Iterator[Node]:
        """All nodes inside, however deep, in order."""
        for item in self.items:
            if isinstance(item, Region):
                yield from item.nodes()
            else:
                yield item

    def relative(self, path: str) -> str:
        """A path inside this region, without the region's own prefix."""
        own = self.inner[-1] if self.inner else self.path
        return path[len(own) + 1 :] if own else path


def tree(graph: Graph) -> Region:
    """The regions of a graph; the root holds the whole network (its inputs are the network's)."""
    root = Region(Scope(Path(), "network", Path(), graph.name))
    regions = {"": root}

    def region(path: str) -> Region:
        while path and path not in graph.scopes:
            path = path.rpartition(".")[0]
        if path not in regions:
            regions[path] = Region(graph.scopes[path])
            region(path.rpartition(".")[0]).items.append(regions[path])
        return regions[path]

    for node in graph.nodes.values():
        region(node.path.rpartition(".")[0]).items.append(node)
    _boundaries(graph, root, regions)
    return root


def _boundaries(graph: Graph, root: Region, regions: dict[str, Region]) -> None:
    """Fills in inputs and outputs of every region in one walk over the edges."""
    around: dict[str, tuple[str, ...]] = {}  # node -> paths of the regions that hold it

    def walk(region: Region, above: tuple[str, ...]) -> None:
        for item in region.items:
            if isinstance(item, Region):
                walk(item, (*above, item.path))
            else:
                around[item.path] = above

    walk(root, ("",))
    ins: dict[str, dict[Ref, None]] = {path: {} for path in regions}
    outs: dict[str, dict[Ref, None]] = {path: {} for path in regions}
    for node in graph.nodes.values():
        for ref in node.inputs:
            for path in around[node.path]:
                if path not in around[ref.node]:
                    ins[path][ref] = None
            for path in around[ref.node]:
                if path not in around[node.path]:
                    outs[path][ref] = None
    for output in graph.outputs.values():
        for path in around[output.ref.node]:
            outs[path][output.ref] = None
    order = {path: i for i, path in enumerate(graph.nodes)}
    for path, region in regions.items():
        region.inputs = tuple(ins[path])
        region.outputs = tuple(sorted(outs[path], key=lambda r: (order[r.node], r.out)))
    root.inputs = tuple(Ref(n.path) for n in graph.inputs)
