"""Models in float16: constants that it cannot hold stay in float32, or are refused at their step."""

from __future__ import annotations

import random
import re
from pathlib import Path

import numpy as np
import onnx
import pytest
from click.testing import CliRunner
from conformance import CASES as SAMPLES
from conformance import IDS, ROIS, arrays_of, one_op
from edges import edges
from netspec_onnx.build_model import build_model
from netspec_onnx.options import OnnxOptions
from test_edge_values import compiled, small

from netspec.backend import get
from netspec.cli.main import cli, run
from netspec.diagnostics.errors import SpecError
from netspec.network import load
from netspec.ops import OPS
from netspec.weights.initialise import draw

CASES = Path(__file__).parent / "cases"
HALF = OnnxOptions(dtype="float16", io_dtype="float16")


def constants(model: onnx.ModelProto) -> dict[str, np.ndarray]:
    """The floating-point constants of a model by name."""
    found = {
        n.output[0]: onnx.numpy_helper.to_array(n.attribute[0].t) for n in model.graph.node if n.op_type == "Constant"
    }
    return {name: value for name, value in found.items() if value.dtype.kind == "f"}


def test_a_small_eps_divides_by_no_zero() -> None:
    graph = load(CASES / "fp16_small_eps.yaml").inference
    x = np.random.default_rng(0).standard_normal((2, 4, 2, 2)).astype(np.float16)
    x[1] = -1  # relu makes zeros of it
    (got,) = get("onnx").run(graph, {}, {"input": x}, options=HALF).outputs.values()
    held = np.maximum(x.astype(np.float64), 0)
    expected = (held / np.maximum(np.sqrt((held**2).sum(1, keepdims=True)), 1e-12)).reshape(2, -1)
    assert got.dtype == np.float16 and np.abs(got - expected).max() < 1e-3


def test_a_large_scale_is_refused_at_its_step(tmp_path: Path) -> None:
    target = tmp_path / "x.onnx"
    done = CliRunner().invoke(
        cli,
        ["compile", str(CASES / "fp16_large_scale.yaml"), "--to", "onnx", "--dtype", "float16", "-o", str(target)],
        standalone_mode=False,
    )
    assert isinstance(done.exception, SpecError)
    (error,) = done.exception.diagnostics
    assert error.code == "NS603" and str(error.span).endswith("fp16_large_scale.yaml:5:5")
    assert "'scale' of 'affine' is 100000, beyond float16's 65504" in error.message
    assert not target.exists()


@pytest.mark.parametrize(
    "op, attrs",
    [
        ("affine", {"scale": 7e4}),
        ("affine", {"shift": -1e5}),
        ("affine", {"power": 1e5}),
        ("leaky_relu", {"slope": 1e5}),
        ("lrn", {"size": 3, "alpha": 1e5}),
        ("lrn", {"size": 3, "k": 1e5}),
    ],
)
def test_a_number_beyond_float16_is_refused_wherever_it_stands(op: str, attrs: dict[str, float]) -> None:
    graph = one_op(op, attrs, ((6, 4, 4),))
    with pytest.raises(SpecError, match="beyond float16"):
        build_model(graph, {}, HALF)
    build_model(graph, {}, OnnxOptions())


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("count", [pytest.param(2, id="some"), pytest.param(30, id="many", marks=pytest.mark.slow)])
@pytest.mark.parametrize("name", sorted(set(OPS) - {"input"}))
@pytest.mark.quick(12)
def test_constants_keep_their_values_and_results_are_near_single(name: str, count: int) -> None:
    """Whatever an op writes as a constant is within 2^-10 of what it writes in float32."""
    candidates = list(edges(OPS[name]))
    random.Random(f"half {name}").shuffle(candidates)
    ran = 0
    for edge in candidates:
        if (graph := compiled(edge)) is None or not small(graph):
            continue
        weights = {k: v.astype(np.float16).astype(np.float32) for k, v in draw(graph, seed=3).items()}
        try:
            half = constants(build_model(graph, weights, HALF))
        except SpecError:
            continue
        single = constants(build_model(graph, weights, OnnxOptions()))
        assert half.keys() == single.keys()
        for key, value in single.items():
            error = np.abs(half[key].astype(np.float64) - value)[np.isfinite(value)]
            assert (error <= 2.0**-10 * np.abs(value[np.isfinite(value)])).all(), f"{edge}: {key}"
        ran += 1
        if edge.shapes[1:2] != (ROIS,):  # whether a sample is inside the map hangs on the last bit
            inputs = {k: v.astype(np.float16).astype(np.float32) for k, v in arrays_of(edge.shapes, 2).items()}
            expected = get("onnx").run(graph, weights, inputs).outputs
            got = get("onnx").run(graph, weights, inputs, options=HALF).outputs
            for key, value in expected.items():
                size = np.abs(value).max()
                if size < 6e4:  # float16 ends at 65504; inf and NaN are not below
                    assert np.abs(got[key] - value).max() <= 5e-3 * size + 1e-6, edge
        if ran >= count:
            break
    assert ran


