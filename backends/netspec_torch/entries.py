"""What a state dict of the source holds, as arrays."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from netspec.errors import DataError
from netspec.graph import Graph


def entries(graph: Graph, arrays: Mapping[str, np.ndarray]) -> Iterator[tuple[str, np.ndarray]]:
    """Every tensor once, float32, and batch norm's counters; raises DataError where one is missing, or misshapen."""
    for key, (shape, _, node) in graph.tensors().items():
        if key not in arrays or arrays[key].shape != tuple(shape):
            raise DataError("NS602", f"the weight '{key}' is missing, or of another shape")
        yield key, np.array(arrays[key], np.float32)
        if node.op == "batch_norm" and key.endswith(".running_var"):
            yield f"{node.weights_at}.num_batches_tracked", np.array(0, np.int64)


def held(graph: Graph, arrays: Mapping[str, np.ndarray]) -> Graph:
    """The graph without the nodes whose weights are not given (heads that are left out)."""
    from netspec.passes.drop_heads import drop_heads

    return graph if all(key in arrays for key in graph.tensors()) else drop_heads(graph)
