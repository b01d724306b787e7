"""A network as units in order: layers and blocks, each in the stage of the table that it belongs to."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from netspec.ir.graph import Graph, Node, Ref
from netspec.ir.scope_tree import Region, tree
from netspec.ops import OPS, Shape
from netspec.reports.configuration.series import Found, Layer, Series, Shown, gated, layers, series_of, size

Size = tuple[int, ...]
"""Height and width of a map; 1 x 1 for what has no such."""

# A block with more layers than this is named by what it was called with.
MOST_LAYERS = 12
# A block with more than this is looked into, since it holds what rows name.
LAYERS_OF_A_NETWORK = 48
# Of a scope with more nodes layers are counted, and no shortcuts are looked for.
NODES_OF_A_BLOCK = 1_000
# A scope in which maps have as many sizes is no stage, it holds stages.
SIZES_OF_A_NETWORK = 3


@dataclass(frozen=True, slots=True)
class Unit:
    """A layer, or a block that is more than one, with what enters and leaves it."""

    path: str
    stage: str
    """The path of the step that its row is called by."""
    nodes: tuple[Node, ...]
    series: Series
    block: str
    args: Mapping[str, object]
    entered: Shape
    left: Shape
    shortcuts: frozenset[str] = frozenset()
    """What has weights and is left out on purpose: it is on a shortcut."""

    @property
    def size(self) -> Size:
        """Height and width of what leaves it."""
        return map_size(self.left)

    @property
    def pools(self) -> bool:
        """Whether it is a layer without weights."""
        return not any(OPS[node.op].kind == "weights" for node in self.nodes)


def map_size(shape: Shape) -> Size:
    """Height and width of a map; 1 x 1 of features, as the papers have it."""
    return tuple(map(int, shape[2:])) if len(shape) == 4 else (1, 1)


def units_of(graph: Graph, shown: Shown) -> list[Unit]:
    """The units of a network in order; what has no layer for a table is in none."""
    root = tree(graph)
    return list(_Units(graph, shown, root).below(root, ""))


def left_out(graph: Graph, units: Sequence[Unit], shown: Shown) -> list[Node]:
    """The layers with weights that no unit says, and that are on no shortcut."""
    said: set[str] = {node.path for unit in units for node in (*layers(unit.series), *gated(unit.series))}
    said.update(path for unit in units for path in unit.shortcuts)
    weighted = [node for node in graph.nodes.values() if OPS[node.op].kind == "weights" and shown(node)]
    return [node for node in weighted if node.path not in said]


Part = Sequence[Node | Region]


class _Units:
    """Looks into scopes for what is a row or a line of one."""

    def __init__(self, graph: Graph, shown: Shown, root: Region) -> None:
        self.graph, self.shown = graph, shown
        self.known: dict[str, Found] = {}
        self.order = {path: index for index, path in enumerate(graph.nodes)}
        self.counts: dict[str, tuple[int, int]] = {}
        """Nodes and layers in each scope."""
        self.count([root])

    def count(self, part: Part) -> tuple[int, int]:
        """Nodes and layers among some items, each scope counted once."""
        nodes = found = 0
        for item in part:
            if isinstance(item, Node):
                own = (1, int(self.shown(item)))
            else:
                own = self.counts.get(item.path) or self.count(item.items)
                self.counts[item.path] = own
            nodes, found = nodes + own[0], found + own[1]
        return nodes, found

    def layers(self, region: Region) -> int:
        """How many layers a scope has for a reader: a gate is one, shortcuts are none; of a large one all."""
        nodes, found = self.counts[region.path]
        return found if found < 2 or nodes > NODES_OF_A_BLOCK else size(self.series(region).series)

    def below(self, region: Region, stage: str) -> Iterator[Unit]:
        """The units in a scope that is looked into; `stage` is what it is one of, empty for each its own."""
        for part in parts(region):
            if len(part) > 1 and self.is_unit(part):
                yield from self.unit(part, part[-1].path, stage)
                continue
            for item in part:
                if isinstance(item, Region):
                    yield from self.of(item, stage)
                else:
                    yield from self.unit([item], item.path, stage)

    def of(self, region: Region, stage: str) -> Iterator[Unit]:
        """The unit that a scope is, or those in it."""
        if self.layers(region) < 2:
            yield from self.unit([region], region.path, stage)
            return
        inside = list(parts(region))
        if len({self.size_after(part) for part in inside}) >= SIZES_OF_A_NETWORK:
            yield from self.below(region, "")
        elif self.is_chain_of_units(inside) or self.holds_blocks(region):
            yield from self.below(region, stage or region.path)
        else:
            yield from self.unit([region], region.path, stage)

    def unit(self, part: Part, path: str, stage: str) -> Iterator[Unit]:
        """Items as one unit, if a layer is among them."""
        nodes = tuple(node for item in part for node in (item.nodes() if isinstance(item, Region) else [item]))
        if isinstance(part[0], Region) and len(part) == 1:
            found, scope = self.series(part[0]), part[0].scope
            block, args = scope.block, scope.args
        else:
            found, block, args = series_of(self.graph, nodes, [Ref(nodes[-1].path)], self.shown), "", {}
        if found.series:
            inside = {node.path for node in nodes}
            outside = [ref for node in nodes for ref in node.inputs if ref.node not in inside]
            # Of a cell that reads the two before it, what the nearer one gave.
            entered = max(outside, key=lambda ref: self.order[ref.node], default=Ref(nodes[0].path))
            shape = self.graph.shape(self.end(part))
            entered_shape = self.graph.shape(entered)
            yield Unit(path, stage or path, nodes, found.series, block, args, entered_shape, shape, found.shortcuts)

    def end(self, part: Part) -> Ref:
        """What leaves the last of some items."""
        last = part[-1]
        if isinstance(last, Node):
            return Ref(last.path)
        return last.outputs[-1] if last.outputs else Ref(list(last.nodes())[-1].path)

    def size_after(self, part: Part) -> Size:
        """Height and width after some items."""
        return map_size(self.graph.shape(self.end(part)))

    def series(self, region: Region) -> Found:
        """The layers of a scope."""
        if region.path not in self.known:
            self.known[region.path] = series_of(self.graph, list(region.nodes()), region.outputs, self.shown)
        return self.known[region.path]

    def is_unit(self, part: Part) -> bool:
        """Whether items that meet in a join are few layers at few sizes: a block that is written in its place."""
        if isinstance(part[-1], Region) or OPS[part[-1].op].arity is not None:
            return False
        sizes = {self.size_after([item]) for item in part} - {(1, 1)}
        return len(sizes) < SIZES_OF_A_NETWORK and self.count(part)[1] <= MOST_LAYERS

    def is_chain_of_units(self, inside: Sequence[Part]) -> bool:
        """Whether one thing follows another, and blocks are among them, or a pooling after layers: a stage."""
        if any(len(part) > 1 for part in inside):
            return False
        items = [part[0] for part in inside]
        pools = any(isinstance(i, Node) and self.shown(i) and OPS[i.op].kind == "pool" and _is_local(i) for i in items)
        # The only branch of a join is no block of its own: it is a residual block without its shortcut.
        blocks = [i for i in items if isinstance(i, Region) and i.scope.kind != "branch"]
        return pools or any(self.layers(i) > 1 for i in blocks)

    def holds_blocks(self, region: Region) -> bool:
        """Whether a scope is too much for a cell, and most of it lies in blocks or groups."""
        if self.layers(region) <= (MOST_LAYERS if not region.scope.block else LAYERS_OF_A_NETWORK):
            return False
        held = [i for i in region.items if isinstance(i, Region) and i.scope.kind != "branch"]
        return 2 * sum(self.counts[i.path][1] for i in held if self.layers(i) > 1) > self.counts[region.path][1]


def _is_local(node: Node) -> bool:
    return math.prod(map_size(node.shape)) > 1


def parts(region: Region) -> Iterator[Part]:
    """What lies in a scope, cut wherever a single value goes on: items between are branches and their join."""
    items = [i for i in region.items if not (isinstance(i, Node) and i.op == "input")]
    made = [[Ref(i.path, k) for k in range(len(i.shapes))] if isinstance(i, Node) else i.outputs for i in items]
    last: dict[Ref, int] = {}
    for index, item in enumerate(items):
        for ref in item.inputs:
            last[ref] = index
    for ref in region.outputs:
        last[ref] = len(items)
    entered = region.inputs if region.path else _entered(region)
    ends = Counter(last[ref] for ref in entered if ref in last)
    alive = ends.total()
    part: list[Node | Region] = []
    for index, item in enumerate(items):
        part.append(item)
        read_later = [last[ref] for ref in made[index] if last.get(ref, -1) > index]
        ends.update(read_later)
        alive += len(read_later) - ends[index]
        if alive < 2:
            yield part
            part = []
    if part:
        yield part


def _entered(root: Region) -> Iterable[Ref]:
    return [Ref(i.path) for i in root.items if isinstance(i, Node) and i.op == "input"]


def first_layer(unit: Unit) -> Node | None:
    """The only layer of a unit, where it is one."""
    only = unit.series[0]
    return only.node if len(unit.series) == 1 and isinstance(only, Layer) else None