@pytest.mark.parametrize("op, attrs, shapes", [s[:3] for s in SAMPLES], ids=IDS)
@pytest.mark.quick(40)
def test_samples_need_no_casts(op: str, attrs: dict[str, object], shapes: tuple[tuple[int, ...], ...]) -> None:
    """Ordinary constants stay in float16: a model has casts where they are needed alone."""
    single, half = (
        build_model(one_op(op, attrs, shapes), draw(one_op(op, attrs, shapes)), options)
        for options in (OnnxOptions(), HALF)
    )
    values = [value[np.isfinite(value)].astype(np.float64) for value in constants(single).values()]
    if all((np.abs(v.astype(np.float16) - v) <= 2.0**-10 * np.abs(v)).all() for v in values):  # an eps of 1e-6 is not
        assert [n.op_type for n in half.graph.node] == [n.op_type for n in single.graph.node]


def test_a_variance_that_float16_loses_is_refused() -> None:
    graph = one_op("batch_norm", {"eps": 1e-9}, ((6, 4, 4),))
    weights = draw(graph)
    build_model(graph, weights, HALF)
    weights["step.running_var"][2] = 3e-8
    with pytest.raises(SpecError, match="variance 'step.running_var'"):
        build_model(graph, weights, HALF)
    build_model(graph, weights, OnnxOptions())
    build_model(one_op("batch_norm", {"eps": 1e-3}, ((6, 4, 4),)), weights, HALF)  # eps hides the loss


FOLDED = """\
netspec: 1
name: net
use: [blocks/common]
input: [3, 8, 8]
body:
  - stem = conv_bn: [4, 3]
"""


@pytest.mark.parametrize("options, code", [([], 1), (["--opset", "18"], 1), (["-O0"], 0), (["--dtype", "bfloat16"], 0)])
def test_a_folded_weight_beyond_float16_is_refused_at_its_step(
    options: list[str], code: int, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A scale of 1000 by a variance of 1e-6 fits; the weight that both are folded into is beyond, and both ways out."""
    Path("net.yaml").write_text(FOLDED)
    weights = draw(load("net.yaml").inference, 1)
    weights["stem.bn.weight"][:], weights["stem.bn.running_var"][:] = 1e3, 1e-6
    largest = np.abs(weights["stem.conv.weight"]).max() * 1e3 / np.sqrt(1e-6 + 1e-5)
    np.savez("w.npz", **weights)
    command = ["compile", "net.yaml", "--to", "onnx", "--dtype", "float16", "--weights", "w.npz", "-o", "net.onnx"]
    assert run([*command, *options]) == code
    said = capsys.readouterr().err
    assert Path("net.onnx").exists() == (code == 0)
    if code:
        first, *rest = said.splitlines()
        assert re.match(r".*common\.yaml:\d+:\d+: error\[NS603\]: the weight 'stem\.conv\.weight' of 'conv'", first)
        held = re.search(r"holds ([\d.e+]+), beyond float16's 65504, with 'stem\.bn' folded into it", first)
        assert held and float(held[1]) == pytest.approx(largest, rel=1e-5)
        assert any("in conv_bn, called at net.yaml:6:12 as stem" in line for line in rest)
        wider = "float32" if options else "bfloat16 or float32"
        assert rest[-1] == f"   help: --dtype {wider} has the range; -O0 folds nothing"


def test_a_weight_beyond_float16_is_refused_beside_an_infinite_one() -> None:
    graph = one_op("channel_scale", {}, ((6, 4, 4),))
    with pytest.raises(SpecError, match="holds 70000, beyond float16's 65504"):
        build_model(graph, {"step.weight": np.array([np.inf, 7e4, 1, 1, 1, 1], np.float32)}, HALF)
    build_model(graph, {"step.weight": np.array([np.inf, 6e4, 1, 1, 1, 1], np.float32)}, HALF)


@pytest.mark.parametrize("target", ["torch", "json"])
@pytest.mark.parametrize(
    "option",
    [["--dtype", "float16"], ["--opset", "18"], ["--functions", "inline"], ["--external-data"], ["--no-external-data"]],
)
def test_an_option_of_onnx_is_no_option_of_another_target(target: str, option: list[str], tmp_path: Path) -> None:
    done = CliRunner().invoke(
        cli, ["compile", "lenet5", "--to", target, *option, "-o", str(tmp_path / "x.py")], standalone_mode=False
    )
    assert "goes with --to onnx" in str(done.exception) and not list(tmp_path.iterdir())
