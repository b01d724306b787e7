"""Seeded weights in numpy, so that every backend holds the same arrays for the same seed."""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import partial
from zlib import crc32

import numpy as np

from netspec.analysis.moments import passed
from netspec.ir.graph import Graph, Node
from netspec.ops import OPS
from netspec.ops.initialisers import Init, beginning
from netspec.ops.moments import Signal
from netspec.weights.lazy import Arrays, Lazy


def initialise(graph: Graph, seed: int = 0) -> dict[str, np.ndarray]:
    """Every weight and statistic by its state-dict key, float32.

    Weights of convolutions and linear layers are He-normal by their fan-in (He et al. 2015, Delving Deep, eq. 10),
    biases 0, norms the identity; `init` in the spec says otherwise. A tensor's values depend on the seed and its key.
    """
    return lazily(graph, seed).all()


def lazily(graph: Graph, seed: int = 0) -> Arrays:
    """The same, each tensor made when it is asked for."""

    def value(key: str, shape: tuple[int, ...], node: Node) -> np.ndarray:
        return _initial(node, key, shape, np.random.default_rng([seed, crc32(key.encode())]))

    tensors = ((key, tuple(map(int, shape)), node) for key, (shape, _, node) in graph.tensors().items())
    return Arrays(
        {key: Lazy(shape, np.dtype(np.float32), partial(value, key, shape, node)) for key, shape, node in tensors}
    )


def _initial(node: Node, key: str, size: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
    name = key.rpartition(".")[2]
    value = beginning(name, size, node.init, OPS[node.op].init)
    return _written(value, size, OPS[node.op].fans_of(size, node.attrs), rng)


def _written(value: Init, size: tuple[int, ...], fans: tuple[float, float], rng: np.random.Generator) -> np.ndarray:
    """A tensor by its `init`: a constant, he, xavier, or a spread.

    `xavier` is U(-a, a) with a = sqrt(6 / (fan_in + fan_out)) (Glorot and Bengio 2010, eq. 16); a truncated normal is
    cut at two standard deviations. `bilinear` is the interpolation that a transposed convolution begins with in FCN.
    """
    fan_in, fan_out = fans
    if isinstance(value, Mapping):
        ((kind, spread),) = value.items()
        if kind == "uniform":
            return _uniform(rng, size, spread)
        drawn = _normal(rng, size, 1)
        if kind == "truncated_normal":
            _cut(rng, drawn.reshape(-1))
        drawn *= np.float32(spread)
        return drawn
    if value == "bilinear":
        return _bilinear(size)
    if value == "he":
        return _normal(rng, size, math.sqrt(2 / fan_in))
    if value == "xavier":
        return _uniform(rng, size, math.sqrt(6 / (fan_in + fan_out)))
    return np.full(size, {"zeros": 0, "ones": 1}[value] if isinstance(value, str) else value, np.float32)


def _bilinear(size: tuple[int, ...]) -> np.ndarray:
    """Each channel by itself, its kernel the tent of bilinear interpolation (Long et al. 2015, section 3.3)."""
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
        drawn[outside] = _normal(rng, (outside.size,), 1)
        outside = outside[np.abs(drawn[outside]) > 2]


def _uniform(rng: np.random.Generator, size: tuple[int, ...], reach: float) -> np.ndarray:
    drawn = rng.random(size, np.float32)
    drawn *= 2
    drawn -= 1
    drawn *= np.float32(reach)
    return drawn


def _normal(rng: np.random.Generator, size: tuple[int, ...], std: float) -> np.ndarray:
    drawn = rng.standard_normal(size, np.float32)
    drawn *= np.float32(std)
    return drawn


def draw(graph: Graph, seed: int = 0) -> dict[str, np.ndarray]:
    """Weights for comparing outputs: every tensor is random, and signals keep their size through hundreds of layers.

    Norms: scale and variance 0.5 to 1.5, shift and mean within 0.2; biases are within 0.1. Weights of convolutions and
    linear layers are normal, so wide that about unit variance leaves them, whatever additions and activations made of
    their input. Hundreds of layers without shortcuts forget their input all the same, whatever their weights.
    """
    arrays: dict[str, np.ndarray] = {}
    signals: dict[str, Signal] = {}
    for node in graph.nodes.values():
        entering = [signals[ref.node] for ref in node.inputs]
        for key, shape, _ in node.tensors():
            if key not in arrays:
                arrays[key] = _drawn(node, key, tuple(map(int, shape)), seed, max(s.power for s in entering))
        signals[node.path] = passed(graph, node, entering)
    return arrays


def _drawn(node: Node, key: str, size: tuple[int, ...], seed: int, power: float) -> np.ndarray:
    rng, name = np.random.default_rng([seed, 1, crc32(key.encode())]), key.rpartition(".")[2]
    if len(size) > 1:
        return _normal(rng, size, 1 / math.sqrt(OPS[node.op].fans_of(size, node.attrs)[0] * power))
    if name in ("weight", "running_var"):
        return rng.random(size, np.float32) + np.float32(0.5)
    reach = 0.1 if OPS[node.op].kind == "weights" else 0.2
    return _uniform(rng, size, reach)
