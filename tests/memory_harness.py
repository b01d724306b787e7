"""What PyTorch allocates and keeps for a generated module: tensors are counted on the device `meta`, which has none."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from unittest.mock import patch

import pytest

from netspec.ir.graph import Graph

torch = pytest.importorskip("torch")
from netspec_torch.codegen import class_name, source  # noqa: E402
from netspec_torch.in_place import InPlace  # noqa: E402
from netspec_torch.options import TorchOptions  # noqa: E402
from torch.multiprocessing.reductions import StorageWeakRef  # noqa: E402
from torch.utils._python_dispatch import TorchDispatchMode  # noqa: E402


def out_of_place() -> Any:
    """A context in which no source has steps that overwrite their operands, which the measure does not count on."""
    return patch.object(InPlace, "allowed", lambda self, node, region: False)


def module_of(graph: Graph, training: bool = False) -> Any:
    """The module of a graph without the numbers of its weights."""
    space: dict[str, Any] = {"__name__": "generated"}
    with out_of_place():
        exec(source(graph, TorchOptions(training=training)), space)
    with torch.device("meta"):
        return space[class_name(graph.name)]().train(training)


def inputs_of(graph: Graph, batch: int, device: str = "meta") -> list[Any]:
    """Inputs of a batch."""
    return [torch.zeros(batch, *map(int, node.shape[1:]), device=device) for node in graph.inputs]


class Allocated(TorchDispatchMode):  # type: ignore[misc]
    """Counts the bytes of tensors that are alive after each operation; weights apart."""

    def __init__(self, module: Any, inputs: Sequence[Any]) -> None:
        super().__init__()
        self.weights = {t.untyped_storage()._cdata for t in (*module.parameters(), *module.buffers())}
        self.alive: dict[int, tuple[Any, int]] = {}
        self.peak = self.now = 0
        for tensor in inputs:
            self.add(tensor)

    def add(self, tensor: Any) -> None:
        """A tensor that was made."""
        storage = tensor.untyped_storage()
        if storage._cdata not in self.alive and storage._cdata not in self.weights:
            self.alive[storage._cdata] = StorageWeakRef(storage), storage.nbytes()
            self.now += storage.nbytes()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        for key in [key for key, (storage, _) in self.alive.items() if storage.expired()]:
            self.now -= self.alive.pop(key)[1]
        made = func(*args, **(kwargs or {}))
        for tensor in made if isinstance(made, tuple | list) else [made]:
            if isinstance(tensor, torch.Tensor):
                self.add(tensor)
        self.peak = max(self.peak, self.now)
        return made


def allocated(graph: Graph, module: Any = None, device: str = "meta") -> int:
    """The most bytes of tensors that are alive at once while a module computes one image, weights apart."""
    module = module_of(graph) if module is None else module
    inputs = inputs_of(graph, 1, device)
    with torch.no_grad(), Allocated(module, inputs) as found:
        module(*inputs)
    return int(found.peak)


def saved(graph: Graph) -> int:
    """The bytes for each image that autograd saves for the gradient of a training module, weights apart."""
    module = module_of(graph, training=True)
    weights = {t.untyped_storage()._cdata for t in (*module.parameters(), *module.buffers())}
    bytes_of: list[int] = []
    for batch in (2, 3):  # what does not grow with the batch is no activation
        kept: dict[int, Any] = {}

        def keep(tensor: Any, kept: dict[int, Any] = kept) -> Any:
            kept[tensor.untyped_storage()._cdata] = tensor
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
            made = module(*inputs_of(graph, batch))
        bytes_of.append(sum(t.untyped_storage().nbytes() for key, t in kept.items() if key not in weights))
        del made
    return bytes_of[1] - bytes_of[0]
