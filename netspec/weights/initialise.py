"""Seeded weights in numpy, so that every backend holds the same arrays for the same seed."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import partial
from zlib import crc32

import numpy as np

from netspec.analysis.moments import passed
from netspec.elaborate.compiled import Compiled
from netspec.ir.graph import Graph, Node
from netspec.ops import OPS
from netspec.ops.initialisers import Init, beginning
from netspec.ops.moments import Signal
from netspec.weights.lazy import PIECE, Arrays, Fill, Lazy, computed


def initialise(graph: Graph, seed: int = 0) -> dict[str, np.ndarray]:
    """Every weight and statistic by its state-dict key, float32.

    Weights of convolutions and linear layers are He-normal by their fan-in (He et al. 2015, Delving Deep, eq. 10),
    biases 0, norms the identity; `init` in the spec says otherwise. A tensor's values depend on the seed and its key.
    """
    return lazily(graph, seed).all()


def lazily(graph: Graph, seed: int = 0) -> Arrays:
    """The same, each tensor made when it is asked for."""
    return Arrays(
        {
            key: _lazy(node, key, tuple(map(int, shape)), [seed, crc32(key.encode())])
            for key, (shape, _, node) in graph.tensors().items()
        }
    )


def seeded(network: Compiled, seed: int, training: bool) -> Arrays:
    """The weights of a network as it is written, drawn by a seed and made ready by its passes."""
    stored = lazily(network.stored(training), seed)
    return stored if training else computed(network.module, stored)


def _lazy(node: Node, key: str, size: tuple[int, ...], seed: list[int]) -> Lazy:
    value = beginning(key.rpartition(".")[2], size, node.init, OPS[node.op].init)
    if value == "bilinear":
        return Lazy(size, np.dtype(np.float32), partial(_bilinear, size))
    if isinstance(value, Mapping) and "truncated_normal" in value:
        return Lazy(size, np.dtype(np.float32), partial(_truncated, size, value["truncated_normal"], seed))
    filling = partial(_filling, value, OPS[node.op].fans_of(size, node.attrs), seed)
    return Lazy(size, np.dtype(np.float32), partial(_whole, size, filling), filling)


def _filling(value: Init, fans: tuple[float, float], seed: list[int]) -> Fill:
    """What writes the numbers of a tensor by its `init`: a constant, he, xavier, or a spread.

    `xavier` is U(-a, a) with a = sqrt(6 / (fan_in + fan_out)) (Glorot and Bengio 2010, eq. 16). A generator draws the
    same numbers at once and in pieces.
    """
    if isinstance(value, Mapping):
        ((kind, spread),) = value.items()
        return partial(_uniform if kind == "uniform" else _normal, np.random.default_rng(seed), spread)
    if value == "he":
        return partial(_normal, np.random.default_rng(seed), math.sqrt(2 / fans[0]))
    if value == "xavier":
        return partial(_uniform, np.random.default_rng(seed), math.sqrt(6 / sum(fans)))
    return partial(_constant, {"zeros": 0, "ones": 1}[value] if isinstance(value, str) else value)


def _whole(size: tuple[int, ...], filling: Callable[[], Fill]) -> np.ndarray:
    """A tensor that is made piece by piece, as a whole."""
    made, fill = np.empty(size, np.float32), filling()
    flat = made.reshape(-1)
    for start in range(0, flat.size, PIECE):
        fill(flat[start : start + PIECE])
    return made


def _truncated(size: tuple[int, ...], spread: float, seed: list[int]) -> np.ndarray:
    """Normal, cut at two standard deviations; what is drawn again comes after the whole tensor."""
    rng = np.random.default_rng(seed)
    drawn = rng.standard_normal(size, np.float32)
    _cut(rng, drawn.reshape(-1))
    drawn *= np.float32(spread)
    return drawn


def _bilinear(size: tuple[int, ...]) -> np.ndarray:
    """The interpolation that a transposed convolution begins with in FCN (Long et al. 2015, section 3.3).

    Each channel is by itself, and its kernel a tent.
    """
    weight = np.zeros(size, np.float32)
    if len(size) == 4:
        tents = []
        for k in size[2:]:
            factor = (k + 1) // 2
            tents.append(1 - np.abs(np.arange(k) - (factor - 1 if k % 2 else factor - 0.5)) / factor)
        for channel in range(min(size[:2])):
            weight[channel, channel] = np.outer(*tents)
    return weight


# In place, as the largest tensor decides how much memory it takes to write a network.


def _cut(rng: np.random.Generator, drawn: np.ndarray) -> None:
    """Draws again what lies outside of two deviations, until nothing does."""
    step = 2**20
    outside = np.concatenate(
        [np.flatnonzero(np.abs(drawn[i : i + step]) > 2) + i for i in range(0, drawn.size, step)]
        or [np.empty(0, np.intp)]
    )
    while outside.size:
        drawn[outside] = rng.standard_normal(outside.size, np.float32)
        outside = outside[np.abs(drawn[outside]) > 2]


def _constant(value: float, out: np.ndarray) -> None:
    out.fill(value)


def _uniform(rng: np.random.Generator, reach: float, out: np.ndarray) -> None:
    rng.random(out=out, dtype=np.float32)
    out *= 2
    out -= 1
    out *= np.float32(reach)


def _normal(rng: np.random.Generator, std: float, out: np.ndarray) -> None:
    rng.standard_normal(out=out, dtype=np.float32)
    out *= np.float32(std)


def draw(graph: Graph, seed: int = 0) -> dict[str, np.ndarray]:
    """Weights for comparing outputs: every tensor is random, and signals keep their size through hundreds of layers.

    Norms: scale and variance 0.5 to 1.5, shift and mean within 0.2; biases are within 0.1. Weights of convolutions and
    linear layers are normal, so wide that about unit variance leaves them, whatever additions and activations made of
    their input. Hundreds of layers without shortcuts forget their input all the same, whatever their weights.
    """
    arrays = lazily_for_comparison(graph, seed)
    return {key: arrays[key] for key in arrays}


def lazily_for_comparison(graph: Graph, seed: int = 0) -> Arrays:
    """The same as `draw`, each tensor made when it is asked for."""
    lazy: dict[str, Lazy] = {}
    signals: dict[str, Signal] = {}
    for node in graph.nodes.values():
        entering = [signals[ref.node] for ref in node.inputs]
        for key, shape, _ in node.tensors():
            if key not in lazy:
                size = tuple(map(int, shape))
                make = partial(_drawn, node, key, size, seed, max(s.power for s in entering))
                lazy[key] = Lazy(size, np.dtype(np.float32), make)
        signals[node.path] = passed(graph, node, entering)
    return Arrays(lazy)


def _drawn(node: Node, key: str, size: tuple[int, ...], seed: int, power: float) -> np.ndarray:
    rng, name = np.random.default_rng([seed, 1, crc32(key.encode())]), key.rpartition(".")[2]
    made = np.empty(size, np.float32)
    if len(size) > 1:
        _normal(rng, 1 / math.sqrt(OPS[node.op].fans_of(size, node.attrs)[0] * power), made)
    elif name in ("weight", "running_var"):
        _uniform(rng, 0.5, made)
        made += 1
    else:
        _uniform(rng, 0.1 if OPS[node.op].kind == "weights" else 0.2, made)
    return made
