"""Folds learned and constant scales into the layers next to them.

Case 1: `channel_scale`, or `affine` without a power, that alone reads the value of a layer; batch norms that follow
the scale are folded with it (`folding.py`).
Case 2: the same before a convolution or a linear layer that alone reads it: a factor always, a term where the layer
does not pad, since a term is not added to the zeros around the map.
Left alone: a value that others read too, that is an output, or that a block gives by name; layers that share weights
unless the same scales follow each of them.
"""

from __future__ import annotations

from netspec.ir.module import Module
from netspec.passes.base import Stage, graph_pass
from netspec.passes.folding import Kinds, fold

SCALES = Kinds(["channel_scale", "affine"], ["channel_scale", "affine", "batch_norm"])


@graph_pass(stage=Stage.INFERENCE, named=True, level=1)
def fold_scale(module: Module) -> Module:
    """Folds each `channel_scale` and `affine` into the layer before it, or behind it where that is exact."""
    return fold(module, SCALES)
