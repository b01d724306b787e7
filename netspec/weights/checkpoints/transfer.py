"""Weights for a network of other classes, input channels or size than those of the checkpoint."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from functools import partial

import numpy as np

from netspec.diagnostics.errors import SpecError, UsageError
from netspec.elaborate.compiled import Compiled, at_size, compile_variant
from netspec.elaborate.document import values_of
from netspec.ir.graph import Graph
from netspec.weights.lazy import Arrays, Lazy

CLASSES = "classes"
"""The param of a spec that says how many classes there are."""


def as_declared(network: Compiled) -> Compiled:
    """The network with the classes and the input of its spec, and all other params as they are; raises UsageError."""
    settings = {name: value for name, value in network.settings.items() if name != CLASSES}
    declared = compile_variant(network.document, network.variant, settings)
    return declared.tapped(network.taps) if network.taps else declared


def adaptable(network: Compiled) -> set[str]:
    """The keys whose shapes follow from the number of classes or from an input: a file may have others of them."""
    own = _shapes(network.whole)
    found = _of_first(network.whole)
    for other in _varied(network):
        shapes = _shapes(other.graph)
        found |= {key for key, shape in own.items() if shapes.get(key, shape) != shape}
    return found


def _varied(network: Compiled) -> Iterator[Compiled]:
    """The network with one class more, and for larger maps, where there are such."""
    sizes = {str(node.path): [int(side) for side in node.shape[1:]] for node in network.whole.inputs}
    doubled = {name: [size[0], *(2 * side for side in size[1:])] for name, size in sizes.items()}
    with suppress(SpecError, UsageError):
        yield at_size(network, doubled)
    count = values_of(network.document, network.variant, network.settings).get(CLASSES)
    if isinstance(count, int):
        settings = {**network.settings, CLASSES: count + 1}
        with suppress(SpecError, UsageError):
            yield compile_variant(network.document, network.variant, settings, input=sizes)


def _shapes(graph: Graph) -> dict[str, tuple[int, ...]]:
    return {key: tuple(map(int, shape)) for key, (shape, _, _) in graph.tensors().items()}


def _of_first(graph: Graph) -> set[str]:
    """The weights of convolutions that read an input."""
    return {
        f"{node.weights_at}.weight"
        for node in graph.nodes.values()
        if node.op == "conv" and graph.nodes[node.inputs[0].node].op == "input"
    }


def fitted(own: Graph, found: Arrays) -> tuple[Arrays, list[str]]:
    """Of the weights of another graph those that fit, and the first convolutions for other input channels; with notes.

    Their weights are repeated over the channels and divided, so that a grey picture, or one whose channels are given
    twice, gives what it did; for a single channel they are summed.
    """
    first = _of_first(own)
    taken: dict[str, Lazy] = {}
    notes = []
    for key, shape in _shapes(own).items():
        lazy = found.lazy.get(key)
        if lazy is None:
            continue
        if lazy.shape == shape:
            taken[key] = lazy
        elif key in first and (lazy.shape[0], *lazy.shape[2:]) == (shape[0], *shape[2:]):
            taken[key] = Lazy(shape, lazy.dtype, partial(_of_channels, lazy, shape[1]))
            how = "summed" if shape[1] == 1 else "repeated and scaled"
            notes.append(f"{key}: {lazy.shape[1]} input channels become {shape[1]}, its weights are {how}")
    return Arrays(taken), notes


def _of_channels(stored: Lazy, count: int) -> np.ndarray:
    """`(O, C, kH, kW) -> (O, count, kH, kW)`: sums over the channels stay what they were where all are equal."""
    weight: np.ndarray = stored.make()
    channels = weight.shape[1]
    if count == 1:
        made: np.ndarray = weight.sum(axis=1, keepdims=True, dtype=weight.dtype)
    else:
        made = np.tile(weight, (1, -(-count // channels), 1, 1))[:, :count] * weight.dtype.type(channels / count)
    return made
