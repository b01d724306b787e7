"""Writes a convolution of a concatenation as the sum of convolutions of what is concatenated.

A convolution adds over its input channels, so W [a, b] is W_a a + W_b b, where each part of the weight has the channels
of one value. The concatenation copies all of what it joins; the sum is of what the convolution gives, which is smaller
where it squeezes, as in SqueezeNet (Iandola et al. 2016, figure 2), and most runtimes add while they convolve.
Case 1: a `concat` of maps that ungrouped convolutions alone read.
Case 2: with pools between: a pool acts on each channel, so each value is pooled by itself.
Left alone: a concatenation that something else reads, that is an output or that a block gives by name; layers that
share weights.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

from netspec.ir.graph import Graph, Node, Ref
from netspec.ir.module import Module, Stored, Weight
from netspec.ops import Tensor
from netspec.passes.base import Stage, graph_pass, within
from netspec.passes.merging import weight_of
from netspec.passes.rewriter import free_path, kept_values, new_node, readers, rewrite, sharing, without

if TYPE_CHECKING:
    import numpy as np

POOLS = ("max_pool", "avg_pool", "global_avg_pool", "global_max_pool", "adaptive_avg_pool")
"""Ops that act on each channel alike."""


@dataclass(frozen=True, slots=True)
class Found:
    """A concatenation, and each convolution that reads it with the pool between, if there is one."""

    concat: Node
    convs: Sequence[tuple[Node, Node | None]]


@graph_pass(stage=Stage.INFERENCE, named=True, placed=True)
def concat_as_sum(module: Module, only: Collection[str] | None = None) -> Module:
    """Writes each convolution of a concatenation as the sum of convolutions of what is concatenated."""
    times = 0
    while found := _found(module.graph, only):
        module, times = _summed(module, found), times + len(found)
    return replace(module, times=times) if times else module


def _found(graph: Graph, only: Collection[str] | None) -> list[Found]:
    """The concatenations of maps that only convolutions read, at once or behind a pool."""
    reading, kept, owners = readers(graph), kept_values(graph), sharing(graph)

    def fits(node: Node) -> bool:
        return node.op == "conv" and node.attrs["groups"] == 1 and owners[node.weights_at] == 1

    def convs_of(concat: Node) -> Iterator[tuple[Node, Node | None] | None]:
        """Each convolution with the pool before it; None for anything else that reads the concatenation."""
        for reader in reading.get(Ref(concat.path), [concat]):
            pool = reader if reader.op in POOLS and Ref(reader.path) not in kept else None
            for node in [reader] if pool is None else reading.get(Ref(pool.path), [pool]):
                yield (node, pool) if fits(node) else None

    found = []
    for node in graph.nodes.values():
        if node.op == "concat" and within(node.path, only) and len(node.shape) == 4 and Ref(node.path) not in kept:
            convs = list(convs_of(node))
            if None not in convs:
                found.append(Found(node, [pair for pair in convs if pair is not None]))
    return found


def _summed(module: Module, found: Sequence[Found]) -> Module:
    """The module with sums in place of these concatenations."""
    before: dict[str, list[Node]] = {}
    weights: dict[str, dict[str, Weight]] = {}
    sums: dict[str, tuple[Ref, ...]] = {}
    for one in found:
        for conv, pool in one.convs:
            values = one.concat.inputs
            if pool is not None:
                values = tuple(Ref(path) for path in _pools(module.graph, pool, values, before))
            parts = _parts(module.graph, conv, values)
            before[conv.path], sums[conv.path] = parts, tuple(Ref(part.path) for part in parts)
            weights |= _weights(module, conv, parts, one.concat)

    def visit(node: Node, operands: Sequence[Tensor]) -> Node:
        if node.path not in sums:
            return node
        return replace(node, op="add", inputs=sums[node.path], attrs={}, weights_at=node.path)

    gone = {one.concat.path for one in found} | {
        pool.path for one in found for _, pool in one.convs if pool is not None
    }
    return without(rewrite(module, visit, weights=weights, before=before), gone)


def _pools(graph: Graph, pool: Node, values: Sequence[Ref], before: dict[str, list[Node]]) -> list[str]:
    """The paths of pools of each value, which stand before the one of all of them."""
    if pool.path not in before:
        before[pool.path] = [
            new_node(free_path(graph, f"{pool.path}_part{i}"), pool.op, [value], pool.attrs, pool)
            for i, value in enumerate(values, 1)
        ]
    return [node.path for node in before[pool.path]]


def _parts(graph: Graph, conv: Node, values: Sequence[Ref]) -> list[Node]:
    """The convolutions of each value, of which the first adds the bias."""
    return [
        new_node(
            free_path(graph, f"{conv.path}_part{i}"),
            "conv",
            [value],
            {**conv.attrs, "bias": conv.attrs["bias"] and i == 1},
            conv,
        )
        for i, value in enumerate(values, 1)
    ]


def _weights(module: Module, conv: Node, parts: Sequence[Node], concat: Node) -> Mapping[str, dict[str, Weight]]:
    """The tensors of the parts, by their paths."""
    whole, start, made = weight_of(module, conv), 0, dict[str, dict[str, Weight]]()
    for part, ref in zip(parts, concat.inputs, strict=True):
        channels = int(module.graph.shape(ref)[1])
        shape = (whole.shape[0], channels, *whole.shape[2:])
        made[part.path] = {"weight": Weight(shape, partial(_channels, whole, start, start + channels))}
        start += channels
    if conv.attrs["bias"]:
        made[parts[0].path]["bias"] = weight_of(module, conv, "bias")
    return made


def _channels(whole: Weight, start: int, stop: int, stored: Stored) -> np.ndarray:
    """The part of a weight that reads some input channels."""
    return whole.make(stored)[:, start:stop].copy()
