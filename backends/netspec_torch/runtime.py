"""The nn.Module that the source defines, and runs of it."""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping

import numpy as np
import torch

from netspec import __version__
from netspec.backend import Result
from netspec.diagnostics.errors import DataError, MissingError, UsageError
from netspec.ir.graph import Graph
from netspec.passes.drop_heads import without_heads
from netspec.running.convert import fit
from netspec.running.ports import Port, Value
from netspec.running.sizes import check
from netspec_torch.codegen import Emitter
from netspec_torch.frozen import build
from netspec_torch.modules import keep
from netspec_torch.weights import state_dict


def to_module(
    graph: Graph,
    arrays: Mapping[str, np.ndarray],
    training: bool = False,
    frozen: Collection[str] = (),
    by_name: bool = False,
) -> torch.nn.Module:
    """The module with its weights; in eval mode, or ready to be trained with `training`.

    The nodes at the paths of `frozen` are not trained: neither their parameters nor their statistics change.
    With `by_name` a single output is a dict too, and the module has the `channels` and `strides` of each.
    """
    kept = graph if training else without_heads(graph)
    emitter = Emitter(kept, by_name, features=by_name)
    text = emitter.source(__version__)
    nodes = kept.nodes
    held = [nodes[path] for path in frozen if path in nodes]
    places = {place for node in held if (place := emitter.place(node.path)) is not None}
    with torch.device("meta"):  # no time is spent on weights that are replaced at once
        module = build(text, emitter.main, {*emitter.modules.values()}, places)
    module.load_state_dict(state_dict(kept, arrays), strict=True, assign=True)
    keys = {key for node in held for key, _, _ in node.tensors()}
    for key, parameter in module.named_parameters():
        parameter.requires_grad_(key not in keys)
    keep(*module.modules())
    return module.train(training)


def run_module(
    module: torch.nn.Module, graph: Graph, inputs: Mapping[str, Value], device: str = "cpu", repeat: int = 1
) -> Result:
    """Runs a module; raises MissingError instead of falling back to another device."""
    if device not in ("cpu", "cuda"):
        raise UsageError(f"there is no device '{device}'", "known: cpu, cuda")
    if device == "cuda" and not torch.cuda.is_available():
        raise MissingError("this PyTorch cannot use CUDA", "install a CUDA build of torch, and a driver")
    ports = {str(n.path): Port("tensor(float)", n.shape) for n in graph.inputs}
    check(ports, inputs, "the network")
    fitted = [fit(inputs[name], port, f"the input '{name}'", lambda said: None) for name, port in ports.items()]
    try:
        module = module.eval().to(device)
        given = [torch.from_numpy(np.array(value)).to(device) for value in fitted]
        result, latency = _timed(module, given, device, repeat)
    except (RuntimeError, IndexError, ValueError) as e:  # sizes that do not go together, or too little memory
        raise DataError("NS703", f"PyTorch cannot run the network: {str(e)[:500]}") from None
    found = result if isinstance(result, dict) else {single(graph): result}
    place = torch.cuda.get_device_name() if device == "cuda" else "cpu"
    return Result({k: v.cpu().numpy() for k, v in found.items()}, f"torch {place}", latency)


Outputs = torch.Tensor | dict[str, torch.Tensor]
"""What a module gives: its one output, or several by name."""


def _timed(module: torch.nn.Module, given: list[torch.Tensor], device: str, repeat: int) -> tuple[Outputs, list[float]]:
    """What a module gives, and the milliseconds of each run after one to warm up."""
    with torch.inference_mode():
        result = module(*given)
        if device == "cuda":
            torch.cuda.synchronize()  # the run to warm up is no part of the first that is timed
        latency = []
        for _ in range(repeat):
            start = time.perf_counter()
            result = module(*given)
            if device == "cuda":
                torch.cuda.synchronize()
            latency.append((time.perf_counter() - start) * 1000)
    return result, latency


def single(graph: Graph) -> str:
    return next(name for name, o in graph.outputs.items() if not o.training_only)
