"""Joins the groups of a convolution until each has 16 channels, which fill the vectors of the processor.

Case 1: a `conv` of several groups with fewer channels each, in or out: the fewest groups whose channels make a multiple
of 16 are one, at most four; its weight has zeros between them, so that the sums are the same.
onnxruntime keeps maps in blocks of 16 channels on a processor with AVX-512, and computes grouped convolutions fast if
groups are whole blocks: otherwise it takes a slow way, and reorders the map before it and behind it.
Left alone: depthwise convolutions, which have a fast way of their own; a count of groups that the joined ones do not
divide; layers that share weights.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from netspec.ir.graph import Node
from netspec.ir.module import Module, Stored, Weight
from netspec.ops import Tensor
from netspec.passes.base import Stage, graph_pass, within
from netspec.passes.merging import weight_of
from netspec.passes.rewriter import rewrite, sharing

if TYPE_CHECKING:
    import numpy as np

BLOCK = 16
"""The numbers of float32 in a vector of AVX-512."""
MOST = 4
"""The most groups that become one: so often it has the multiply-accumulates of before."""


@graph_pass(stage=Stage.INFERENCE, named=True, placed=True)
def widen_groups(module: Module, only: Collection[str] | None = None) -> Module:
    """Joins groups of a convolution, with zeros between them, until each has a multiple of 16 channels."""
    owners = sharing(module.graph)
    found: dict[str, int] = {
        node.path: count
        for node in module.graph.nodes.values()
        if node.op == "conv" and within(node.path, only) and owners[node.weights_at] == 1 and (count := _joined(node))
    }

    def visit(node: Node, operands: Sequence[Tensor]) -> Node:
        if node.path not in found:
            return node
        return replace(node, attrs={**node.attrs, "groups": node.attrs["groups"] // found[node.path]})

    nodes = module.graph.nodes
    weights = {path: {"weight": _wide(module, nodes[path], count)} for path, count in found.items()}
    return rewrite(module, visit, weights=weights, times=len(found))


def _joined(node: Node) -> int:
    """How many groups of a convolution are to be one; 0 where it stays."""
    groups, (out, of_group) = node.attrs["groups"], map(int, node.result.weights["weight"][:2])
    each = (of_group, out // groups)
    if groups == 1 or each == (1, 1) or not any(channels % BLOCK for channels in each):
        return 0
    counts = (n for n in range(2, MOST + 1) if groups % n == 0 and not any(n * channels % BLOCK for channels in each))
    return next(counts, 0)


def _wide(module: Module, node: Node, count: int) -> Weight:
    """The weight of a convolution whose groups are joined, `count` to one."""
    before = weight_of(module, node)
    out, of_group, *kernel = before.shape
    rows = int(out) // node.attrs["groups"]
    return Weight((out, count * int(of_group), *kernel), partial(_spread, before, count, rows))


def _spread(before: Weight, count: int, rows: int, stored: Stored) -> np.ndarray:
    """Each group, which has so many rows, behind zeros for those before it that are joined with it."""
    import numpy as np

    small = before.make(stored)
    places = np.arange(len(small))
    wide = np.zeros((len(small), count, *small.shape[1:]), np.float32)
    wide[places, places // rows % count] = small
    return wide.reshape(len(small), -1, *small.shape[2:])
