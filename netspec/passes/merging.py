"""Weights that passes make of those of several layers; each is made when it is written."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING

from netspec.ir.graph import Node
from netspec.ir.module import Module, Stored, Weight
from netspec.ops import Shape

if TYPE_CHECKING:
    import numpy as np


def weight_of(module: Module, node: Node, name: str = "weight") -> Weight:
    """A tensor of a node; a bias that it does not have is zeros."""
    tensors = {**node.result.weights, **node.result.stats}
    if name in tensors:
        return module.weight(f"{node.weights_at}.{name}", tensors[name])
    return zero((node.shape[1],))


def zero(shape: Shape) -> Weight:
    """A tensor of zeros."""
    return Weight(shape, partial(_zeros, tuple(map(int, shape))))


def joined(weights: Sequence[Weight], axis: int) -> Weight:
    """Tensors one after the other along an axis."""
    first = weights[0].shape
    length = sum(int(weight.shape[axis]) for weight in weights)
    shape = (*first[:axis], length, *first[axis + 1 :])
    return Weight(shape, partial(_joined, [weight.make for weight in weights], axis))


def summed(weights: Sequence[Weight]) -> Weight:
    """The sum of tensors of one shape."""
    return weights[0] if len(weights) == 1 else Weight(weights[0].shape, partial(_summed, weights))


def _zeros(shape: tuple[int, ...], stored: Stored) -> np.ndarray:
    import numpy as np

    return np.zeros(shape, np.float32)


def _joined(makes: Sequence[Callable[[Stored], np.ndarray]], axis: int, stored: Stored) -> np.ndarray:
    import numpy as np

    return np.concatenate([make(stored) for make in makes], axis)


def _summed(weights: Sequence[Weight], stored: Stored) -> np.ndarray:
    total = weights[0].make(stored)
    for weight in weights[1:]:
        total = total + weight.make(stored)
    return total
