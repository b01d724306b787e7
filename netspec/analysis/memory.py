"""Memory of activations at inference: which values are alive while each step runs, in the order of the spec."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set

from netspec.ir.graph import Graph, Node, Ref
from netspec.ir.scope_tree import Region, tree
from netspec.ops import OPS
from netspec.ops.base import Applied
from netspec.ops.memory import elements

Line = tuple[Node | Region, Sequence[Ref], Sequence[Ref]]
"""A step of a function: what runs, what it reads and what it gives."""


def alive(graph: Graph) -> dict[str, int]:
    """Of every node, the bytes of all values that are alive while it runs, in float32 for one image.

    A block is a function, as in the PyTorch source, and its caller holds what it gives to it. A chain of steps holds
    one value at a time. In all else a value is let go when the next step replaces it, or, where more than the next
    step reads it, when its block is left. What only shows a part of a value, as `flatten` does, takes no memory.
    """
    run = _Run(graph)
    for node in graph.inputs:  # whoever calls the network holds them
        run.hold(Ref(node.path))
    run.function(tree(graph), [output.ref for output in graph.outputs.values()])
    return run.during


class _Run:
    """One pass over the graph, function by function."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.holders: Counter[Ref] = Counter()
        self.now = 0
        self.during: dict[str, int] = {}
        self.homes = homes(graph)
        self.functions: dict[str, bool] = {}

    def hold(self, ref: Ref) -> None:
        """One more holder of a value."""
        home = self.homes[ref]
        if not self.holders[home]:
            self.now += 4 * elements(self.graph.shape(home))
        self.holders[home] += 1

    def drop(self, ref: Ref) -> None:
        """One holder less; the last one frees it."""
        home = self.homes[ref]
        self.holders[home] -= 1
        if not self.holders[home]:
            self.now -= 4 * elements(self.graph.shape(home))

    def function(self, region: Region, gives: Sequence[Ref]) -> None:
        """Runs the body of a block with its own variables; what it gives is held once more than before."""
        lines = list(self.lines(region.items))
        last = {ref: index for index, (_, reads, _) in enumerate(lines) for ref in reads}
        last |= dict.fromkeys(gives, len(lines))
        main = region.inputs[0] if len(region.inputs) == 1 else None  # what the variable of the main path holds
        short: Ref | None = None  # what the variable beside it holds, which the next step alone reads
        held: dict[Ref, None] = {}
        for index, (step, reads, made) in enumerate(lines):
            self.run(step, reads)
            follows = lines[index + 1][1] if index + 1 < len(lines) else gives
            free = main is None or last.get(main, -1) <= index
            if len(made) == 1 and free and list(follows[:1]) == list(made):
                self.replace(main, held)
                main = made[0]
            elif len(made) == 1 and list(follows) == list(made) and last.get(made[0]) == index + 1 < len(lines):
                self.replace(short, held)
                short = made[0]
            held |= dict.fromkeys(made)
        for ref in gives:
            self.hold(ref)
        for ref in held:
            self.drop(ref)

    def replace(self, old: Ref | None, held: dict[Ref, None]) -> None:
        """Lets go of what a variable held, as another value takes it."""
        if old is not None and old in held:
            del held[old]
            self.drop(old)

    def run(self, step: Node | Region, reads: Sequence[Ref]) -> None:
        """Runs a step; what it gives is held once."""
        if isinstance(step, Node):
            for index in range(len(step.shapes)):
                self.hold(Ref(step.path, index))
            scratch = OPS[step.op].memory.scratch(_applied(self.graph, step))
            self.during[step.path] = self.now + 4 * scratch
        elif self.is_function(step):
            for ref in reads:
                self.hold(ref)
            self.function(step, step.outputs)
            for ref in reads:
                self.drop(ref)
        else:
            self.chain(step)

    def chain(self, region: Region) -> None:
        """Runs steps of which each takes what the one before gave."""
        now = region.inputs[0]
        self.hold(now)
        for item in region.items:
            self.run(item, [now])
            self.drop(now)
            now = Ref(item.path) if isinstance(item, Node) else item.outputs[0]

    def lines(self, items: Iterable[Node | Region]) -> Iterator[Line]:
        """The steps of a function; what is neither a block nor a chain is written into it."""
        for item in items:
            if isinstance(item, Node):
                if item.op != "input":
                    yield item, item.inputs, [Ref(item.path, index) for index in range(len(item.shapes))]
            elif item.outputs and (self.is_function(item) or self.chains(item)):
                yield item, item.inputs, item.outputs
            else:
                yield from self.lines(item.items)

    def chains(self, region: Region) -> bool:
        """Whether it is a chain: each item a layer that reads the value before it alone, the last gives its value."""
        if len(region.inputs) != 1 or len(region.outputs) != 1 or region.scope.weights_at != region.path:
            return False
        now = region.inputs[0]
        for item in region.items:
            if isinstance(item, Node):
                layer = OPS[item.op].memory.layer(_applied(self.graph, item))
                if not layer or item.inputs != (now,):
                    return False
                now = Ref(item.path)
            else:
                if item.inputs != (now,) or len(item.outputs) != 1:
                    return False
                if not (self.is_function(item) if item.scope.kind == "block" else self.chains(item)):
                    return False
                now = item.outputs[0]
        return now == region.outputs[0]

    def is_function(self, region: Region) -> bool:
        """Whether it is a block whose weights stand together; one that shares some is written into its caller."""
        if region.path not in self.functions:
            home = f"{region.scope.weights_at}."
            self.functions[region.path] = region.scope.kind == "block" and all(
                node.weights_at.startswith(home) for node in region.nodes() if node.result.weights or node.result.stats
            )
        return self.functions[region.path]


def learning(graph: Graph) -> set[str]:
    """The nodes through which a gradient leads to some weight; what is done to the image before any keeps nothing."""
    found: set[str] = set()
    for node in graph.nodes.values():
        if node.result.weights or any(ref.node in found for ref in node.inputs):
            found.add(node.path)
    return found


def kept(graph: Graph, nodes: Iterable[Node], homes: Mapping[Ref, Ref], learning: Set[str]) -> int:
    """Bytes that training keeps of some nodes until their gradients are computed, in float32 for one image.

    It is what PyTorch's autograd saves, weights and statistics apart: a convolution keeps its operand, ReLU its
    result, a sum nothing. A value that several of them keep counts once. `homes` and `learning` are those of the graph.
    """
    values: set[Ref] = set()
    more = 0
    for node in nodes:
        if node.path not in learning:
            continue
        found = OPS[node.op].memory.keeps(_applied(graph, node))
        values |= {homes[node.inputs[index]] for index in found.operands}
        values |= {homes[Ref(node.path)]} if found.result else set()
        more += found.more
    return 4 * (more + sum(elements(graph.shape(ref)) for ref in values))


def homes(graph: Graph) -> dict[Ref, Ref]:
    """Of every value, the one in whose memory it lies: its own, or that of what it is a view of."""
    found: dict[Ref, Ref] = {}
    for node in graph.nodes.values():
        view = OPS[node.op].memory.view(_applied(graph, node))
        for index in range(len(node.shapes)):
            own = Ref(node.path, index)
            found[own] = found[node.inputs[0]] if view else own
    return found


def _applied(graph: Graph, node: Node) -> Applied:
    return Applied(node.attrs, [graph.shape(ref) for ref in node.inputs], node.result)
