"""Deformable networks: with zero offsets they are the plain ones; offsets begin at zero."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from conformance import one_op
from conftest import agreement
from netspec_onnx.build_model import build_model
from netspec_onnx.options import OnnxOptions
from netspec_onnx.presets import Target
from parity import images, network, torch_run

import netspec
from netspec.backend import get
from netspec.ops.registry import ROIS
from netspec.weights.initialise import draw, initialise


def plain_name(key: str) -> str:
    """The name that a tensor of deformable_resnet50 has in resnet50."""
    for theirs, ours in (
        ("net.base.", ""),
        ("net.conv5.", "layer4."),
        ("conv2.deform_conv.", "conv2.conv."),
        (".bn2.", ".conv2.bn."),
        ("net.", ""),
    ):
        key = key.replace(theirs, ours)
    return key


@pytest.mark.slow
def test_zero_offsets_are_the_plain_network() -> None:
    deformable, plain = network("deformable_resnet50").inference, network("resnet50").inference
    arrays = {key: np.zeros_like(value) if ".offset." in key else value for key, value in draw(deformable, 0).items()}
    same = {plain_name(key): value for key, value in arrays.items() if ".offset." not in key}
    assert same.keys() == plain.tensors().keys()
    x = images((3, 224, 224), 2, 3)
    backend = get("torch")
    agreement(
        torch_run(backend.to_module(plain, same), x),
        torch_run(backend.to_module(deformable, arrays), x),
    )


@pytest.mark.slow
@pytest.mark.parametrize("variant", ["deformable_resnet50", "deformable_roi_pooling"])
def test_offsets_begin_at_zero(variant: str) -> None:
    arrays = initialise(network(variant).inference)
    offsets = [value for key, value in arrays.items() if ".offset." in key]
    assert offsets and not any(value.any() for value in offsets)


CELLS = """\
netspec: 1
name: cells
input: {maps: [1, 8, 7], rois: {shape: [R, 5], sample: rois}, offsets: {shape: [R, 6]}}
body:
  - plain = roi_avg_pool: {size: [1, 3], scale: 0.5}
    from: [maps, rois]
  - moved = deform_roi_avg_pool: {size: [1, 3], scale: 0.5, gamma: 0.1}
    from: [maps, rois, offsets]
outputs: [plain, moved]
"""


@pytest.mark.parametrize("backend", ["torch", "onnx"])
def test_regions_are_pooled_by_the_mean_of_their_cells(backend: str, tmp_path: Path) -> None:
    """The bins of 7 columns in 3 are 0 to 2, 2 to 4 and 4 to 6, by floor(i w / k) and ceil((i + 1) w / k)."""
    path = tmp_path / "cells.yaml"
    path.write_text(CELLS, encoding="utf-8")
    graph = netspec.load(path).graph
    maps = np.arange(56, dtype=np.float32).reshape(1, 1, 8, 7) ** 2
    whole, edge, outside = (0, 0, 4, 12, 6), (0, 10, 4, 30, 6), (0, 40, 4, 50, 6)
    rois = np.array([whole, edge, outside], np.float32)
    offsets = np.zeros((3, 6), np.float32)
    offsets[0] = [0, 1 / 0.7, 0, -0.5 / 0.7, 2 / 0.2, 0]  # by (dy, dx): a column right, half a one left, two rows down
    found = get(backend).run(graph, {}, {"maps": maps, "rois": rois, "offsets": offsets}).outputs
    rows = maps[0, 0]
    two = rows[2:4]  # pixels 4 to 6 are cells 2 and 3
    assert np.allclose(found["plain"][0, 0, 0], [two[:, 0:3].mean(), two[:, 2:5].mean(), two[:, 4:7].mean()])
    # columns 5 to 15, of which 5 and 6 are there; then nothing
    assert np.allclose(found["plain"][1, 0, 0], [two[:, 5:7].mean(), 0, 0])
    assert not found["plain"][2].any()
    between = (two[:, 1:5] + two[:, 2:6])[:, :3] / 2
    assert np.allclose(found["moved"][0, 0, 0], [two[:, 1:4].mean(), between.mean(), rows[4:6, 4:7].mean()], rtol=1e-5)


def quotients(model: onnx.ModelProto) -> onnx.ModelProto:
    """The model with a product by 1 / d, rounded to the number above, in place of each division by a constant d."""
    graph = model.graph
    constants = {node.output[0]: node.attribute[0].t for node in graph.node if node.op_type == "Constant"}
    constants |= {each.name: each for each in graph.initializer}
    for node in graph.node:
        if node.op_type == "Div" and node.input[1] in constants:
            inverse = np.nextafter(1 / onnx.numpy_helper.to_array(constants[node.input[1]]), np.float32(1))
            name = f"{node.output[0]}_inverse"
            graph.initializer.append(onnx.numpy_helper.from_array(inverse, name))
            node.op_type, node.input[1] = "Mul", name
    return model


@pytest.mark.slow
@pytest.mark.parametrize("target, right", [("mnn", True), ("browser", False)])
def test_bins_of_regions_for_mnn_hold_where_a_division_is_a_product(target: Target, right: bool) -> None:
    """MNN 3.6 multiplies by 1 / 7 for a division by 7: 21 / 7 is 3.0000002, and its ceiling 4."""
    graph = one_op("roi_avg_pool", {"size": (1, 7), "scale": 1.0}, ((1, 1, 60), ROIS))
    model = quotients(build_model(graph, {}, OnnxOptions(for_=target)))
    spans = range(1, 61)
    rois = np.array([[0, 0, 0, span - 1, 0] for span in spans], np.float32)
    maps = np.arange(60, dtype=np.float32).reshape(1, 1, 1, 60)
    session = ort.InferenceSession(model.SerializeToString())
    found = np.concatenate([session.run(None, {"x0": maps, "x1": row[None]})[0] for row in rois])
    ends = [[(i * span // 7, -(-(i + 1) * span // 7)) for i in range(7)] for span in spans]
    expected = [[(low + high - 1) / 2 for low, high in row] for row in ends]
    assert np.allclose(found[:, 0, 0], expected, rtol=1e-5) == right
