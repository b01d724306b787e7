"""Folds batch norms into the layers before them, whose weights and biases they scale and shift.

At inference y = (x - mean) / sqrt(var + eps) * weight + bias is the same factor and the same term for every value of a
channel, so a layer that is linear in its weights takes both (Jacob et al. 2018, section 3.2).
Case 1: a `conv`, `conv_transpose`, `deform_conv` or `linear` whose value a `batch_norm` alone reads; it gets a bias.
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
from netspec.ops import Shape, Tensor
from netspec.passes.base import Stage, graph_pass
from netspec.passes.rewriter import kept_values, readers, rewrite

if TYPE_CHECKING:
    import numpy as np

LINEAR = ("conv", "conv_transpose", "deform_conv", "linear")


@graph_pass(stage=Stage.INFERENCE, named=True)
def fold_batch_norm(module: Module) -> Module:
    """Folds each `batch_norm` into the convolution or linear layer before it."""
    folds = _folds(module.graph)
    folded = {norm.path for _, norms in folds.values() for norm in norms}
    weights: dict[str, Weight] = {}
    for layer, norms in folds.values():
        weights |= _folded(module, layer, norms)

    def visit(node: Node, operands: Sequence[Tensor]) -> Node | Ref:
        if node.path in folded:
            return node.inputs[0]
        return replace(node, attrs={**node.attrs, "bias": True}) if node.path in folds else node

    return rewrite(module, visit, weights=weights)


def _folds(graph: Graph) -> dict[str, tuple[Node, Sequence[Node]]]:
    """By path, the layers that take batch norms, each with these in order."""
    reading, kept = readers(graph), kept_values(graph)
    sharing: dict[str, list[tuple[Node, list[Node]]]] = {}
    for node in graph.nodes.values():
        if node.op in LINEAR:
            sharing.setdefault(node.weights_at, []).append((node, list(_norms(node, reading, kept))))
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
    """The weight and the bias of a layer that takes these norms, by key."""
    weight_key, bias_key = f"{layer.weights_at}.weight", f"{layer.weights_at}.bias"
    shape = layer.result.weights["weight"]
    weight = module.weight(weight_key, shape)
    bias = module.weight(bias_key, layer.result.weights["bias"]) if layer.attrs["bias"] else None
    channels = int(layer.shape[1])
    affine = [_Affine(module, norm) for norm in norms]

    def scaled(stored: Stored) -> np.ndarray:
        factor = affine[0].scale(stored)
        for norm in affine[1:]:
            factor = factor * norm.scale(stored)
        result: np.ndarray = weight.make(stored) * _along_output(factor, layer, shape).astype("float32")
        return result

    def shifted(stored: Stored) -> np.ndarray:
        value: np.ndarray | float = bias.make(stored).astype("float64") if bias is not None else 0.0
        for norm in affine:
            value = norm(value, stored)
        result: np.ndarray = value.astype("float32")  # type: ignore[union-attr]
        return result

    return {weight_key: Weight(shape, scaled), bias_key: Weight((channels,), shifted)}


def _along_output(factor: np.ndarray, layer: Node, shape: Shape) -> np.ndarray:
    """A factor for each output channel, in the shape that a weight of this shape is multiplied by."""
    if layer.op != "conv_transpose":
        return factor.reshape(-1, *(1 for _ in shape[1:]))
    groups = layer.attrs["groups"]  # the weight is C x out/groups x kh x kw: each group of rows has outputs of its own
    rows = factor.reshape(groups, -1).repeat(int(shape[0]) // groups, axis=0)
    return rows.reshape(*rows.shape, 1, 1)


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
