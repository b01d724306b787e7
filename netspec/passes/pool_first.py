"""Exchanges a 1x1 convolution and the average pool behind it, so that the convolution runs on the smaller map.

Both are linear and one acts on channels, the other on pixels: the mean of W x + b over a window is W times the mean
of x, plus b. In a transition of DenseNet (Huang et al. 2017, section 3) with its 2x2 pool of stride 2 the convolution
has a quarter of its multiply-accumulates then.
Case 1: a 1x1 `conv` of stride 1 without padding, whose value an average pool in the same scope alone reads; the pool
may be windowed, adaptive or global, and gives a smaller map, or does of larger ones: the network is that of others too.
Left alone: a pool that counts its padding after a convolution with a bias, which is not added to that padding; a
value that is an output or that a block gives by name.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from math import prod

from netspec.ir.graph import Graph, Node, Ref
from netspec.ir.module import Module
from netspec.ops import Tensor
from netspec.passes.base import Stage, graph_pass, within
from netspec.passes.rewriter import kept_values, readers, rewrite


@graph_pass(stage=Stage.INFERENCE, named=True, level=2, placed=True)
def pool_first(module: Module, only: Collection[str] | None = None) -> Module:
    """Exchanges each 1x1 convolution and the average pool behind it, so that the convolution reads the smaller map."""
    times = 0
    while pools := _found(module.graph, only):
        module = _exchanged(module, pools)
        times += len(pools)
    return replace(module, times=times) if times else module


def _exchanged(module: Module, pools: dict[str, Node]) -> Module:
    """The module with these pools, by path of the convolution before it, in front of that."""
    nodes, gone = module.graph.nodes, {pool.path: path for path, pool in pools.items()}

    def visit(node: Node, operands: Sequence[Tensor]) -> Node | Ref:
        if node.path in pools:
            return replace(node, inputs=(Ref(pools[node.path].path),))
        return Ref(gone[node.path]) if node.path in gone else node

    before = {path: [replace(pool, inputs=nodes[path].inputs)] for path, pool in pools.items()}
    return rewrite(module, visit, before=before)


def _found(graph: Graph, only: Collection[str] | None) -> dict[str, Node]:
    """The pools that are better first, by path of the convolution that they read; of a chain the last pair."""
    reading, kept = readers(graph), kept_values(graph)
    found: dict[str, Node] = {}
    for node in graph.nodes.values():
        read = reading.get(Ref(node.path), [])
        if node.op == "conv" and within(node.path, only) and len(read) == 1 and Ref(node.path) not in kept:
            if _exchangeable(node, read[0]):
                found[node.path] = read[0]
    return found


def _exchangeable(conv: Node, pool: Node) -> bool:
    a = conv.attrs
    if pool.op not in ("avg_pool", "adaptive_avg_pool", "global_avg_pool"):
        return False
    if (a["kernel"], a["stride"]) != ((1, 1), (1, 1)) or any(a["pad"]):
        return False
    counts_pad = any(pool.attrs.get("pad", ())) and pool.attrs["count_pad"]
    before, after = (prod(map(int, node.shape[2:])) for node in (conv, pool))
    smaller = after < before or (after == before and pool.attrs.get("stride") != (1, 1))
    return smaller and not (counts_pad and a["bias"]) and conv.path.rpartition(".")[0] == pool.path.rpartition(".")[0]
