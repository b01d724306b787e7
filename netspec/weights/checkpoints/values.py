"""The values of a checkpoint's tensors as float32, and what is odd about them."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from netspec.diagnostics.errors import DataError, Diagnostic
from netspec.weights.checkpoints.account import Shape
from netspec.weights.checkpoints.stored import Stored
from netspec.weights.lazy import Lazy

_FIRST = 5


class Oddities:
    """Collects what is not a usual weight, tensor by tensor."""

    def __init__(self) -> None:
        self.nan: list[str] = []
        self.infinite: list[str] = []
        self.negative: list[str] = []

    def look(self, path: str, low: float, high: float) -> None:
        """Notes a tensor by its smallest and largest value, which are NaN where one of its values is."""
        if low != low or high != high:
            self.nan.append(path)
        elif low == -float("inf") or high == float("inf"):
            self.infinite.append(path)
        elif low < 0 and path.rpartition(".")[2] == "running_var":
            self.negative.append(path)

    def warnings(self) -> list[Diagnostic]:
        """One warning for each kind, which names the first tensors."""
        kinds = ((self.nan, "NaN"), (self.infinite, "infinite values"), (self.negative, "negative variances"))
        return [
            Diagnostic(
                "NS604",
                f"the checkpoint has {what} in {_first(paths)}",
                severity="warning",
                hint="the network will give no numbers where they are used: is the training sound?",
            )
            for paths, what in kinds
            if paths
        ]


def _first(paths: list[str]) -> str:
    more = f", and {len(paths) - _FIRST:,} more" if len(paths) > _FIRST else ""
    return ", ".join(paths[:_FIRST]) + more


def examine(tensors: Mapping[str, Stored], keys: Mapping[str, str]) -> list[Diagnostic]:
    """Reads the tensors of a network, by path, one after the other; gives warnings.

    Raises DataError for a value that float32 cannot hold.
    """
    odd = Oddities()
    for path, tensor in tensors.items():
        array = tensor.read()
        low, high = (float(array.min()), float(array.max())) if array.size else (0.0, 0.0)
        odd.look(path, low, high)
        if array.dtype.itemsize > 4 and _beyond(array):
            raise DataError(
                "NS602",
                f"{keys[path]} has {array.dtype} values beyond float32's 3.4e38",
                "a network's weights are float32",
            )
        del array  # before the next one is read: each may be large
    return odd.warnings()


def _beyond(array: np.ndarray) -> bool:
    """Whether a finite value becomes infinite in float32."""
    size = np.abs(array)
    with np.errstate(over="ignore", invalid="ignore"):
        return bool(np.isinf(size[np.isfinite(size)].astype(np.float32)).any())


def lazily(tensor: Stored, shape: Shape) -> Lazy:
    """A tensor as float32 in the network's shape, read when it is asked for."""

    def make() -> np.ndarray:
        return np.ascontiguousarray(tensor.read(), np.float32).reshape(shape)

    return Lazy(shape, np.dtype(np.float32), make)
