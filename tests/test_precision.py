"""Models in 16 bits: what they take and give, which opset has their operators, and kernels that a runtime lacks."""

from __future__ import annotations

from pathlib import Path

import ml_dtypes
import numpy as np
import onnx
import pytest
from click.testing import CliRunner
from conformance import CASES as SAMPLES
from conformance import IDS, one_op
from netspec_onnx.build_model import build_model, structure
from netspec_onnx.options import OnnxOptions
from netspec_onnx.versions import versions
from netspec_onnx.write import check
from onnx.reference import ReferenceEvaluator
from onnx_harness import NESTED, emit, load, noise, ort_run

from netspec.cli.main import cli, run
from netspec.diagnostics.errors import SpecError, UsageError
from netspec.weights.initialise import draw

BF16 = OnnxOptions(dtype="bfloat16")
NEW = onnx.defs.onnx_opset_version() >= 22
new = pytest.mark.skipif(not NEW, reason="opset 22 is the first in which Conv takes bfloat16")
FLOAT = onnx.TensorProto.FLOAT


def ports(model: onnx.ModelProto) -> set[int]:
    return {value.type.tensor_type.elem_type for value in [*model.graph.input, *model.graph.output]}


@pytest.mark.parametrize("dtype", ["float16", pytest.param("bfloat16", marks=new)])
def test_inputs_and_outputs_are_float32_unless_asked_otherwise(dtype: str, tmp_path: Path) -> None:
    graph = load(tmp_path, NESTED)
    kind = getattr(onnx.TensorProto, dtype.upper())
    outer, inner = emit(graph, tmp_path, dtype=dtype), emit(graph, tmp_path, "own.onnx", dtype=dtype, io_dtype=dtype)
    assert ports(outer) == {FLOAT} and ports(inner) == {kind}
    assert {t.data_type for t in outer.graph.initializer} == {kind}
    casts = [n.attribute[0].i for n in outer.graph.node if n.op_type == "Cast"]
    assert casts == [kind] * len(outer.graph.input) + [FLOAT] * len(outer.graph.output)
    assert not [n for n in inner.graph.node if n.op_type == "Cast"]


def test_float16_with_outputs_in_float32_is_near_single(tmp_path: Path) -> None:
    graph = load(tmp_path, NESTED)
    emit(graph, tmp_path, "single.onnx"), emit(graph, tmp_path, "half.onnx", dtype="float16")
    x = {"input": noise(2, 4, 12, 12)}
    found = ort_run(tmp_path / "half.onnx", x)
    for name, value in ort_run(tmp_path / "single.onnx", x).items():
        assert found[name].dtype == np.float32
        assert np.abs(found[name] - value).max() <= 1e-2 * np.abs(value).max()


SMALL = "body: [conv: [8, 3], relu, conv: [8, 3], relu, global_avg_pool, flatten, linear: 5]\n"


@new
def test_bfloat16_computes_what_onnx_says(tmp_path: Path) -> None:
    """By onnx's own evaluator, as onnxruntime has no kernels for it on CPUs."""
    graph = load(tmp_path, SMALL)
    emit(graph, tmp_path, "single.onnx"), emit(graph, tmp_path, "brain.onnx", dtype="bfloat16")
    x = {"input": noise(2, 4, 12, 12)}
    (expected,) = ort_run(tmp_path / "single.onnx", x).values()
    (found,) = ReferenceEvaluator(str(tmp_path / "brain.onnx")).run(None, x)
    assert found.dtype == np.float32
    assert 1e-4 < np.abs(found - expected).max() / np.abs(expected).max() < 5e-2


@new
def test_weights_in_bfloat16_are_rounded_to_8_bits(tmp_path: Path) -> None:
    graph = load(tmp_path, SMALL)
    arrays = draw(graph, 1)
    for tensor in build_model(graph, arrays, BF16).graph.initializer:
        found = np.frombuffer(tensor.raw_data, ml_dtypes.bfloat16).reshape(tensor.dims).astype(np.float32)
        assert np.abs(found - arrays[tensor.name]).max() <= 2.0**-8 * np.abs(arrays[tensor.name]).max()
        assert tensor.data_type == onnx.TensorProto.BFLOAT16


@new
@pytest.mark.parametrize("op, attrs, shapes", [s[:3] for s in SAMPLES], ids=IDS)
@pytest.mark.quick(12)
def test_every_op_is_written_in_an_opset_that_takes_bfloat16(
    op: str, attrs: dict[str, object], shapes: tuple[tuple[int, ...], ...]
) -> None:
    """The checker infers types through every operator, and refuses one that does not take them."""
    graph = one_op(op, attrs, shapes)
    check(structure(graph, BF16), graph, BF16)
    opset, _ = versions(graph, BF16)
    assert 18 <= opset <= 22


@new
def test_an_operator_that_does_not_take_the_dtype_is_refused_at_its_step(tmp_path: Path) -> None:
    target = tmp_path / "x.onnx"
    (tmp_path / "net.yaml").write_text(f"netspec: 1\nname: net\ninput: [4, 12, 12]\n{SMALL}")
    options = ["--to", "onnx", "--dtype", "bfloat16", "--opset", "20", "-o", str(target)]
    done = CliRunner().invoke(cli, ["compile", str(tmp_path / "net.yaml"), *options], standalone_mode=False)
    assert isinstance(done.exception, SpecError)
    (error,) = done.exception.diagnostics
    assert error.message == "'conv' ('conv') becomes Conv, which takes no bfloat16 in opset 20"
    assert "--opset 22" in (error.hint or "") and str(error.span).endswith("net.yaml:4:8")
    assert not target.exists()


@pytest.mark.parametrize("dtype, io", [("float32", "float16"), ("float16", "bfloat16"), ("bfloat16", "float16")])
def test_a_type_of_inputs_that_the_model_does_not_compute_in_is_refused(dtype: str, io: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=f"--io-dtype {io} goes with --dtype {io}"):
        emit(load(tmp_path, SMALL), tmp_path, dtype=dtype, io_dtype=io)
    assert not (tmp_path / "net.onnx").exists()


@pytest.mark.parametrize("inner, outer", [("BFLOAT16", "BFLOAT16"), ("BFLOAT16", "FLOAT"), ("DOUBLE", "DOUBLE")])
def test_a_kernel_that_the_runtime_lacks_is_named(
    inner: str, outer: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """LRN of bfloat16 is in ONNX since opset 13, so that no lower set helps it.

    onnxruntime's OperatorKernels.md has LRN of float alone on CPUs.
    """
    kinds = onnx.TensorProto.DataType
    x, y = (onnx.helper.make_tensor_value_info(n, kinds.Value(outer), [1, 1, 4, 4]) for n in "xy")
    nodes = [
        onnx.helper.make_node("Cast", ["x"], ["a"], to=kinds.Value(inner)),
        onnx.helper.make_node("LRN", ["a"], ["b"], name="/body/lrn", size=3),
        onnx.helper.make_node("Cast", ["b"], ["y"], to=kinds.Value(outer)),
    ]
    graph = onnx.helper.make_graph(nodes, "g", [x], [y])
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 18)], ir_version=10)
    onnx.save(model, tmp_path / "m.onnx")
    assert run(["run", str(tmp_path / "m.onnx")]) == 3
    said = capsys.readouterr().err
    assert "has no kernel for LRN(13) of the node '/body/lrn'" in said and "CPUExecutionProvider" in said
    assert "help: another --dtype of compile" in said and ("a lower --opset" in said) == (inner != "BFLOAT16")
