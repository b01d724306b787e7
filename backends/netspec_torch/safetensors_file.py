"""Writes a state dict as .safetensors, which needs no torch."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from netspec.files import write_bytes
from netspec.graph import Graph
from netspec.optional import importing
from netspec_torch.entries import entries, held


def save(graph: Graph, arrays: Mapping[str, np.ndarray], target: Path) -> Path:
    """Writes the weights that are given; raises UsageError, DataError, MissingError."""
    with importing("writing weights as safetensors", "safetensors"):
        from safetensors.numpy import save as packed
    return write_bytes(target, packed(dict(entries(held(graph, arrays), arrays))))
