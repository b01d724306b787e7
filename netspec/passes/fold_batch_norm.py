"""Folds batch norms into the layers before them, whose weights and biases they scale and shift.

At inference y = (x - mean) / sqrt(var + eps) * weight + bias is the same factor and the same term for every value of a
channel, so a layer that is linear in its weights takes both (Jacob et al. 2018, section 3.2).
Case 1: a layer whose op says that it is (`by_output`), whose value a `batch_norm` alone reads; it gets a bias.
Case 2: further batch norms that alone read the value of the one before are folded into the same layer.
Case 3: layers that share weights are folded where the same norms follow each of them, as far as they are the same.
Left alone: a value that others read too, that is an output, or that a block gives by name.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import takewhile
from typing import TYPE_CHECKING

from netspec.ir.graph import Graph, Node, Ref
from netspec.ir.module import Module, Stored, Weight
from netspec.ops import OPS, Tensor
from netspec.passes.base import Stage, graph_pass
from netspec.passes.rewriter import kept_values, readers, rewrite

if TYPE_CHECKING:
    import numpy as np


@graph_pass(stage=Stage.INFERENCE, named=True)
def fold_batch_norm(module: Module) -> Module:
    """Folds each `batch_norm` into the convolution or linear layer before it."""
    folds = _folds(module.graph)
    folded = {norm.path for _, norms in folds.values() for norm in norms}
    made: dict[str, dict[str, Weight]] = {}
    for layer, norms in folds.values():  # those that share weights have the same norms, and so the same of these
        if layer.weights_at not in made:
            made[layer.weights_at] = _folded(module, layer, norms)
    weights = {path: made[layer.weights_at] for path, (layer, _) in folds.items()}

    def visit(node: Node, operands: Sequence[Tensor]) -> Node | Ref:
        if node.path in folded:
            return node.inputs[0]
        return replace(node, attrs={**node.attrs, "bias": True}) if node.path in folds else node

    return rewrite(module, visit, weights=weights)


def _folds(graph: Graph) -> dict[str, tuple[Node, Sequence[Node]]]:
    """The layers that batch norms are folded into, by path, each with its batch norms in the order they run."""
    reading, kept = readers(graph), kept_values(graph)
    sharing: dict[str, list[tuple[Node, list[Node]]]] = {}
    for node in graph.nodes.values():
        if node.result.weights:
            norms = _norms(node, reading, kept) if OPS[node.op].by_output is not None else ()
            sharing.setdefault(node.weights_at, []).append((node, list(norms)))
    folds: dict[str, tuple[Node, Sequence[Node]]] = {}
    for layers in sharing.values():
        after = zip(*(norms for _, norms in layers), strict=False)
        if count := sum(1 for _ in takewhile(lambda norms: len(set(map(_function, norms))) == 1, after)):
            folds |= {layer.path: (layer, norms[:count]) for layer, norms in layers}
    return folds


def _norms(layer: Node, reading: Mapping[Ref, Sequence[Node]], kept: set[Ref]) -> Iterator[Node]:
    """The batch norms that follow a layer, each the only one that reads the value before it."""
    value = Ref(layer.path)
    while value not in kept and len(read := reading.get(value, ())) == 1 and read[0].op == "batch_norm":
        yield read[0]
        value = Ref(read[0].path)


def _function(norm: Node) -> tuple[object, ...]:
    """What a batch norm computes: its weights and its epsilon."""
    return norm.weights_at, norm.attrs["eps"], norm.attrs["affine"]


def _folded(module: Module, layer: Node, norms: Sequence[Node]) -> dict[str, Weight]:
    """The weight and the bias of a layer that takes these norms, by name."""
    at, tensors = layer.weights_at, layer.result.weights
    shape = tensors["weight"]
    weight = module.weight(f"{at}.weight", shape)
    bias = module.weight(f"{at}.bias", tensors["bias"]) if "bias" in tensors else None
    channels = int(layer.shape[1])
    affine = [_Affine(module, norm) for norm in norms]
    sizes = tuple(map(int, shape))
    by_output = OPS[layer.op].by_output
    assert by_output is not None  # as `_folds` has seen
    viewed, factors = by_output(sizes, layer.attrs)

    def scaled(stored: Stored) -> np.ndarray:
        factor = affine[0].scale(stored)
        for norm in affine[1:]:
            factor = factor * norm.scale(stored)
        rows = weight.make(stored).reshape(viewed)
        result: np.ndarray = rows * factor.reshape(factors).astype("float32")
        return result.reshape(sizes)

    def shifted(stored: Stored) -> np.ndarray:
        value: np.ndarray | float = bias.make(stored).astype("float64") if bias is not None else 0.0
        for norm in affine:
            value = norm(value, stored)
        result: np.ndarray = value.astype("float32")  # type: ignore[union-attr]
        return result

    return {"weight": Weight(shape, scaled), "bias": Weight((channels,), shifted)}


class _Affine:
    """A batch norm at inference: a factor and a term for each channel, in float64."""

    def __init__(self, module: Module, norm: Node) -> None:
        self.eps = float(norm.attrs["eps"])
        tensors = {**norm.result.weights, **norm.result.stats}
        self.weights = {name: module.weight(f"{norm.weights_at}.{name}", shape) for name, shape in tensors.items()}

    def read(self, name: str, stored: Stored) -> np.ndarray:
        return self.weights[name].make(stored).astype("float64")

    def scale(self, stored: Stored) -> np.ndarray:
        """weight / sqrt(running_var + eps)."""
        import numpy as np

        with np.errstate(divide="ignore", invalid="ignore"):  # a checkpoint may have no variance, or a negative one
            factor: np.ndarray = (self.read("running_var", stored) + self.eps) ** -0.5
        return factor * self.read("weight", stored) if "weight" in self.weights else factor

    def __call__(self, value: np.ndarray | float, stored: Stored) -> np.ndarray:
        """What becomes of a value of each channel."""
        result: np.ndarray = (value - self.read("running_mean", stored)) * self.scale(stored)
        return result + self.read("bias", stored) if "bias" in self.weights else result
