"""Every variant of the five families: counts of the papers and libraries, shapes, and agreement of the two targets."""

from __future__ import annotations

import gc
import math
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx.inliner
import pytest
import torch
from conftest import agreement
from onnx import helper
from parity import SPECS, TARGETS, images, network, onnx_run, onnx_session, torch_run
from reference_nets import GoogLeNet, reference

import netspec
from netspec.backend import Options, get
from netspec.graph import Graph, Output, Ref
from netspec.weights import draw

QUICK = ("googlenet", "squeezenet_11")
"""Their outputs are compared in every run; all others with --slow."""

# Szegedy et al. 2014, Table 1, column "output size"
TABLE_1 = {"3a": (256, 28, 28), "3b": (480, 28, 28), "4a": (512, 14, 14), "4b": (512, 14, 14), "4c": (512, 14, 14),
           "4d": (528, 14, 14), "4e": (832, 14, 14), "5a": (832, 7, 7), "5b": (1024, 7, 7)}


BY_THE_PAPER = [v for v, t in TARGETS.items() if t["family"] in ("googlenet", "resnet", "squeezenet")
                and v not in ("googlenet_torchvision", "squeezenet_11", "wide_resnet50_2")]
"""`reference_nets` has them; for the others there are torchvision's own modules, in `test_checkpoints`."""


def variants(names: Iterable[str] = TARGETS) -> list[Any]:
    """Variants; those that are not quick are marked slow."""
    return [v if v in QUICK else pytest.param(v, marks=pytest.mark.slow) for v in names]


@pytest.fixture(autouse=True)
def _memory() -> Iterator[None]:
    """Gives the arrays of one network back before the next."""
    yield
    gc.collect()


def params(graph: Graph) -> int:
    """Trained parameters, counted from the shapes of the tensors."""
    return sum(math.prod(map(int, shape)) for shape, trained, _ in graph.tensors().values() if trained)


def test_the_specs_have_the_variants_of_the_targets() -> None:
    families = {t["family"] for t in TARGETS.values()}
    for family in families:
        wanted = {v for v, t in TARGETS.items() if t["family"] == family}
        assert wanted <= set(netspec.load(SPECS / f"{family}.yaml").document.variants)


@pytest.mark.parametrize("variant", TARGETS)
def test_counts_and_input(variant: str) -> None:
    target, net = TARGETS[variant], network(variant)
    graph = net.inference
    assert [n.shape for n in graph.inputs] == [("N", *target["input"])]
    assert [graph.shape(o.ref) for o in graph.outputs.values()] == [("N", 1000)]
    assert params(graph) == target["params"]
    assert sum(n.rule.macs or 0 for n in graph.nodes.values()) == target["macs"]
    if "params_with_aux" in target:
        assert params(net.graph) == target["params_with_aux"]
    else:
        assert params(net.graph) == target["params"]


@pytest.mark.parametrize("variant", ["googlenet", "googlenet_torchvision"])
def test_inception_shapes(variant: str) -> None:
    graph = network(variant).inference
    assert {row: graph.nodes[f"{row}.concat"].shape[1:] for row in TABLE_1} == TABLE_1


def inferred(model: onnx.ModelProto, graph: Graph) -> dict[str, tuple[int | str, ...]]:
    """The shape of every value by ONNX's strict inference alone: what the model says of shapes is taken away."""
    bare = onnx.ModelProto()
    bare.CopyFrom(model)
    del bare.graph.value_info[:], bare.graph.initializer[:]
    for key, (shape, _, _) in graph.tensors().items():
        bare.graph.input.append(helper.make_tensor_value_info(key, onnx.TensorProto.FLOAT, list(shape)))
    for output in bare.graph.output:
        output.type.tensor_type.ClearField("shape")
    found = onnx.shape_inference.infer_shapes(bare, check_type=True, strict_mode=True).graph
    return {v.name: tuple(d.dim_param or d.dim_value for d in v.type.tensor_type.shape.dim)
            for v in [*found.input, *found.value_info, *found.output]}


