"""A module: a graph, and how each of its weights is made of the stored ones."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from math import prod
from typing import TYPE_CHECKING

from netspec.ir.graph import Graph, GraphError
from netspec.ops import Shape

if TYPE_CHECKING:
    import numpy as np

Stored = Callable[[str], "np.ndarray"]
"""Gives a weight as it was drawn or read, by the key that it had before any pass."""


@dataclass(frozen=True, slots=True)
class Scaled:
    """A stored tensor with a factor for each part along its first axis."""

    key: str
    factors: Callable[[Stored], np.ndarray]
    """All of them, as a vector of float32."""


@dataclass(frozen=True, slots=True)
class Weight:
    """A tensor that is not made yet: its shape, and what makes it of the stored ones (all are float32)."""

    shape: Shape
    make: Callable[[Stored], np.ndarray]
    scaled: Scaled | None = None
    """What it is, where it is one stored tensor that is scaled: it can be made piece by piece."""

    @classmethod
    def of(cls, key: str, shape: Shape) -> Weight:
        """The stored tensor of that key, as it is."""
        return cls(shape, lambda stored: stored(key))

    def reshaped(self, shape: Shape) -> Weight:
        """The same numbers, in row-major order, in another shape; raises GraphError for another count."""
        if prod(map(int, self.shape)) != prod(map(int, shape)):
            raise GraphError(f"a weight of shape {self.shape} cannot be reshaped to {shape}")
        sizes, make = tuple(map(int, shape)), self.make
        return Weight(shape, lambda stored: make(stored).reshape(sizes))


@dataclass(frozen=True, slots=True)
class Module:
    """A graph with its weights; one that is not `computed` is the stored tensor of its key."""

    graph: Graph
    computed: Mapping[str, Weight] = field(default_factory=dict)
    times: int = field(default=0, compare=False)
    """How often the pass that made it found what it looks for."""

    def weight(self, key: str, shape: Shape) -> Weight:
        """The weight of a key of the graph, which has this shape there."""
        return self.computed.get(key) or Weight.of(key, shape)

    def check(self, before: Module) -> Module:
        """Proves what a pass has made of the module before it, its weights too; returns itself; raises GraphError.

        A weight is computed, or it is one that was there before.
        """
        if self is before:
            return self
        nodes, known = before.graph.nodes, None
        for node in self.graph.check().nodes.values():
            old = nodes.get(node.path)
            if old is not None and (old.weights_at, old.result) == (node.weights_at, node.result) and not self.computed:
                continue
            if known is None:
                known = {key: shape for key, (shape, _, _) in before.graph.tensors().items()}
            for key, shape, _ in node.tensors():
                actual = self.computed[key].shape if key in self.computed else known.get(key)
                if actual != shape:
                    problem = "is not there" if actual is None else f"has the shape {actual}"
                    raise GraphError(f"the weight {key} of shape {shape} {problem}")
        if self.computed and (left := self.computed.keys() - self.graph.tensors().keys()):
            raise GraphError(f"the weight {min(left)} is computed, but no node has it")
        return self
