"""What a graph costs: parameters, multiply-accumulates, neurons, memory, by any part of it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from netspec.ir.graph import Graph, Node
from netspec.ops import OPS
from netspec.ops.base import Applied


@dataclass(frozen=True, slots=True)
class Totals:
    """The cost of some nodes."""

    params: int
    stats: int
    """Elements of running statistics, which are not trained."""
    macs: int
    uncounted: tuple[str, ...]
    """Ops whose MACs no rule counts."""


def totals(nodes: Iterable[Node]) -> Totals:
    """The cost of nodes; shared weights count once."""
    seen: set[str] = set()
    params = stats = macs = 0
    uncounted: set[str] = set()
    for node in nodes:
        if node.result.macs is None:
            uncounted.add(node.op)
        macs += node.result.macs or 0
        for key, shape, trained in node.tensors():
            if key not in seen:
                seen.add(key)
                size = math.prod(map(int, shape))
                params, stats = (params + size, stats) if trained else (params, stats + size)
    return Totals(params, stats, macs, tuple(sorted(uncounted)))


def weights_of(
    nodes: Iterable[Node], biases: bool = True, norms: bool = True, statistics: bool = False
) -> Iterator[tuple[int, ...]]:
    """The sizes of each weight as a paper counts them: without biases of layers, without norms, with their statistics.

    Shared weights count once.
    """
    seen: set[str] = set()
    for node in nodes:
        kind = OPS[node.op].kind
        for key, shape, trained in node.tensors():
            left_out = (kind == "norm" and not norms) or (
                kind == "weights" and not biases and key.rpartition(".")[2] == "bias"
            )
            if key not in seen and not left_out and (trained or statistics):
                seen.add(key)
                yield tuple(map(int, shape))


def params(nodes: Iterable[Node], biases: bool = True, norms: bool = True, statistics: bool = False) -> int:
    """Parameters of nodes, counted as `weights_of` does."""
    return sum(map(math.prod, weights_of(nodes, biases, norms, statistics)))


def mac_factors(node: Node) -> tuple[tuple[int, ...], tuple[int, ...]] | None:
    """The outputs of a convolution or linear layer, (C, H, W) or (F), and the weights that each takes.

    Their product is its MACs; None where they are no such product.
    """
    macs, weight = node.result.macs, node.result.weights.get("weight", ())
    outputs, each = tuple(map(int, node.shape[1:])), tuple(map(int, weight[1:]))
    return (outputs, each) if macs and each and macs == math.prod(outputs) * math.prod(each) else None


def neurons(nodes: Iterable[Node]) -> int:
    """Outputs of the layers that have weights, as Krizhevsky et al. 2012 count neurons (without the input)."""
    return sum(math.prod(map(int, n.shape[1:])) for n in nodes if OPS[n.op].kind == "weights")


def activations(nodes: Iterable[Node]) -> int:
    """Bytes of what nodes give, in float32 at batch 1."""
    return sum(4 * math.prod(map(int, shape[1:])) for node in nodes for shape in node.shapes)


def traffic(graph: Graph, nodes: Iterable[Node]) -> int:
    """Bytes that nodes read and write, each its operands, weights and results once, in float32 at batch 1."""
    moved = 0
    for node in nodes:
        operands = [graph.shape(ref) for ref in node.inputs]
        if operands and not OPS[node.op].memory.view(Applied(node.attrs, operands, node.result)):
            moved += sum(math.prod(map(int, shape[1:])) for shape in (*operands, *node.shapes))
            moved += sum(math.prod(map(int, shape)) for _, shape, _ in node.tensors())
    return 4 * moved
