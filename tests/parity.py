"""What the comparisons of whole networks share: targets, images, drawn states, runs in torch and onnxruntime."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
import torch
from torch import nn

import netspec
from netspec.diagnostics.errors import SpecError
from netspec.ir.graph import Graph
from netspec.network import Network
from netspec.weights.sample_inputs import sample

HERE = Path(__file__).parent
SPECS = HERE.parent / "specs"
TARGETS: dict[str, dict[str, Any]] = {
    t["variant"]: {"input": None, "params": None, "macs": None} | t
    for t in json.loads((HERE / "data" / "targets.json").read_text(encoding="utf-8"))["targets"]
}


def small(size: Sequence[int]) -> tuple[int, ...]:
    """An input size at which a comparison takes a second: images of more than 150 pixels become 128 wide."""
    return tuple(size) if max(size[1:]) <= 150 else (size[0], 128, 128)


@lru_cache(maxsize=2)
def network(variant: str, **settings: Any) -> Network:
    """The network of a target, from its family's spec; a block of a library stands alone."""
    target = TARGETS[variant]
    path = f"{SPECS / target['family']}.yaml"
    if "/" in target["family"]:
        return netspec.load(f"{path}:{variant}", input=target["input"])
    return netspec.load(path, variant=variant, **settings)


def images(shape: Sequence[int], count: int, seed: int = 0) -> np.ndarray:
    """Images that differ in the large, (count, C, H, W): white noise would look the same to a global pooling.

    They are strong, so that biases and shifts do not drown them in a hundred layers.
    """
    rng = np.random.default_rng(seed)
    c, h, w = shape
    coarse = rng.normal(size=(count, c, 5, 5)).repeat(-(-h // 5), 2).repeat(-(-w // 5), 3)[:, :, :h, :w]
    fine = 0.5 * rng.normal(size=(count, c, h, w))
    return (4 * (coarse + fine + rng.normal(size=(count, c, 1, 1)))).astype(np.float32)


def inputs(graph: Graph, count: int, seed: int = 0) -> list[np.ndarray]:
    """Images for each input of a graph, in its order, of their own; regions of interest where one is sampled so."""
    shapes = {n.path: n.shape for n in graph.inputs}
    drawn = sample(shapes, {n.path: n.attrs.get("sample", "") for n in graph.inputs}, count, seed)
    return [
        images([int(d) for d in shapes[name][1:]], count, seed + 100 * i) if len(shapes[name]) == 4 else value
        for i, (name, value) in enumerate(drawn.items())
    ]


def smaller(variant: str, size: Sequence[int], **settings: Any) -> tuple[int, ...]:
    """The small size, where the network takes it with weights of the same shapes."""
    try:
        found = [network(variant, input=tuple(s), **settings).inference.tensors() for s in (size, small(size))]
    except SpecError:
        return tuple(size)  # a window of the dense form of VGG is 7x7
    shapes = [{key: shape for key, (shape, _, _) in tensors.items()} for tensors in found]
    return small(size) if shapes[0] == shapes[1] else tuple(size)


def randomise(model: nn.Module, shape: Sequence[int], seed: int) -> nn.Module:
    """Draws every tensor of a model, so that its outputs are neither small nor alike; gives it in eval mode.

    Statistics and affine parts of norms, and factors of channels, are drawn as `Agreement` says. Weights are normal,
    then scaled layer by layer in one forward pass until what a layer gives has unit variance: deep networks would
    vanish or explode.
    """
    rng = np.random.default_rng(seed)

    def draw(tensor: torch.Tensor | None, low: float, high: float) -> None:
        if tensor is not None:
            tensor.copy_(torch.from_numpy(rng.uniform(low, high, tuple(tensor.shape)).astype(np.float32)))

    def scale(layer: nn.Module, _: Any, out: torch.Tensor) -> torch.Tensor:
        size = out.std().clamp_min(1e-3)
        layer.weight.div_(size)
        draw(layer.bias, -0.2, 0.2)
        return out / size

    hooks = []
    with torch.no_grad():
        for layer in model.modules():
            if isinstance(layer, nn.Conv2d | nn.Linear):
                layer.weight.copy_(torch.from_numpy(rng.normal(size=tuple(layer.weight.shape)).astype(np.float32)))
                if layer.bias is not None:
                    layer.bias.zero_()
                hooks.append(layer.register_forward_hook(scale))
            elif isinstance(layer, nn.BatchNorm2d):
                draw(layer.weight, 0.5, 1.5)
                draw(layer.bias, -0.2, 0.2)
                draw(layer.running_mean, -0.2, 0.2)
                draw(layer.running_var, 0.5, 1.5)
            elif isinstance(layer, nn.LayerNorm):
                draw(layer.weight, 0.5, 1.5)
                draw(layer.bias, -0.2, 0.2)
            else:
                for factor in layer.parameters(recurse=False):
                    draw(factor, 0.5, 1.5)
        model.eval()(torch.from_numpy(images(shape, 2, seed + 1)))
    for hook in hooks:
        hook.remove()
    return model


def torch_outputs(module: nn.Module, *x: np.ndarray) -> list[np.ndarray]:
    """Every output of a module in eval mode, in its order."""
    with torch.inference_mode():
        out = module.eval()(*map(torch.from_numpy, x))
    if isinstance(out, torch.Tensor):
        return [out.numpy()]
    return [value.numpy() for value in (out.values() if isinstance(out, dict) else out)]


def torch_run(module: nn.Module, *x: np.ndarray) -> np.ndarray:
    """The first output of a module in eval mode."""
    return torch_outputs(module, *x)[0]


def onnx_session(path: Path) -> ort.InferenceSession:
    """onnxruntime on the CPU with as many threads as torch, with nothing of netspec between."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    return ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def onnx_outputs(session: ort.InferenceSession, *x: np.ndarray) -> list[np.ndarray]:
    """Every output of a model, in its order."""
    names = [i.name for i in session.get_inputs()]
    return list(map(np.asarray, session.run(None, dict(zip(names, x, strict=True)))))


def onnx_run(session: ort.InferenceSession, *x: np.ndarray) -> np.ndarray:
    """The first output of a model."""
    return onnx_outputs(session, *x)[0]
