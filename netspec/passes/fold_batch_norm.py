"""Folds batch norms into the layers next to them, whose weights and biases they scale and shift.

At inference y = (x - mean) / sqrt(var + eps) * weight + bias is a factor and a term for each channel (`folding.py`).
Case 1: a layer whose op says that its weight scales with its outputs (`by_output`), whose value a `batch_norm` alone
reads; it gets a bias.
Case 2: further batch norms that alone read the value of the one before are folded into the same layer.
Case 3: layers that share weights are folded where the same norms follow each of them, as far as they are the same.
Case 4: a convolution without padding, or a linear layer, that alone reads a batch norm: with padding it is not exact,
since the term of the norm is not added to the zeros around the map.
Left alone: a value that others read too, that is an output, or that a block gives by name.
"""

from __future__ import annotations

from netspec.ir.module import Module
from netspec.passes.base import Stage, graph_pass
from netspec.passes.folding import Kinds, fold

NORMS = Kinds(["batch_norm"], ["batch_norm"])


@graph_pass(stage=Stage.INFERENCE, named=True, level=1)
def fold_batch_norm(module: Module) -> Module:
    """Folds each `batch_norm` into the convolution or linear layer before it, or behind it where that is exact."""
    return fold(module, NORMS)
