"""Free heights and widths: the model is that of the spec at every size that it says, or a step is named."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from click.testing import CliRunner
from conformance import CASES, IDS, Reference, Shapes, arrays_of, one_op
from conftest import agreement
from netspec_onnx.build_model import build_model
from netspec_onnx.dynamic import free_sizes
from netspec_onnx.options import OnnxOptions
from netspec_onnx.runtime import run_model
from onnx_harness import HEAD, noise, ort_run, shapes

import netspec
from netspec.backend import get
from netspec.cli.main import cli
from netspec.diagnostics.errors import Diagnostic, SpecError, UsageError
from netspec.ir.graph import Graph
from netspec.network import ExportWarning
from netspec.ops import OPS, OpError
from netspec.weights.initialise import draw

GROWN = """\
blocks:
  shuffled: {body: [conv: [8, 1], channel_shuffle: 2, subsample: 2]}
body:
  - conv: {out: 8, kernel: 3, pad: 1}
  - shuffled
  - group_norm: {groups: 2}
  - lrn: {size: 3, alpha: 1.0, beta: 0.5, k: 1.0}
  - crop: {offset: 1, size: "=[lrn.height - 1, lrn.width - 1]"}
  - tail = tee: [upsample: {size: "=[crop.height * 2, crop.width * 2]", mode: nearest}]
  - adaptive_avg_pool: 1
  - flatten
  - linear: {out: 3, init: {weight: {normal: 1.0}}}
