"""Operator sets from 11 on, the presets of `--for`, and a batch that is fixed."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any, get_args

import numpy as np
import onnx
import onnxruntime as ort
import pytest
import torch
from click.testing import CliRunner
from conformance import CASES, IDS, Reference, Shapes, arrays_of, one_op
from conftest import agreement
from netspec_onnx.build_model import build_model
from netspec_onnx.lowering import rows_of
from netspec_onnx.nodes import N
from netspec_onnx.options import OnnxOptions
from netspec_onnx.presets import PRESETS, Target
from netspec_onnx.versions import lowest, versions
from onnx_harness import NESTED, SPECS, emit, load, noise, ort_run, shapes

import netspec
from netspec.backend import get
from netspec.cli.main import cli
from netspec.diagnostics.errors import SpecError, UsageError
from netspec.ir.graph import Graph
from netspec.ops import OPS
from netspec.passes.base import Level
from netspec.weights.initialise import draw

NEWEST_IR = {11: 6, 12: 7, 13: 7, 14: 7, 15: 8, 16: 8, 17: 8, 18: 8, 19: 9, 20: 9, 21: 10}
"""IR versions by operator set, from the table of releases in docs/Versioning.md of onnx."""


@cache
def newest() -> int:
    """The newest operator set that onnx knows and onnxruntime loads."""
    graph = one_op("relu", {}, ((2, 3, 3),))
    for opset in range(onnx.defs.onnx_opset_version(), 20, -1):
        try:
            ort.InferenceSession(build_model(graph, {}, OnnxOptions(opset=opset)).SerializeToString())
        except Exception:  # noqa: BLE001, S112 - onnxruntime has its own errors
            continue
        return opset
    raise AssertionError("onnxruntime loads nothing")


def reads(path: Path) -> bool:
    """Whether onnxruntime loads a file."""
    try:
        ort.InferenceSession(path)
    except Exception:  # noqa: BLE001 - onnxruntime has its own errors
        return False
    return True


@pytest.mark.parametrize("target", [None, "onnxruntime"])
def test_what_the_installed_onnxruntime_does_not_read_is_said(target: Target | None, tmp_path: Path) -> None:
    graph, path = one_op("relu", {}, ((2, 3, 3),)), tmp_path / "relu.onnx"

    def said(**options: int) -> str:
        done = get("onnx").emit(graph, {}, path, OnnxOptions(for_=target, **options))  # type: ignore[arg-type]
        found = "".join(remark for remark in done.remarks if "does not read" in remark)
        assert bool(found) != reads(path), (options, found)
        return found

    for opset in range(newest() - 1, onnx.defs.onnx_opset_version() + 1):
        assert opset <= newest() or f"--opset {newest()} is the newest that it reads" in said(opset=opset)
    new = said(opset=18, ir_version=onnx.IR_VERSION)
    assert new.endswith("leave out --ir-version") or not new
    assert not said() and not said(opset=newest())


def test_an_opset_that_the_installed_onnx_does_not_know_is_refused(tmp_path: Path) -> None:
    known = onnx.defs.onnx_opset_version()
    with pytest.raises(UsageError, match=f"knows opsets up to {known}, not {known + 1}") as found:
        get("onnx").emit(one_op("relu", {}, ((2, 3, 3),)), {}, tmp_path / "a.onnx", OnnxOptions(opset=known + 1))
    assert f"--opset {known}" in found.value.help and list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("target", [target for target in get_args(Target) if target != "onnxruntime"])
def test_an_opset_beyond_a_preset_is_said(target: Target, tmp_path: Path) -> None:
    """The numbers are those of its row in the table of docs/onnx.md."""
    table = (Path(__file__).parent.parent / "docs" / "onnx.md").read_text(encoding="utf-8")
    row = next(line for line in table.splitlines() if line.startswith(f"| `{target}` |"))
    most = int(row.split("|")[2].rpartition("-")[2])
    for opset in (most, most + 1):
        options = OnnxOptions(for_=target, opset=opset)
        done = get("onnx").emit(one_op("relu", {}, ((2, 3, 3),)), {}, tmp_path / "a.onnx", options)
        said = f"the preset {target} has opsets up to {most}, not {opset}: leave out --opset for one of them"
        assert [remark for remark in done.remarks if "preset" in remark] == ([said] if opset > most else [])


def opsets(graph: Graph) -> list[int]:
    """11, 13, 15, 18 and the newest, and those around which a node of a graph of one op gets another form."""
    step = graph.nodes["step"]

    def turns(row: N) -> set[int]:
        return {row.since - 1, row.since}.union(*map(turns, row.older))

    expected = {11, 13, 15, 18, newest()}.union(*map(turns, rows_of(step, [graph.shape(r) for r in step.inputs])))
    end = WITHOUT_A_KERNEL.get(step.op, newest() + 1)
    return sorted(opset for opset in expected if lowest(graph) <= opset < end)


WITHOUT_A_KERNEL = {"roi_align": 22, "deform_roi_pool": 22}
"""The operator sets from which on onnxruntime has no kernel for CPUs."""


@pytest.mark.parametrize("op, attrs, shapes, reference", CASES, ids=IDS)
@pytest.mark.quick(3)
def test_every_operator_set_gives_what_torch_gives(
    op: str, attrs: dict[str, Any], shapes: Shapes, reference: Reference
) -> None:
    graph, inputs = one_op(op, attrs, shapes), arrays_of(shapes, 2)
    weights = draw(graph, seed=3)
    named = {key.removeprefix("step."): torch.from_numpy(value) for key, value in weights.items()}
    expected = reference(*map(torch.from_numpy, inputs.values()), named)
    for opset in opsets(graph):
        model = build_model(graph, weights, OnnxOptions(opset=opset))
        onnx.checker.check_model(model, full_check=True)
        settings = ort.SessionOptions()
        settings.log_severity_level = 3
        session = ort.InferenceSession(model.SerializeToString(), settings, providers=["CPUExecutionProvider"])
        got = session.run(None, inputs)
        for mine, theirs in zip(got, expected if isinstance(expected, tuple | list) else [expected], strict=True):
            assert mine.shape == tuple(theirs.shape), opset
            assert np.abs(mine - theirs.numpy()).max() <= OPS[op].tolerance * np.abs(theirs.numpy()).max(), opset


def test_few_ops_need_more_than_operator_set_11() -> None:
    """Bilinear samples at given places came as operators of their own: RoiAlign with half pixels, DeformConv."""
    needs = {op: lowest(one_op(op, attrs, shapes)) for op, attrs, shapes, _ in CASES}
    assert {op: opset for op, opset in needs.items() if opset > 11} == {
        "roi_align": 16,
        "deform_roi_pool": 16,
        "deform_conv": 19,
    }


@pytest.mark.parametrize("opset", [11, 17, 18])
@pytest.mark.parametrize(
    "pool", ["max_pool: [3, 1]", "max_pool: [2, 1]", "avg_pool: {kernel: 3, stride: 1, pad: 1, count_pad: false}"]
)
def test_a_pad_before_a_pool_stays_one(tmp_path: Path, pool: str, opset: int) -> None:
    """onnxruntime merges a Pad of 0, unless it names its axes, into the pool: negative maxima and counts are others.

    As pads of 2 are for a window of 2, which it then refuses.
    """
    spec = tmp_path / "net.yaml"
    spec.write_text(f"netspec: 1\nname: net\ninput: [2, 6, 6]\nbody:\n  - pad: 2\n  - {pool}\n", encoding="utf-8")
    network, x = netspec.load(spec), noise(1, 2, 6, 6) - 3
    network.to_onnx(tmp_path / "net.onnx", opset=opset)
    with torch.no_grad():
        expected = network.to_torch()(torch.from_numpy(x)).numpy()
    agreement(expected, ort_run(tmp_path / "net.onnx", {"input": x})["output"])


DEFORMED = """\
body:
  - offset = conv: {out: 18, kernel: 3, pad: 1}
  - bent = deform_conv: {out: 4, kernel: 3, pad: 1}
    from: [input, offset]
