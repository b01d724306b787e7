"""Weights for a network of other classes, input channels or size than those of the checkpoint."""

from __future__ import annotations

from functools import partial

import numpy as np

from netspec.diagnostics.errors import UsageError
from netspec.elaborate.compiled import Compiled, compile_variant
from netspec.ir.graph import Graph
from netspec.weights.lazy import Arrays, Lazy

CLASSES = "classes"
"""The param of a spec that says how many classes there are."""


def as_declared(network: Compiled) -> Compiled:
    """The network with the classes and the input of its spec, and all other params as they are; raises UsageError."""
    if network.is_block:
        raise UsageError("--adapt is for networks, not for blocks", "name a network of the spec")
    settings = {name: value for name, value in network.settings.items() if name != CLASSES}
    declared = compile_variant(network.document, network.variant, settings)
    return declared.tapped(network.taps) if network.taps else declared


def fitted(own: Graph, found: Arrays) -> tuple[Arrays, list[str]]:
    """Of the weights of another graph those that fit, and the first convolutions for other input channels; with notes.

    Their weights are repeated over the channels and divided, so that a grey picture, or one whose channels are given
    twice, gives what it did; for a single channel they are summed.
    """
    first = {
        f"{node.weights_at}.weight"
        for node in own.nodes.values()
        if node.op == "conv" and own.nodes[node.inputs[0].node].op == "input"
    }
    taken: dict[str, Lazy] = {}
    notes = []
    for key, (declared, _, _) in own.tensors().items():
        shape = tuple(map(int, declared))
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
