"""Arrays that are made when they are asked for, so that a network's weights need not be in memory at once."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from math import prod

import numpy as np

from netspec.ir.module import Module

AHEAD = 64 * 2**20
"""Bytes of arrays that are made before their turn."""


@dataclass(frozen=True, slots=True)
class Lazy:
    """An array that is not made yet."""

    shape: tuple[int, ...]
    dtype: np.dtype[np.generic]
    make: Callable[[], np.ndarray]

    @property
    def nbytes(self) -> int:
        """The bytes that it will take."""
        return prod(self.shape) * self.dtype.itemsize


class Arrays(Mapping[str, np.ndarray]):
    """Arrays by key; one is made each time that it is asked for, and what it was asked for is all that holds it."""

    def __init__(self, lazy: Mapping[str, Lazy]) -> None:
        self.lazy = dict(lazy)

    def __getitem__(self, key: str) -> np.ndarray:
        return self.lazy[key].make()

    def __iter__(self) -> Iterator[str]:
        return iter(self.lazy)

    def __len__(self) -> int:
        return len(self.lazy)

    def __contains__(self, key: object) -> bool:
        return key in self.lazy

    def __or__(self, others: Arrays) -> Arrays:
        return Arrays(self.lazy | others.lazy)

    def all(self) -> dict[str, np.ndarray]:
        """All of them at once, made on all cores."""
        with ThreadPoolExecutor() as pool:  # numpy draws outside the interpreter's lock
            return dict(zip(self.lazy, pool.map(self.__getitem__, self.lazy), strict=True))


def computed(module: Module, stored: Arrays) -> Arrays:
    """The weights of a module, each made of the stored ones when it is asked for."""
    if not module.computed:
        return stored
    lazy: dict[str, Lazy] = {}
    for key, (shape, _, _) in module.graph.tensors().items():
        if key in module.computed:
            make = partial(module.computed[key].make, stored.__getitem__)
            lazy[key] = Lazy(tuple(map(int, shape)), np.dtype(np.float32), make)
        else:
            lazy[key] = stored.lazy[key]
    return Arrays(lazy)


def shape_of(arrays: Mapping[str, np.ndarray], key: str) -> tuple[int, ...] | None:
    """The shape of an array, which is not made for it; None where there is none."""
    if isinstance(arrays, Arrays):
        return arrays.lazy[key].shape if key in arrays.lazy else None
    return arrays[key].shape if key in arrays else None


@contextmanager
def in_turn(arrays: Mapping[str, np.ndarray], keys: Iterable[str]) -> Iterator[Callable[[], np.ndarray]]:
    """A function that gives the arrays of the keys one after the other; small ones are made ahead, on all cores.

    Nothing here holds an array that was given: who drops one before it asks for the next has one large one at a time.
    """
    if not isinstance(arrays, Arrays):
        left = iter(keys)
        yield lambda: arrays[next(left)]
        return
    waiting = deque(arrays.lazy[key] for key in keys)
    begun: deque[tuple[Future[np.ndarray], int]] = deque()
    with ThreadPoolExecutor() as pool:

        def take() -> np.ndarray:
            if not begun and waiting[0].nbytes > AHEAD:
                return waiting.popleft().make()
            while waiting and sum(size for _, size in begun) + waiting[0].nbytes <= AHEAD:
                begun.append((pool.submit(waiting[0].make), waiting.popleft().nbytes))
            return begun.popleft()[0].result()

        try:
            yield take
        finally:
            pool.shutdown(cancel_futures=True)
