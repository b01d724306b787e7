"""A part of a graph as layers in series and in parallel, which is what a cell of a configuration table writes."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import NamedTuple, TypeAlias

from netspec.ir.graph import Graph, Node, Ref
from netspec.ops import OPS, Shape

# What lies deeper is no cell that anybody reads, and what takes more steps for a node is no block.
DEEPEST = 24
STEPS = 64


@dataclass(frozen=True, slots=True)
class Layer:
    """A layer that tables have: a convolution, a pooling, a fully connected layer."""

    node: Node
    entered: Shape


@dataclass(frozen=True, slots=True)
class Gate:
    """Widths of the layers of a gate that sees the whole map, as squeeze and excitation (Hu et al. 2017, Table 1)."""

    nodes: tuple[Node, ...]

    @property
    def widths(self) -> tuple[int, ...]:
        """The channels that leave each layer."""
        return tuple(int(node.shape[1]) for node in self.nodes)


@dataclass(frozen=True, slots=True)
class Aside:
    """Layers that make a further operand of the op that follows, such as the offsets of a deformable convolution."""

    operand: str
    series: Series


@dataclass(frozen=True, slots=True)
class Parallel:
    """Branches that a join reads."""

    join: str
    branches: tuple[Series, ...]


@dataclass(frozen=True, slots=True)
class Tangle:
    """Layers in order that are neither in series nor in parallel: one is read by two branches that meet elsewhere."""

    layers: tuple[Layer, ...]


Item: TypeAlias = Layer | Gate | Aside | Parallel | Tangle
Series: TypeAlias = "tuple[Item, ...]"
Shown: TypeAlias = Callable[[Node], bool]


class Found(NamedTuple):
    """The layers of a part, and what has weights and is on its shortcuts, which tables leave out."""

    series: Series
    shortcuts: frozenset[str] = frozenset()


class _NotSeriesParallel(Exception):
    """A node lies on two branches, or branches lie in branches too deep."""


def layers(series: Series) -> Iterator[Node]:
    """The layers of a part in order, those of branches too; of a gate none."""
    for item in series:
        if isinstance(item, Layer):
            yield item.node
        elif isinstance(item, Parallel):
            for branch in item.branches:
                yield from layers(branch)
        elif isinstance(item, Tangle):
            yield from layers(item.layers)
        elif isinstance(item, Aside):
            yield from layers(item.series)


def gated(series: Series) -> Iterator[Node]:
    """The layers of the gates of a part."""
    for item in series:
        if isinstance(item, Gate):
            yield from item.nodes
        elif isinstance(item, Parallel):
            for branch in item.branches:
                yield from gated(branch)
        elif isinstance(item, Aside):
            yield from gated(item.series)


def size(series: Series) -> int:
    """How many layers a part has for a reader; a gate is one."""
    return sum(map(_size, series))


def _size(item: Item) -> int:
    match item:
        case Parallel(_, branches):
            return sum(map(size, branches))
        case Tangle(tangled):
            return len(tangled)
        case Aside(_, series):
            return size(series)
        case _:
            return 1


_AT_A_STRIDE = frozenset({"stride", "pad"})
"""What the first of some repeated blocks has otherwise: its stride, and the padding that goes with that."""


def structure(series: Series) -> Hashable:
    """Ops, attributes and joins of a part, all but strides: what equal blocks have in common."""
    return tuple(map(_structure, series))


def _structure(item: Item) -> Hashable:
    match item:
        case Layer(node):
            attrs = {name: v for name, v in node.attrs.items() if name not in {*_AT_A_STRIDE, *OPS[node.op].varying}}
            return node.op, tuple((name, repr(attrs[name])) for name in sorted(attrs))
        case Gate():
            return "gate", item.widths
        case Aside(operand, series):
            return operand, structure(series)
        case Parallel(join, branches):
            return join, tuple(map(structure, branches))
        case Tangle(tangled):
            return "tangle", structure(tangled)


def is_depthwise(node: Node) -> bool:
    """Whether each filter of a convolution sees one channel."""
    weight = node.result.weights.get("weight", ())
    return node.attrs.get("groups", 1) > 1 and len(weight) == 4 and weight[1] == 1


def stride(series: Series) -> Fraction:
    """By how much a part makes maps smaller: the product of its strides, on the branch where that is largest."""
    product = Fraction(1)
    for item in series:
        if isinstance(item, Parallel):
            product *= max(map(stride, item.branches))
        elif isinstance(item, Tangle):
            product *= max(map(stride, ((layer,) for layer in item.layers)))
        elif isinstance(item, Layer) and (scaling := OPS[item.node.op].scaling(item.node.attrs)) is not None:
            product *= Fraction(scaling.down[0], scaling.up[0])
    return product


def series_of(graph: Graph, nodes: Sequence[Node], outputs: Iterable[Ref], shown: Shown) -> Found:
    """What leads to the outputs of some nodes; shortcuts are left out."""
    held = {node.path for node in nodes}
    ends = list(dict.fromkeys(ref.node for ref in outputs if ref.node in held)) or [nodes[-1].path]
    try:
        builder = _Builder(graph, nodes, shown)
        return Found(tuple(builder.to(ends)), frozenset(builder.shortcuts))
    except _NotSeriesParallel:
        found = tuple(Layer(node, graph.shape(node.inputs[0])) for node in nodes if shown(node))
        return Found((Tangle(found),) if len(found) > 1 else found)


class _Builder:
    """Finds series and parallels by dominators: what all ways to a node lead through."""

    def __init__(self, graph: Graph, nodes: Sequence[Node], shown: Shown) -> None:
        self.graph = graph
        self.nodes: dict[str, Node] = {node.path: node for node in nodes}
        self.shown = shown
        self.before: dict[str, list[str]] = {}  # "" is what enters
        self.through: dict[str, str] = {}
        self.depth = {"": 0}
        self.left = STEPS * (len(nodes) + 1)
        self.seen: set[str] = set()
        self.shortcuts: set[str] = set()
        self.source: dict[str, Ref] = {}
        """For each node the value of outside that its first operand comes from."""
        for node in nodes:
            before = list(dict.fromkeys(ref.node if ref.node in self.nodes else "" for ref in node.inputs)) or [""]
            self.before[node.path] = before
            first = node.inputs[0] if node.inputs else Ref(node.path)
            self.source[node.path] = self.source.get(first.node, first)
            self.through[node.path] = self._common(before)
            self.depth[node.path] = self.depth[self.through[node.path]] + 1

    def _common(self, paths: Sequence[str]) -> str:
        """The nearest node that all ways to all of these lead through; raises _NotSeriesParallel."""
        common = paths[0]
        for path in paths[1:]:
            while common != path:
                self._step()
                if self.depth[common] >= self.depth[path]:
                    common = self.through[common]
                else:
                    path = self.through[path]
        return common

    def _step(self) -> None:
        self.left -= 1
        if self.left < 0:
            raise _NotSeriesParallel

    def to(self, ends: Sequence[str]) -> list[Item]:
        """What leads from the beginning to some ends; raises _NotSeriesParallel."""
        start = self._common(ends)
        if len(ends) == 1:
            return self._between("", ends[0], 0)
        branches = [tuple(branch) for end in ends if (branch := self._between(start, end, 1))]
        outputs = [Parallel("concat", tuple(branches))] if len(branches) > 1 else branches[0] if branches else []
        return [*self._between("", start, 0), *outputs]

    def _between(self, start: str, end: str, level: int) -> list[Item]:
        """What leads from a node, which all ways to the end lead through, to the end."""
        if level > DEEPEST:
            raise _NotSeriesParallel
        found: list[Item] = []
        while end != start:
            self._step()
            node, through = self.nodes[end], self.through[end]
            if self.shown(node):
                if end in self.seen:
                    raise _NotSeriesParallel
                self.seen.add(end)
                found.append(Layer(node, self.graph.shape(node.inputs[0])))
            before = self.before[end]
            if len(before) > 1 and OPS[node.op].arity is not None:
                found += reversed(self._operands(node, through, level))
            elif len(before) > 1:
                branches = [self._between(through, path, level + 1) for path in before]
                found += reversed(self._joined(node, branches, through))
            end = through
        return found[::-1]

    def _operands(self, node: Node, through: str, level: int) -> list[Item]:
        """What leads to an op of several tensors: the first is the map, the others say where to look in it."""
        first, *others = self.before[node.path]
        asides = []
        for path in others:
            operand = next(
                i for i, ref in enumerate(node.inputs) if path == (ref.node if ref.node in self.nodes else "")
            )
            series = tuple(self._between(through, path, level + 1))
            if _weighted(series):
                asides.append(Aside([*inspect.signature(OPS[node.op].fn).parameters][operand], series))
        return [*self._between(through, first, level + 1), *asides]

    def _joined(self, join: Node, branches: Sequence[Sequence[Item]], through: str) -> list[Item]:
        """Branches as they are printed: without what is no layer, a gate as one layer, without projections."""
        full = [list(branch) for branch in branches if branch]
        if OPS[join.op].gates and len(branches) > 1 and set(join.shape[2:]) - {1}:
            gates = [branch for branch in full if _is_gate(branch)]
            if gates and len(gates) < len(branches):
                rest = self._joined(join, [branch for branch in branches if branch not in gates], through)
                return [*rest, *(Gate(tuple(_weighted(gate))) for gate in gates)]
        if join.op == "add":
            most = max((len(_weighted(branch)) for branch in full), default=0)
            main = [b for b in full if most < 2 or len(_weighted(b)) == most or not _is_projection(b)]
            shortcuts = [b for b in full if b not in main and (through or self._sources(b) <= self._sources(*main))]
            self.shortcuts.update(node.path for b in shortcuts for node in _weighted(b))
            full = [b for b in full if b not in shortcuts]
        if len(full) < 2:
            return full[0] if full else []
        return [Parallel(join.op, tuple(map(tuple, full)))]

    def _sources(self, *branches: Sequence[Item]) -> set[Ref]:
        """The values of outside that the layers of some branches come from."""
        return {self.source[node.path] for branch in branches for node in layers(tuple(branch))}


def _weighted(branch: Iterable[Item]) -> list[Node]:
    return [node for node in layers(tuple(branch)) if OPS[node.op].kind == "weights"]


def _is_gate(branch: Sequence[Item]) -> bool:
    """Whether a branch makes a number for each channel, from the whole map."""
    nodes = list(layers(tuple(branch)))
    if not all(isinstance(item, Layer) for item in branch):
        return False
    return bool(_weighted(branch)) and all(set(node.shape[2:]) <= {1} for node in nodes)


def _is_projection(branch: Sequence[Item]) -> bool:
    """Whether a branch is a shortcut: a 1x1 convolution or none, after a pooling or, as GhostNet, one depthwise."""
    weighted = _weighted(branch)
    dense = [node for node in weighted if not is_depthwise(node)]
    small = len(dense) < 2 and len(weighted) - len(dense) < 2
    pointwise = all(node.attrs.get("kernel") == (1, 1) for node in dense)
    return small and pointwise and all(isinstance(item, Layer) for item in branch)
