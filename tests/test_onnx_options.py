"""What a model is written as: opsets, half precision, weights beside it, and what is refused."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx.inliner
import pytest
from conftest import agreement
from netspec_onnx.options import OnnxOptions
from onnx_harness import NESTED, ONNX, SPECS, emit, load, noise, ort_run

from netspec.diagnostics.errors import DataError, SpecError, UsageError
from netspec.ir.graph import Graph
from netspec.weights.initialise import draw


@pytest.fixture(params=SPECS)
def graph(request: pytest.FixtureRequest, tmp_path: Path) -> Graph:
    return load(tmp_path, SPECS[request.param])


# Options
KNOWN = onnx.defs.onnx_opset_version()
"""21 in the oldest onnx that is allowed."""


@pytest.mark.parametrize("opset", range(18, min(KNOWN, 23) + 1))
def test_an_opset_that_is_asked_for(tmp_path: Path, opset: int) -> None:
    graph = load(tmp_path, NESTED)
    model = emit(graph, tmp_path, opset=opset, functions="keep")
    assert {o.version for o in model.opset_import if not o.domain} == {opset}
    assert {o.version for f in model.functions for o in f.opset_import if not o.domain} == {opset}
    onnx.checker.check_model(str(tmp_path / "net.onnx"), full_check=True)
    x = {"input": noise(2, 4, 12, 12)}
    agreement(ort_run(tmp_path / "net.onnx", x), ONNX.run(graph, draw(graph, 1), x).outputs)


@pytest.mark.parametrize(
    "options, message",
    [
        ({"opset": 10}, "written from 11 on, not 10"),
        ({"opset": 999}, "knows opsets up to"),
        ({"batch": 0}, "of 1 to 65,536 images"),
        ({"batch": 10**20}, "of 1 to 65,536 images"),
        ({"opset": 19, "ir_version": 8}, "opset 19 goes with IR versions 9 to"),
        ({"opset": 13, "functions": "keep", "ir_version": 7}, "opset 13 with functions goes with IR versions 8 to"),
        ({"ir_version": 99}, "not 99"),
        ({"training": True}, "written for inference"),
        ({"dtype": "int4"}, "known: float32, float16, bfloat16, int8"),
    ],
)
def test_options_that_cannot_be_followed_are_usage_errors(tmp_path: Path, options: Any, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        emit(load(tmp_path, NESTED), tmp_path, **options)
    assert os.listdir(tmp_path) == ["net.yaml"]


def test_half_precision_halves_the_file_and_keeps_the_outputs(graph: Graph, tmp_path: Path) -> None:
    single, half = (
        emit(graph, tmp_path, "single.onnx"),
        emit(graph, tmp_path, "half.onnx", dtype="float16", io_dtype="float16"),
    )
    assert {t.data_type for t in half.graph.initializer} == {onnx.TensorProto.FLOAT16}
    assert [2 * len(t.raw_data) for t in half.graph.initializer] == [len(t.raw_data) for t in single.graph.initializer]
    onnx.checker.check_model(str(tmp_path / "half.onnx"), full_check=True)
    x = noise(2, 4, 12, 12)
    expected = ort_run(tmp_path / "single.onnx", {"input": x})
    found = ort_run(tmp_path / "half.onnx", {"input": x.astype(np.float16)})
    for name, value in expected.items():
        assert found[name].dtype == np.float16
        assert np.abs(found[name] - value).max() <= 1e-2 * np.abs(value).max()


def test_a_weight_beyond_half_precision_is_refused(tmp_path: Path) -> None:
    graph = load(tmp_path, "body: [conv: [2, 1]]\n")
    arrays = draw(graph)
    arrays["conv.bias"][0] = 1e5
    with pytest.raises(SpecError, match=r"net.yaml:6:8: .* 'conv.bias' of 'conv' holds 100000, beyond float16"):
        ONNX.emit(graph, arrays, tmp_path / "net.onnx", OnnxOptions(dtype="float16"))
    assert os.listdir(tmp_path) == ["net.yaml"]


def test_weights_beside_the_model(graph: Graph, tmp_path: Path) -> None:
    whole = emit(graph, tmp_path, "whole.onnx")
    (tmp_path / "apart").mkdir()
    path = tmp_path / "apart" / "net.onnx"
    written = ONNX.emit(graph, draw(graph, 1), path, OnnxOptions(external_data=True)).files
    data = written[1]
    digest = hashlib.sha256(data.read_bytes()).hexdigest()
    assert written == [path, path.with_name(f"net.onnx.{digest[:12]}.data")]
    assert set(os.listdir(path.parent)) == {"net.onnx", data.name}
    bare = onnx.load(path, load_external_data=False)
    assert not any(t.raw_data for t in bare.graph.initializer)
    assert data.stat().st_size == sum(len(t.raw_data) for t in whole.graph.initializer)
    onnx.checker.check_model(str(path), full_check=True)
    loaded = onnx.load(path)
    for mine, theirs in zip(loaded.graph.initializer, whole.graph.initializer, strict=True):
        assert np.array_equal(onnx.numpy_helper.to_array(mine), onnx.numpy_helper.to_array(theirs))
    x = {"input": noise(2, 4, 12, 12)}
    agreement(ort_run(path, x), ort_run(tmp_path / "whole.onnx", x))


@pytest.mark.slow
def test_more_weights_than_a_message_holds_go_beside_the_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    graph = load(tmp_path, NESTED)
    expected = ONNX.run(graph, draw(graph, 1), {"input": noise(2, 4, 12, 12)}).outputs
    monkeypatch.setattr("netspec_onnx.write.LIMIT", 1000)
    monkeypatch.setattr("netspec_onnx.runtime.LIMIT", 1000)
    assert len(ONNX.emit(graph, draw(graph, 1), tmp_path / "net.onnx", OnnxOptions()).files) == 2
    agreement(ONNX.run_file(tmp_path / "net.onnx", {"input": noise(2, 4, 12, 12)}).outputs, expected)
    agreement(ONNX.run(graph, draw(graph, 1), {"input": noise(2, 4, 12, 12)}).outputs, expected)
    with pytest.raises(UsageError, match="do not fit into one file"):
        ONNX.emit(graph, draw(graph, 1), tmp_path / "one.onnx", OnnxOptions(external_data=False))


@pytest.mark.parametrize("external", [True, False])
def test_a_failure_leaves_the_old_model(tmp_path: Path, external: bool) -> None:
    """The last weight is missing: everything before it is on its way to the disk by then."""
    graph = load(tmp_path, NESTED)
    emit(graph, tmp_path, external_data=external)
    before = {p.name: p.read_bytes() for p in tmp_path.iterdir()}
    arrays = draw(graph, 2)
    arrays.popitem()
    with pytest.raises(DataError, match="is missing"):
        ONNX.emit(graph, arrays, tmp_path / "net.onnx", OnnxOptions(external_data=external))
    assert {p.name: p.read_bytes() for p in tmp_path.iterdir()} == before


def test_an_op_without_a_row_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from netspec_onnx.lowering import ROWS

    monkeypatch.delitem(ROWS, "relu")
    with pytest.raises(DataError, match=r"no row for 'relu' \(relu\)") as info:
        emit(load(tmp_path, "body: [conv: [2, 1], relu]\n"), tmp_path)
    assert info.value.code == "NS601"