@pytest.mark.parametrize("variant", variants())
def test_shapes_equal_those_of_onnx(variant: str) -> None:
    from netspec_onnx.emit import structure

    graph = network(variant).inference
    flat = structure(graph, Options(functions="inline"))
    shapes = inferred(flat, graph)
    outputs = {o.ref: name for name, o in graph.outputs.items()}
    for node in graph.nodes.values():
        for i, shape in enumerate(node.shapes):
            ref = Ref(node.path, i)
            assert shapes[outputs.get(ref, str(ref))] == shape, ref

    kept = onnx.inliner.inline_local_functions(structure(graph, Options(functions="keep")))
    kept_shapes = inferred(kept, graph)
    assert [(n.op_type, [kept_shapes[o] for o in n.output]) for n in kept.graph.node] == \
        [(n.op_type, [shapes[o] for o in n.output]) for n in flat.graph.node]


@pytest.mark.parametrize("variant", variants())
def test_shapes_equal_those_of_torch(variant: str) -> None:
    graph = network(variant).inference
    refs = [Ref(n.path, i) for n in graph.nodes.values() if n.op != "input" for i in range(len(n.shapes))]
    every = Graph(graph.name, graph.nodes, {f"v{k}": Output(ref) for k, ref in enumerate(refs)}, graph.scopes)
    empty = {key: np.broadcast_to(np.float32(0), shape) for key, (shape, _, _) in graph.tensors().items()}
    module = get("torch").to_module(every, empty, Options()).to("meta")
    with torch.inference_mode():
        found = module(torch.zeros(3, *TARGETS[variant]["input"], device="meta"))
    for k, ref in enumerate(refs):
        assert tuple(found[f"v{k}"].shape) == (3, *graph.shape(ref)[1:]), ref


def emitted(variant: str, seed: int, folder: Path) -> tuple[Graph, dict[str, np.ndarray], Path]:
    """The inference graph, its drawn weights, and the ONNX model that has them."""
    graph = network(variant).inference
    arrays, path = draw(graph, seed), folder / "net.onnx"
    get("onnx").emit(graph, arrays, path, Options())
    return graph, arrays, path


@pytest.mark.parametrize("variant", variants())
def test_torch_and_onnxruntime_agree(variant: str, tmp_path: Path) -> None:
    for seed, batches in ((0, (1, 2, 7)), (1, (2,))):
        graph, arrays, path = emitted(variant, seed, tmp_path)
        module = get("torch").to_module(graph, arrays, Options())
        session = onnx_session(path)
        if seed == 0:
            onnx.checker.check_model(str(path), full_check=True)
        for count in batches:
            x = images(TARGETS[variant]["input"], count, seed + 10)
            agreement(torch_run(module, x), onnx_run(session, x))
        for file in tmp_path.iterdir():
            file.unlink()


@pytest.mark.parametrize("variant", variants(BY_THE_PAPER))
def test_outputs_equal_those_of_the_paper_in_plain_torch(variant: str, tmp_path: Path) -> None:
    for seed, count in ((0, 2), (1, 3)):
        graph, arrays, path = emitted(variant, seed, tmp_path)
        theirs = reference(variant).fill(arrays)  # type: ignore[union-attr]
        x = images(TARGETS[variant]["input"], count, seed + 20)
        agreement(torch_run(theirs, x), onnx_run(onnx_session(path), x))


@pytest.mark.slow
def test_auxiliary_heads_equal_those_of_the_paper_in_plain_torch() -> None:
    net = network("googlenet")
    for seed, count in ((0, 2), (1, 3)):
        arrays = draw(net.graph, seed)
        x = images(TARGETS["googlenet"]["input"], count, seed + 30)
        ours = get("torch").to_module(net.graph, arrays, Options(training=True))
        for layer in ours.modules():
            if isinstance(layer, torch.nn.Dropout):
                layer.eval()
        with torch.inference_mode():
            theirs = GoogLeNet(aux=True).fill(arrays)(torch.from_numpy(x))
            agreement(theirs, ours(torch.from_numpy(x)))
        agreement(theirs["logits"], torch_run(ours, x))
