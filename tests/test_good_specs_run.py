"""Every spec of tests/good: its graph reads back, PyTorch and onnxruntime agree, shapes are ONNX's own."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnx.inliner
import pytest
from conftest import sampled
from netspec_onnx.build_model import build_model
from netspec_onnx.options import OnnxOptions

from netspec.backend import get
from netspec.diagnostics.errors import Reporter
from netspec.ir.text import from_text, to_text
from netspec.network import Network, build
from netspec.syntax.reader import read_document
from netspec.weights.initialise import draw

SPECS = sorted((Path(__file__).parent / "good").glob("*.yaml"))


def compiled(path: Path) -> Network:
    document = read_document(path, Reporter())
    assert document is not None
    return build(document)


@pytest.mark.parametrize("path", SPECS, ids=lambda p: p.stem)
def test_text_form_reads_back(path: Path) -> None:
    graph = compiled(path).graph
    assert from_text(to_text(graph)) == graph


@pytest.mark.parametrize("path", SPECS, ids=lambda p: p.stem)
@pytest.mark.quick(8)
def test_backends_agree(path: Path) -> None:
    network = compiled(path)
    graph = network.inference
    for seed in sampled((0, 1), 1):
        arrays = draw(graph, seed)
        for batch in sampled((2, 1, 7), 1):
            rng = np.random.default_rng(seed)
            inputs = {n.path: rng.standard_normal((batch, *map(int, n.shape[1:])), np.float32) for n in graph.inputs}
            torch_ = get("torch").run(network.graph, arrays, inputs).outputs
            kept = get("onnx").run(graph, arrays, inputs, options=OnnxOptions(functions="keep")).outputs
            flat = get("onnx").run(graph, arrays, inputs).outputs
            assert torch_.keys() == kept.keys() == flat.keys() == graph.outputs.keys()
            for name, output in graph.outputs.items():
                largest = np.abs(torch_[name]).max()
                assert largest > 0.01
                assert torch_[name].shape == (batch, *graph.shape(output.ref)[1:])
                assert np.abs(torch_[name] - kept[name]).max() <= 1e-5 * largest
                assert np.array_equal(kept[name], flat[name])


@pytest.mark.parametrize("path", SPECS, ids=lambda p: p.stem)
def test_shapes_are_those_of_onnx(path: Path) -> None:
    graph = compiled(path).inference
    model = build_model(graph, draw(graph, 0), OnnxOptions(functions="keep"))
    flat = onnx.inliner.inline_local_functions(model)
    del flat.graph.value_info[:]
    inferred = onnx.shape_inference.infer_shapes(flat, strict_mode=True, data_prop=True)
    shapes = [
        tuple(d.dim_param or d.dim_value for d in v.type.tensor_type.shape.dim)
        for v in (*inferred.graph.value_info, *inferred.graph.output)
    ]
    assert all(0 not in s for s in shapes)
    for node in graph.nodes.values():
        if node.op != "input":
            assert all(tuple(s) in shapes for s in node.shapes), node


@pytest.mark.parametrize("path", SPECS, ids=lambda p: p.stem)
def test_state_dict_is_the_graphs(path: Path) -> None:
    network = compiled(path)
    module = get("torch").to_module(network.graph, draw(network.inference, 0))
    keys = {k for k in module.state_dict() if not k.endswith("num_batches_tracked")}
    assert keys == set(network.inference.tensors())
