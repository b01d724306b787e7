"""Layers of a file that are the network's by other names, but for the number of their outputs: other classifiers."""

from __future__ import annotations

from collections.abc import Mapping

from netspec.weights.checkpoints.account import FEW, Account, Shape, Target
from netspec.weights.checkpoints.stored import Stored

Shapes = Mapping[str, Shape]


def renamed_heads(target: Target, found: Account, tensors: Mapping[str, Stored]) -> dict[str, str]:
    """The layer of the network for each unexpected layer, where all that are missing have one and each can be no other.

    Empty where that is not so; then nobody can say which is which.
    """
    theirs = _layers({key: tensors[key].shape for key in found.unexpected})
    ours = _layers({path: target.shapes[path] for path in found.missing})
    if (
        found.misshapen
        or found.twice
        or not len(theirs) == len(ours) <= FEW
        or "" in {*theirs, *ours}
        or any("{" in layer or "}" in layer for layer in theirs)
    ):
        return {}
    pairs: dict[str, str] = {}
    for same in (True, False):  # layers of the same shapes first
        left = [other for other in ours if other not in pairs.values()]
        for layer in [layer for layer in theirs if layer not in pairs]:
            fitting = [other for other in left if _alike(theirs[layer], ours[other], same)]
            if len(fitting) > 1 or any(other in pairs.values() for other in fitting):
                return {}
            if fitting:
                pairs[layer] = fitting[0]
    return {layer: pairs[layer] for layer in theirs} if len(pairs) == len(theirs) else {}


def _layers(shapes: Shapes) -> dict[str, dict[str, Shape]]:
    found: dict[str, dict[str, Shape]] = {}
    for key, shape in shapes.items():
        layer, _, tensor = key.rpartition(".")
        found.setdefault(layer, {})[tensor] = shape
    return found


def _alike(one: Shapes, other: Shapes, same: bool) -> bool:
    return one.keys() == other.keys() and all(
        shape == other[t] if same else shape and len(shape) == len(other[t]) and shape[1:] == other[t][1:]
        for t, shape in one.items()
    )