outputs: {scores: linear, map: tail}
"""


def written(folder: Path, text: str, head: str = HEAD, **options: Any) -> tuple[netspec.Network, onnx.ModelProto]:
    path = folder / "net.yaml"
    path.write_text(head + text, encoding="utf-8")
    network = netspec.load(path)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExportWarning)  # of sizes in steps, which each test reads in the file
        network.to_onnx(folder / "net.onnx", seed=1, dynamic=True, **options)
    return network, onnx.load(folder / "net.onnx")


def says(model: onnx.ModelProto) -> str:
    return {p.key: p.value for p in model.metadata_props}["netspec.sizes"]


def agrees_at(folder: Path, *size: int) -> None:
    """The model that was written gives what PyTorch gives of the spec at another size."""
    other, x = netspec.load(folder / "net.yaml", input=size), {"input": noise(2, *size)}
    onnx.checker.check_model(str(folder / "net.onnx"), full_check=True)
    agreement(ort_run(folder / "net.onnx", x), get("torch").run(other.inference, other.arrays(1), x).outputs)


@pytest.mark.parametrize(
    ("opset", "level"),
    [(18, 1), pytest.param(11, 0, marks=pytest.mark.slow), pytest.param(13, 2, marks=pytest.mark.slow)],
)
def test_a_model_of_free_sizes_is_the_network_at_each(tmp_path: Path, opset: int, level: Any) -> None:
    _, model = written(tmp_path, GROWN, opset=opset, level=level)
    assert says(model) == "height and width are free"
    assert shapes([*model.graph.input, *model.graph.output]) == {
        "input": ("N", 4, "height", "width"),
        "scores": ("N", 3),
        "map": ("N", 8, None, None),  # of no name: neither the input's height nor its width
    }
    inner = shapes(model.graph.value_info).values()
    assert inner and all({*map(type, shape)} <= {int, type(None)} for shape in inner)
    for size in ((4, 12, 12), (4, 37, 22)):
        agrees_at(tmp_path, *size)


@pytest.mark.parametrize("pool", ["global_avg_pool", "adaptive_avg_pool: 1"])
@pytest.mark.quick(1)
def test_what_does_nothing_at_one_size_alone_stays(tmp_path: Path, pool: str) -> None:
    """The map is one cell at the size of the spec."""
    body = f"body:\n  - conv: {{out: 8, kernel: 3, stride: 12}}\n  - {pool}\n  - flatten\n  - linear: 3\n"
    written(tmp_path, body, level=1)
    agrees_at(tmp_path, 4, 12, 12)
    agrees_at(tmp_path, 4, 36, 27)


@pytest.mark.parametrize("pool", ["global_avg_pool", pytest.param("avg_pool: [1, 2]", marks=pytest.mark.slow)])
def test_a_pass_changes_at_every_size_what_it_changes_at_one(tmp_path: Path, pool: str) -> None:
    """The map is one cell at the size of the spec, so that a pool makes none smaller there."""
    body = f"body:\n  - conv: {{out: 8, kernel: 3, stride: 12}}\n  - conv: [3, 1]\n  - {pool}\n"
    _, model = written(tmp_path, body, level=2)
    assert [node.op_type for node in model.graph.node][1:] == [POOLS[pool], "Conv"]
    agrees_at(tmp_path, 4, 12, 12)
    agrees_at(tmp_path, 4, 36, 27)


POOLS = {"global_avg_pool": "GlobalAveragePool", "avg_pool: [1, 2]": "AveragePool"}


@pytest.mark.slow
def test_a_size_that_is_kept_has_the_name_of_the_inputs(tmp_path: Path) -> None:
    _, model = written(tmp_path, "body: [conv: {out: 2, kernel: 3, pad: 1}]\n")
    assert shapes(model.graph.output) == {"output": ("N", 2, "height", "width")}


@pytest.mark.slow
def test_several_inputs_have_names_of_their_own_unless_they_are_alike(tmp_path: Path) -> None:
    head = "netspec: 1\nname: net\ninput: {left: [1, 8, 8], right: [1, 8, 8], low: [1, 4, 8]}\n"
    body = "body:\n  - add:\n    from: [left, right]\n  - deep = conv: [1, 1]\n    from: low\noutputs: [add, deep]\n"
    _, model = written(tmp_path, body, head)
    assert shapes([*model.graph.input, *model.graph.output]) == {
        "left": ("N", 1, "height", "width"),
        "right": ("N", 1, "height", "width"),
        "low": ("N", 1, "low_height", "width"),
        "add": ("N", 1, "height", "width"),
        "deep": ("N", 1, "low_height", "width"),
    }


@pytest.mark.slow
@pytest.mark.parametrize(
    ("pool", "step"), [("max_pool: {kernel: 3, stride: 2, ceil: true}", 4), ("max_pool: {kernel: 2, stride: 2}", 1)]
)
def test_a_pool_that_rounds_up_is_named_with_its_steps(tmp_path: Path, pool: str, step: int) -> None:
    """Two of stride 2 round alike every 4 pixels; with floor they are the same operator at every size."""
    network, model = written(tmp_path, f"body: [one = {pool}, two = {pool}]\n")
    assert says(model).startswith("height and width are free" + " in steps of 4" * (step > 1))
    assert step == 1 or "'one' ('max_pool') is another one at 4x12x12 than at 4x13x14" in says(model)
    for k in (1, 2, 5):
        agrees_at(tmp_path, 4, 12 + step * k, 12 + step * (k + 1))


@pytest.mark.slow
def test_branches_that_meet_at_some_sizes_alone(tmp_path: Path) -> None:
    """A U: what is halved and doubled has the size of its copy where it is even."""
    body = (
        "body:\n  - add:\n      kept: []\n"
        "      low: [max_pool: {kernel: 2, stride: 2}, conv: [4, 1], upsample: {scale: 2, mode: nearest}]\n"
    )
    _, model = written(tmp_path, body)
    assert says(model).startswith(
        "height and width are free in steps of 2 from 4x12x12 on: with 1 row and 2 columns more"
    )
    agrees_at(tmp_path, 4, 18, 34)


def test_a_pyramid_behind_gates_has_steps(tmp_path: Path) -> None:
    """Squeeze and excitation reads the whole map, and the maps that meet later have their strides none the less."""
    text = (
        "blocks:\n  se: {body: [mul: {value: [], gate: [global_avg_pool, conv: [=x.channels, 1], sigmoid]}]}\n"
        "  stage: {body: [conv: [8, 3, 2, 1], relu, se]}\n"
        "body:\n  - stem = stage\n  - low = stage\n  - high = stage\n"
        "  - up = upsample: {scale: 2, mode: nearest}\n"
        "  - lateral = add:\n    from: [up, low]\n  - upsample: {scale: 4, mode: bilinear}\n"
    )
    _, model = written(tmp_path, text, "netspec: 1\nname: net\ninput: [3, 16, 16]\n")
    assert says(model).startswith("height and width are free in steps of 8 from 3x16x16 on")
    agrees_at(tmp_path, 3, 24, 48)


@pytest.mark.parametrize(
    ("body", "message", "line"),
    [
        pytest.param("flatten, linear: 3", "'linear' ('linear') has a weight of 3x576 at 4x12x12", 6, id="linear"),
        pytest.param(
            "adaptive_avg_pool: 5",
            "'adaptive_avg_pool' ('adaptive_avg_pool') is another one at 4x12x12",
            6,
            id="means",
            marks=pytest.mark.slow,
        ),
        pytest.param(
            "upsample: {size: 31, mode: nearest}",
            "'upsample' ('upsample') is another one at",
            6,
            id="upsample",
            marks=pytest.mark.slow,
        ),
    ],
)
def test_a_step_that_does_not_allow_it_is_named(tmp_path: Path, body: str, message: str, line: int) -> None:
    with pytest.raises(SpecError) as info:
        written(tmp_path, f"body: [{body}]\n")
    (found,) = info.value.diagnostics
    assert message in found.message and found.code == "NS603"
    assert found.span is not None and found.span.line == line
    assert [p.name for p in tmp_path.iterdir()] == ["net.yaml"]


def test_the_command_line_says_which_sizes(tmp_path: Path) -> None:
    path, spec = tmp_path / "net.onnx", tmp_path / "net.yaml"
    spec.write_text(HEAD + "body:\n  - max_pool: {kernel: 3, stride: 2, ceil: true}\n", encoding="utf-8")
    done = CliRunner().invoke(cli, ["compile", str(spec), "--to", "onnx", "--dynamic", "-b", "1", "-o", str(path)])
    assert done.exit_code == 0, done.stderr
    said = " ".join(done.stderr.split())
    assert "note: height and width are free in steps of 2 from 4x12x12 on: 'max_pool' ('max_pool')" in said
    assert "net.yaml:7:5" in said
    assert shapes(onnx.load(path).graph.input) == {"input": (1, 4, "height", "width")}


def test_what_has_no_spec_or_no_map_has_no_free_sizes() -> None:
    graph = one_op("linear", {"out": 2}, ((3,),))
    with pytest.raises(UsageError, match="needs the spec"):
        free_sizes(graph, OnnxOptions(dynamic=True))
    with pytest.raises(UsageError, match="no input of this network has a height"):
        free_sizes(graph, OnnxOptions(dynamic=True, resized=lambda rows, columns: graph))


def larger(op: str, attrs: dict[str, Any], shapes: Shapes) -> Callable[[int, int], Graph]:
    def made(rows: int, columns: int) -> Graph:
        try:
            return one_op(op, attrs, grown(shapes, rows, columns))
        except OpError as e:
            raise SpecError([Diagnostic(e.code, str(e), None)]) from None

    return made


def grown(shapes: Shapes, rows: int, columns: int) -> Shapes:
    return tuple((s[0], s[1] + rows, s[2] + columns) if len(s) == 3 else s for s in shapes)


MAPS = [pytest.param(*case, id=id) for case, id in zip(CASES, IDS, strict=True) if any(len(s) == 3 for s in case[2])]


@pytest.mark.slow
@pytest.mark.parametrize("op, attrs, shapes, reference", MAPS)
def test_an_op_gives_what_torch_gives_at_larger_sizes_or_is_refused(
    op: str, attrs: dict[str, Any], shapes: Shapes, reference: Reference
) -> None:
    graph, options = one_op(op, attrs, shapes), OnnxOptions(dynamic=True, resized=larger(op, attrs, shapes))
    try:
        sizes = free_sizes(graph, options)
    except SpecError as e:
        assert op in SIZED or "it is no network" in str(e)  # the sizes of its operands depend on each other
        return
    weights = draw(graph, seed=3)
    model = build_model(graph, weights, options)
    named = {key.removeprefix("step."): torch.from_numpy(value) for key, value in weights.items()}
    for rows, columns in ((0, 0), (3 * sizes.step, sizes.step), (5 * sizes.step, 9 * sizes.step)):
        inputs = arrays_of(grown(shapes, rows, columns), 2)
        expected = reference(*map(torch.from_numpy, inputs.values()), named)
        found = run_model(model, inputs, repeat=0).outputs
        for mine, theirs in zip(
            found.values(), expected if isinstance(expected, tuple | list) else [expected], strict=True
        ):
            assert mine.shape == tuple(theirs.shape)
            assert np.abs(mine - theirs.numpy()).max() <= OPS[op].tolerance * np.abs(theirs.numpy()).max()


SIZED = {"adaptive_avg_pool", "crop", "flatten", "roi_avg_pool", "deform_roi_avg_pool", "upsample"}
"""The ops that are written for one size where they are refused: to a size, or with matrices of means."""