"""


def test_a_step_that_an_operator_set_lacks_is_named(tmp_path: Path) -> None:
    with pytest.raises(SpecError) as info:
        emit(load(tmp_path, DEFORMED), tmp_path, opset=17)
    (found,) = info.value.diagnostics
    assert found.message == "'bent' ('deform_conv') becomes DeformConv, which opset 17 lacks, or has in another form"
    assert found.help == "--opset 19 is the first that has it"
    assert found.span is not None and found.span.line == 8
    assert [p.name for p in tmp_path.iterdir()] == ["net.yaml"]
    assert emit(load(tmp_path, DEFORMED), tmp_path).opset_import[0].version == 19


def test_the_steps_of_a_line_that_an_operator_set_lacks_are_one_error(tmp_path: Path) -> None:
    """Three deformable convolutions by a loop: the line is printed once."""
    text = """\
blocks:
  bend:
    examples: [{input: [4, 12, 12]}]
    body:
      - o = conv: {out: 18, kernel: 3, pad: 1}
      - deform_conv: {out: 4, kernel: 3, pad: 1}
        from: [x, o]
body:
  - bend:
    repeat: 3
"""
    with pytest.raises(SpecError) as info:
        emit(load(tmp_path, text), tmp_path, opset=17)
    (found,) = info.value.diagnostics
    assert "and 2 more of this line become DeformConv" in found.message


def test_a_preset_leaves_the_operator_set_to_a_type_that_needs_a_newer_one(tmp_path: Path) -> None:
    """bfloat16 of a convolution came with opset 22, and OpenVINO runs it."""
    if onnx.defs.onnx_opset_version() < 22:
        pytest.skip("opset 22 is the first in which Conv takes bfloat16")
    model = emit(load(tmp_path, "body: [conv: [2, 1], relu]\n"), tmp_path, for_="openvino", dtype="bfloat16")
    assert model.opset_import[0].version == 22
    with pytest.raises(SpecError) as info:
        emit(load(tmp_path, "body: [conv: [2, 1], relu]\n"), tmp_path, for_="openvino", dtype="bfloat16", opset=18)
    assert "takes no bfloat16 in opset 18" in info.value.diagnostics[0].message


def test_the_ir_version_is_the_lowest_of_the_operator_set(tmp_path: Path) -> None:
    graph = load(tmp_path, "body: [conv: [2, 1], relu]\n")
    assert {opset: versions(graph, OnnxOptions(opset=opset))[1] for opset in NEWEST_IR} == NEWEST_IR
    assert versions(graph, OnnxOptions()) == (18, 8)
    assert versions(graph, OnnxOptions(opset=11, functions="keep")) == (11, 8), "functions came with IR version 8"
    assert versions(graph, OnnxOptions(ir_version=10)) == (18, 10)


def test_gelu_is_one_operator_where_the_set_has_it(tmp_path: Path) -> None:
    graph = load(tmp_path, "body: [conv: [2, 1], gelu]\n")
    kinds = {opset: [n.op_type for n in emit(graph, tmp_path, opset=opset).graph.node] for opset in (19, 20)}
    assert kinds[20] == ["Conv", "Gelu"]
    assert [kind for kind in kinds[19] if kind != "Constant"] == ["Conv", "Div", "Erf", "Add", "Mul", "Mul"]


def test_the_presets_are_the_targets() -> None:
    assert tuple(PRESETS) == get_args(Target)


@pytest.mark.parametrize("target", PRESETS)
@pytest.mark.parametrize("spec", SPECS)
@pytest.mark.quick(1)
def test_a_preset_gives_the_network(tmp_path: Path, target: Target, spec: str) -> None:
    graph, preset = load(tmp_path, SPECS[spec]), PRESETS[target]
    model = emit(graph, tmp_path, for_=target)
    onnx.checker.check_model(str(tmp_path / "net.onnx"), full_check=True)
    assert not model.functions
    assert (model.opset_import[0].version, model.ir_version) == (preset.opset, preset.ir_version)
    assert shapes(model.graph.input) == {"input": (preset.batch or "N", 4, 12, 12)}
    x = {"input": noise(preset.batch or 3, 4, 12, 12)}
    agreement(ort_run(tmp_path / "net.onnx", x), get("torch").run(graph, draw(graph, 1), x).outputs)


@pytest.mark.parametrize("level", [None, 2])
@pytest.mark.parametrize("target", PRESETS)
@pytest.mark.quick(2)
def test_python_writes_for_every_preset_what_the_command_line_does(
    tmp_path: Path, target: Target, level: Level | None
) -> None:
    netspec.load("lenet5").to_onnx(tmp_path / "python.onnx", for_=target, level=level, seed=3)
    more = ["--for", target, *(["-O2"] if level else []), "--seed", "3", "-o", str(tmp_path / "line.onnx")]
    assert CliRunner().invoke(cli, ["compile", "lenet5", "--to", "onnx", *more]).exit_code == 0
    assert (tmp_path / "python.onnx").read_bytes() == (tmp_path / "line.onnx").read_bytes()


@pytest.mark.slow
def test_functions_are_refused_for_what_refuses_them(tmp_path: Path) -> None:
    """OpenVINO 2026.4, MNN 3.6, tract 0.23 and OpenCV 5.0 end with an error at a call of a function."""
    graph = load(tmp_path, "blocks: {b: {body: [conv: [4, 3], relu: ]}}\nbody: [b, b]\n")
    for target in ("openvino", "mnn", "tract", "opencv"):
        with pytest.raises(UsageError, match=f"--functions keep is not for {target}"):
            emit(graph, tmp_path, for_=target, functions="keep")
    said = {}
    for target in (None, "onnxruntime", "browser"):
        options = OnnxOptions(for_=target, functions="keep")  # type: ignore[arg-type]
        said[target] = get("onnx").emit(graph, draw(graph, 1), tmp_path / "net.onnx", options).remarks
    assert not said["onnxruntime"] and not said["browser"]
    assert "OpenVINO, MNN's converter, tract, OpenCV's dnn refuse" in said[None][0]
    assert not get("onnx").emit(graph, draw(graph, 1), tmp_path / "net.onnx", OnnxOptions()).remarks


def test_what_is_asked_for_overrules_a_preset(tmp_path: Path) -> None:
    model = emit(load(tmp_path, NESTED), tmp_path, for_="ncnn", opset=15, batch=4, functions="keep")
    assert model.functions and model.opset_import[0].version == 15
    assert shapes(model.graph.input) == {"input": (4, 4, 12, 12)}


REGIONS = "netspec: 1\nname: net\ninput: {map: [4, 12, 12], rois: {shape: [R, 5]}}\n"
ALIGNED = "body:\n  - roi_align: {size: 2}\n    from: [map, rois]\n"


@pytest.mark.parametrize("target", ["mnn", "opencv", pytest.param("browser", marks=pytest.mark.slow)])
def test_a_network_that_needs_more_than_a_preset_gets_what_the_runtime_takes(tmp_path: Path, target: Target) -> None:
    graph = load(tmp_path, ALIGNED, REGIONS)
    assert versions(graph, OnnxOptions(for_=target)) == (16, 8), "RoiAlign has its half pixels from opset 16 on"
    with pytest.raises(SpecError):
        versions(graph, OnnxOptions(for_=target, opset=PRESETS[target].opset))


@pytest.mark.parametrize("options", [{}, {"for_": "tract"}, {"for_": "browser"}])
def test_inner_shapes_have_no_symbol(options: dict[str, Any], tmp_path: Path) -> None:
    """tract, told the sizes of an input, cannot make one of a symbol and a number."""
    body = "body:\n  - roi_avg_pool: {size: 2}\n    from: [map, rois]\n  - relu\n"
    model = emit(load(tmp_path, body, REGIONS), tmp_path, **options)
    onnx.checker.check_model(str(tmp_path / "net.onnx"), full_check=True)
    assert shapes(model.graph.output) == {"output": ("R", 4, 2, 2)}
    inner = shapes(model.graph.value_info)
    assert {shape for name, shape in inner.items() if "roi" in name} == {(None, 4, 2, 2)}
    assert not any(isinstance(size, str) for shape in inner.values() for size in shape)


@pytest.mark.parametrize("target", ["ncnn", "tract"])
def test_a_network_that_needs_more_than_its_runtime_takes_is_refused(tmp_path: Path, target: Target) -> None:
    with pytest.raises(SpecError) as error:
        versions(load(tmp_path, ALIGNED, REGIONS), OnnxOptions(for_=target))
    assert "RoiAlign" in error.value.diagnostics[0].message
    assert "was not seen to run it: without --for" in error.value.diagnostics[0].help


def test_the_help_shows_the_presets() -> None:
    text = CliRunner().invoke(cli, ["compile", "--help"]).output
    lines = [line.split() for line in text.splitlines()]
    for name, preset in PRESETS.items():
        assert [name, *preset.shown] in lines


@pytest.mark.parametrize("functions", ["inline", pytest.param("keep", marks=pytest.mark.slow)])
def test_a_fixed_batch_leaves_no_symbol(tmp_path: Path, functions: str) -> None:
    graph = load(tmp_path, NESTED)
    model = emit(graph, tmp_path, batch=3, functions=functions)
    values = shapes([*model.graph.input, *model.graph.value_info, *model.graph.output])
    assert all(isinstance(size, int) for shape in values.values() for size in shape)
    assert {shape[0] for shape in values.values()} == {3}
    x = {"input": noise(3, 4, 12, 12)}
    agreement(ort_run(tmp_path / "net.onnx", x), get("torch").run(graph, draw(graph, 1), x).outputs)


def test_a_fixed_batch_leaves_other_symbols(tmp_path: Path) -> None:
    head = "netspec: 1\nname: net\ninput: {map: [4, 12, 12], rois: {shape: [R, 5]}}\n"
    body = "body:\n  - roi_align: {size: 2}\n    from: [map, rois]\n"
    model = emit(load(tmp_path, body, head), tmp_path, batch=2)
    assert shapes([*model.graph.input, *model.graph.output]) == {
        "map": (2, 4, 12, 12),
        "rois": ("R", 5),
        "output": ("R", 4, 2, 2),
    }


def test_the_command_line_has_the_batch_and_the_preset(tmp_path: Path) -> None:
    path = tmp_path / "net.onnx"
    done = CliRunner().invoke(cli, ["compile", "lenet5", "--to", "onnx", "--for", "ncnn", "-b", "2", "-o", str(path)])
    assert done.exit_code == 0 and "opset 11, IR version 6" in done.stderr
    assert onnx.load(path).graph.input[0].type.tensor_type.shape.dim[0].dim_value == 2
    done = CliRunner().invoke(cli, ["compile", "lenet5", "--to", "torch", "-b", "2"], standalone_mode=False)
    assert "-b goes with --to onnx" in str(done.exception)
