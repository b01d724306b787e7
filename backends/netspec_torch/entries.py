"""What a state dict of the source holds, as arrays."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from netspec.diagnostics.errors import DataError
from netspec.ir.graph import Graph
from netspec.passes.drop_heads import without_heads
from netspec.weights.lazy import in_turn, shape_of
from netspec_torch.lowering import row_of


def layout(graph: Graph, arrays: Mapping[str, np.ndarray]) -> dict[str, tuple[int, ...] | None]:
    """The keys and shapes of the state dict, None for counters; raises DataError for what is missing."""
    found: dict[str, tuple[int, ...] | None] = {}
    for key, (shape, _, node) in graph.tensors().items():
        if shape_of(arrays, key) != tuple(shape):
            raise DataError(
                "NS602",
                f"the weight '{key}' is missing, or of another shape",
                f"it is {'x'.join(map(str, shape)) or 'one number'}",
            )
        found[key] = tuple(map(int, shape))
        if node.result.stats and key.rpartition(".")[2] == [*node.result.stats][-1]:
            found |= {f"{node.weights_at}.{name}": None for name in row_of(node).counters}
    return found


def entries(graph: Graph, arrays: Mapping[str, np.ndarray], copied: bool) -> Iterator[tuple[str, np.ndarray]]:
    """Every tensor once, float32, and counters; raises DataError for what is missing.

    Uncopied they may be the pages of a checkpoint's file, which are good until that is written to.
    """
    keys = layout(graph, arrays)
    with in_turn(arrays, (key for key, shape in keys.items() if shape is not None)) as take:
        for key, shape in keys.items():
            if shape is None:
                yield key, np.array(0, np.int64)
            else:
                yield key, (np.array if copied else np.asarray)(take(), np.float32)


def held(graph: Graph, arrays: Mapping[str, np.ndarray]) -> Graph:
    """The graph without the nodes whose weights are not given (heads that are left out)."""
    return graph if all(key in arrays for key in graph.tensors()) else without_heads(graph)
