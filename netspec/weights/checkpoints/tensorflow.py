"""Arrays by TensorFlow's names and in its layouts, as .npz and safetensors files of Keras and Slim have them."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from netspec.diagnostics.errors import DataError
from netspec.ir.graph import Graph, Node
from netspec.weights.checkpoints.account import Account, Shape
from netspec.weights.checkpoints.stored import State, Stored

KERNELS = ("kernel", "weights", "depthwise_kernel", "depthwise_weights", "pointwise_kernel")
NAMES = {
    **dict.fromkeys(KERNELS, "weight"),
    "gamma": "weight",
    "beta": "bias",
    "biases": "bias",
    "moving_mean": "running_mean",
    "moving_variance": "running_var",
}
NOTE = "read TensorFlow's names and layouts: `/` as `.`, kernels of H x W x in x out, dense ones of in x out"


def translated(state: State) -> State:
    """A state by PyTorch's names and in its layouts, if it is by TensorFlow's; else as it is.

    TensorFlow's have slashes in them, and kernels in place of weights.
    """
    tensors = {key.removesuffix(":0").replace("/", "."): tensor for key, tensor in state.tensors.items()}
    ends = {key.rpartition(".")[2] for key in tensors}
    if (
        not any("/" in key for key in state.tensors)
        or not ends & set(KERNELS)
        or "weight" in ends
        or (len(tensors) < len(state.tensors))
    ):
        return state
    found: dict[str, Stored] = {}
    for key, tensor in tensors.items():
        layer, dot, end = key.rpartition(".")
        name = f"{layer}{dot}{NAMES.get(end, end)}"
        if name in found:
            return state
        found[name] = _kernel(tensor, end.startswith("depthwise")) if end in KERNELS else tensor
    return State(state.path, found, (NOTE,), state.passes)


def _kernel(tensor: Stored, depthwise: bool) -> Stored:
    """A kernel with its output channels first; a depthwise one is H x W x channels x multiplier."""
    shape = tensor.shape
    if len(shape) == 2:
        return Stored(shape[::-1], tensor.dtype, lambda: tensor.read().T, tensor.token)
    if len(shape) != 4:
        return tensor
    h, w, i, o = shape
    if depthwise:
        return Stored(
            (i * o, 1, h, w),
            tensor.dtype,
            lambda: tensor.read().transpose(2, 3, 0, 1).reshape(i * o, 1, h, w),
            tensor.token,
        )
    return Stored((o, i, h, w), tensor.dtype, lambda: tensor.read().transpose(3, 2, 0, 1), tensor.token)


def reordered(found: Account, graph: Graph, shapes: Mapping[str, Shape]) -> dict[str, Stored]:
    """The tensors of a network, with the inputs of linear layers that read a flattened map in the order of PyTorch's.

    TensorFlow flattens a map as H x W x C; raises DataError where it cannot be said what a layer reads.
    """
    tensors = dict(found.found)
    for node in graph.nodes.values():
        key = f"{node.weights_at}.weight"
        if key not in tensors or len(tensors[key].shape) != 2:
            continue
        sizes = shapes[key][1:] if node.op == "conv" else _flattened(graph, node)
        if len(sizes) == 3 and sizes[1] * sizes[2] > 1:
            tensors[key] = _channels_first(tensors[key], sizes)
    return tensors


def _channels_first(tensor: Stored, sizes: Shape) -> Stored:
    c, h, w = sizes
    out = tensor.shape[0]

    def read() -> np.ndarray:
        return tensor.read().reshape(out, h, w, c).transpose(0, 3, 1, 2).reshape(out, -1)

    return Stored(tensor.shape, tensor.dtype, read, tensor.token)


def _flattened(graph: Graph, node: Node) -> Shape:
    """The C x H x W of the map whose values a linear layer reads in their order; empty where it is not a map's."""
    joined, seen = False, set()
    waiting, sizes = list(node.inputs[:1]), set()
    while waiting:
        ref = waiting.pop()
        at = graph.nodes[ref.node]
        if ref.node in seen or len(graph.shape(ref)) != 2 or at.op in ("linear", "input"):
            continue
        seen.add(ref.node)
        if at.op == "flatten":
            sizes.add(tuple(map(int, graph.shape(at.inputs[0])[1:])))
            continue
        joined = joined or len(at.inputs) > 1 or graph.shape(ref) != graph.shape(at.inputs[0])
        waiting += at.inputs
    maps = {s for s in sizes if len(s) == 3 and s[1] * s[2] > 1}
    if not maps:
        return ()
    if joined or len(sizes) > 1:
        raise DataError(
            "NS602",
            f"'{node.path}' reads several flattened maps, whose order in TensorFlow is not known",
            "write its weights by PyTorch's names and layouts",
        )
    return next(iter(maps))
