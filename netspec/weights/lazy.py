"""Arrays that are made when they are asked for, so that a network's weights need not be in memory at once."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from math import prod
from queue import SimpleQueue
from threading import Semaphore
from typing import TypeAlias

import numpy as np

from netspec.ir.module import Module, Scaled

AHEAD = 128 * 2**20
"""Bytes of arrays that are made before their turn."""
PIECE = 2**18
"""Numbers of a piece: it stays in a processor's cache between being drawn, scaled and written."""

Fill: TypeAlias = Callable[[np.ndarray], None]
"""Writes the next numbers of an array, in order, into a flat array of any length."""


@dataclass(frozen=True, slots=True)
class Lazy:
    """An array that is not made yet."""

    shape: tuple[int, ...]
    dtype: np.dtype[np.generic]
    make: Callable[[], np.ndarray]
    filling: Callable[[], Fill] | None = None
    """Begins it anew, to be made piece by piece; None for what can only be made as a whole."""

    def pieces(self) -> Iterator[np.ndarray]:
        """Its numbers in order, as flat arrays of `PIECE` at most, which nothing here holds."""
        size = prod(self.shape)
        if self.filling is None:
            yield from _split(self.make())
            return
        fill = self.filling()
        for start in range(0, size, PIECE):
            piece = np.empty(min(PIECE, size - start), self.dtype)
            fill(piece)
            yield piece
            del piece  # before the next one: who reads them has one at a time

    @property
    def nbytes(self) -> int:
        """The bytes that it will take."""
        return prod(self.shape) * self.dtype.itemsize


def _split(array: np.ndarray) -> Iterator[np.ndarray]:
    flat = array.reshape(-1)
    return (flat[start : start + PIECE] for start in range(0, flat.size, PIECE))


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
            weight, sizes = module.computed[key], tuple(map(int, shape))
            make = partial(weight.make, stored.__getitem__)
            lazy[key] = Lazy(sizes, np.dtype(np.float32), make, _scaled(weight.scaled, sizes, stored))
        else:
            lazy[key] = stored.lazy[key]
    return Arrays(lazy)


def _scaled(scaled: Scaled | None, sizes: tuple[int, ...], stored: Arrays) -> Callable[[], Fill] | None:
    """What begins a stored array with its factors, where that can be made piece by piece."""
    source = stored.lazy[scaled.key].filling if scaled is not None else None
    if scaled is None or source is None:
        return None
    begin, factors_of, each = source, scaled.factors, prod(sizes[1:])

    def begun() -> Fill:
        fill, factors, at = begin(), factors_of(stored.__getitem__), 0

        def scale(piece: np.ndarray) -> None:
            nonlocal at
            fill(piece)
            first, end = at // each, at + piece.size
            rows = np.repeat(factors[first : -(-end // each)], each)
            piece *= rows[at - first * each : end - first * each]
            at = end

        return scale

    return begun


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


@contextmanager
def in_pieces(arrays: Mapping[str, np.ndarray], keys: Iterable[str]) -> Iterator[Callable[[], Iterator[np.ndarray]]]:
    """A function that gives the pieces of the arrays of the keys, one array after the other, while others are made.

    They begin to be made when the block begins, on all cores; `AHEAD` bytes at most wait to be taken, and an array that
    can only be made as a whole. Who asks for an array has had all pieces of the one before.
    """
    if not isinstance(arrays, Arrays):
        left = iter(keys)
        yield lambda: _split(arrays[next(left)])
        return
    ahead = _Ahead(arrays.lazy[key] for key in keys)
    try:
        ahead.begin()
        yield ahead.take
    finally:
        ahead.stop()


SMALL = 2**16
"""Bytes of an array up to which another thread costs more than it saves."""
ROOM = 32 * 2**20
"""Bytes of one array that wait to be taken."""


class _Ahead:
    """Arrays that are made in their order by threads, each piece by piece as far as it has room."""

    def __init__(self, arrays: Iterable[Lazy]) -> None:
        self.waiting = deque(arrays)
        self.begun: deque[Lazy | _Making] = deque()
        self.taken = 0
        """Bytes of room that were given to what has begun and not been taken."""
        self.pool = ThreadPoolExecutor(os.cpu_count(), "netspec-weights")

    def begin(self) -> None:
        """Begins what there is room for; small arrays are made when they are taken."""
        while self.waiting:
            lazy = self.waiting[0]
            room = 0 if lazy.nbytes <= SMALL else lazy.nbytes if lazy.filling is None else min(lazy.nbytes, ROOM)
            if self.taken and self.taken + room > AHEAD:
                return
            self.waiting.popleft()
            self.taken += room
            self.begun.append(_Making(lazy, room, self.pool) if room else lazy)

    def take(self) -> Iterator[np.ndarray]:
        """The pieces of the next array."""
        self.begin()
        first = self.begun[0]
        yield from first.pieces()
        self.begun.popleft()
        if isinstance(first, _Making):
            self.taken -= first.room

    def stop(self) -> None:
        """Ends the threads."""
        for one in self.begun:
            if isinstance(one, _Making):
                one.stop()
        self.pool.shutdown(cancel_futures=True)


class _Making:
    """An array that another thread makes; it waits where its room is full."""

    def __init__(self, lazy: Lazy, room: int, pool: ThreadPoolExecutor) -> None:
        self.room, self.stopped = room, False
        self.made: SimpleQueue[np.ndarray | None] = SimpleQueue()
        self.free = Semaphore(-(-room // (PIECE * lazy.dtype.itemsize)))
        self.future = pool.submit(self._make, lazy)

    def _make(self, lazy: Lazy) -> None:
        try:
            pieces = lazy.pieces()
            while self.free.acquire() and not self.stopped and (piece := next(pieces, None)) is not None:
                self.made.put(piece)
                del piece
        finally:
            self.made.put(None)

    def pieces(self) -> Iterator[np.ndarray]:
        """What was made, as soon as it is; raises what making it raised."""
        while (piece := self.made.get()) is not None:
            yield piece
            del piece
            self.free.release()
        self.future.result()

    def stop(self) -> None:
        """Lets the thread go."""
        self.stopped = True
        self.free.release()
