"""Which steps may overwrite their operand, as a person writes `inplace=True`: the memory of one map is spared.

A value is overwritten where a layer of the same block has just made it, nothing else reads it and no gradient needs it.
"""

from __future__ import annotations

from collections import Counter

from netspec.ir.graph import Graph, Node, Ref
from netspec.ir.scope_tree import Region

FRESH = frozenset({"conv", "conv_transpose", "linear", "batch_norm", "add", "concat"})
"""Ops whose result is no view of anything, and whose gradient does not need it."""
PASSING = frozenset({"drop_path", "dropout"})
"""Ops that give their operand itself, or something fresh."""


class InPlace:
    """What may be overwritten in one graph."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.reads = Counter(ref for node in graph.nodes.values() for ref in node.inputs)
        self.reads.update(output.ref for output in graph.outputs.values())

    def allowed(self, node: Node, region: Region) -> bool:
        """Whether a step in a region may overwrite its first operand."""
        first = node.inputs[0]
        if float(node.attrs.get("slope", 0)) < 0 or self.graph.shape(first) != node.shape:
            return False
        return self._fresh(first, region)

    def _fresh(self, ref: Ref, region: Region) -> bool:
        """Whether a value was made in the region for one reader alone."""
        made = self.graph.nodes[ref.node]
        inside = not region.path or ref.node.startswith(f"{region.path}.")
        if not inside or self.reads[ref] != 1:
            return False
        if made.op in PASSING:
            return self._fresh(made.inputs[0], region)
        return made.op in FRESH and len(made.shapes) == 1 and (made.op != "add" or len(made.inputs) > 1)
