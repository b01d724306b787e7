"""What is said of models in int8: each output by its name, what is suggested, and that nothing is in int8."""

from __future__ import annotations

import csv
import re
import warnings
from pathlib import Path

import numpy as np
import onnxruntime as ort
import pytest
from int8_harness import INT8, SPEC, pictures, written
from netspec_onnx.options import OnnxOptions

from netspec.cli.main import run
from netspec.network import ExportWarning, load

TWO = SPEC.replace("  - global_avg_pool", "  - scores = tee: [conv: [2, 1], sigmoid]\n  - global_avg_pool") + (
    "outputs: {classes: fc, map: scores}\n"
)
PLACES = ("netspec_onnx.quantize.ENOUGH", "netspec_onnx.quantize_report.ENOUGH")


@pytest.fixture
def net(folder: Path) -> Path:
    Path("net.yaml").write_text(SPEC)
    Path("two.yaml").write_text(TWO)
    np.savez(folder / "images.npz", input=pictures(12))
    return folder


def values(name: str, output: str) -> np.ndarray:
    session = ort.InferenceSession(name, providers=["CPUExecutionProvider"])
    return np.concatenate([session.run([output], {"input": x[None]})[0] for x in pictures(12)]).astype(np.float64)


@pytest.mark.slow
def test_each_output_is_named_with_its_own_ratios(net: Path) -> None:
    """They are numpy's, of the values of both files."""
    written(OnnxOptions(), "f.onnx", "two.yaml")
    done, _ = written(INT8, spec="two.yaml")
    for name in ("classes", "map"):
        x, q = (values(file, name) for file in ("f.onnx", "q.onnx"))
        said = re.search(
            rf"at the output {name}: ([\d.]+) dB, centred over 12 images ([\d.]+) dB", "\n".join(done.remarks)
        )
        e = q - x
        expected = [(x**2).sum() / (e**2).sum(), ((x - x.mean(0)) ** 2).sum() / ((e - e.mean(0)) ** 2).sum()]
        assert said and [float(said[1]), float(said[2])] == pytest.approx(10 * np.log10(expected), abs=0.06)
    assert len(done.remarks) == 2 and set(done.remarks) == done.facts


@pytest.mark.slow
@pytest.mark.parametrize("spec", ["net.yaml", "two.yaml"])
def test_what_is_suggested_is_shown_and_leaves_something_in_int8(
    net: Path, spec: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every suggested path stands for rows of the report, as many as are said; with them the worst output has it."""
    first, _ = written(OnnxOptions(dtype="int8", calibrate="images.npz", keep_float=()), spec=spec)
    lowest = min(float(n) for line in first.remarks for n in re.findall(r"images ([\d.]+) dB", line))
    for place in PLACES:
        monkeypatch.setattr(place, lowest + 1)
    done, _ = written(OnnxOptions(dtype="int8", calibrate="images.npz", keep_float=(), report="r.csv"), spec=spec)
    rows = [row["step"] for row in csv.DictReader(Path("r.csv").read_text().splitlines())]
    said = re.search(r"^([\d.]+) dB centred with (\d) of (\d) layers in float32: --keep-float (\S+)$", done.remarks[-1])
    assert said and int(said[2]) < int(said[3]) == len(rows) and not set(done.remarks) & done.facts
    kept = {row for path in said[4].split(",") for row in rows if row == path or row.startswith(f"{path}.")}
    assert len(kept) == int(said[2])
    for path in said[4].split(","):
        assert any(row == path or row.startswith(f"{path}.") for row in rows), f"{path} is no row of the report"
    again, _ = written(
        OnnxOptions(dtype="int8", calibrate="images.npz", keep_float=tuple(said[4].split(","))), spec=spec
    )
    reached = min(float(n) for line in again.remarks for n in re.findall(r"images ([\d.]+) dB", line))
    assert reached == float(said[1]) >= lowest + 0.9


@pytest.mark.slow
def test_all_in_float_is_never_suggested(net: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """More than int8 can give is asked for: only a network without any of it would do."""
    for place in PLACES:
        monkeypatch.setattr(place, 200.0)
    done, model = written(INT8)
    assert "no choice of layers that was tried gives 200 dB centred" in done.remarks[-1]
    assert any(node.op_type == "QuantizeLinear" for node in model.graph.node)


def test_a_model_of_nothing_in_int8_is_said_to_be_one(net: Path, capsys: pytest.CaptureFixture[str]) -> None:
    line = ["compile", "net.yaml", "--to", "onnx", "--dtype", "int8", "--calibrate", "images.npz", "-o", "q.onnx"]
    assert run([*line, "--keep-float", "*"]) == 0
    said = capsys.readouterr().err
    layers = sum(bool(n.result.weights) for n in load("net.yaml").graph.nodes.values() if n.op in ("conv", "linear"))
    assert f"note: nothing is in int8: all {layers + 1} layers are in float32" in said  # and the sum of the branches
    assert ", nothing of it in int8" in said and "dB" not in said


def test_python_warns_of_what_a_model_loses_and_of_nothing_else(net: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """At the line that asks, in Python's words; a model that is good enough gives no warning."""
    asked = {"dtype": "int8", "calibrate": "images.npz", "keep_float": ()}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        load("net.yaml").to_onnx("q.onnx", **asked)
    lines = "\n".join(written(OnnxOptions(**asked))[0].remarks)  # type: ignore[arg-type]
    reached = float(re.findall(r"images ([\d.]+) dB", lines)[0])
    for place in PLACES:
        monkeypatch.setattr(place, reached + 1)
    with pytest.warns(ExportWarning) as given:
        load("net.yaml").to_onnx("q.onnx", **asked)
    said = [str(one.message) for one in given]
    assert {Path(one.filename) for one in given} == {Path(__file__)}
    assert "signal to noise at the output" in said[0] and re.search(r'float32: keep_float="[\w.,]+"$', said[-1])


def test_python_warns_of_sizes_in_steps(folder: Path) -> None:
    head = "netspec: 1\nname: net\ninput: [1, 8, 8]\nbody: "
    for name, body in (
        ("any", "[conv: [2, 3, 1, 1]]"),
        ("steps", "[add: {a: [], b: [max_pool: [2, 2], upsample: [2, nearest]]}]"),
    ):
        Path(f"{name}.yaml").write_text(head + body + "\n")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        load("any.yaml").to_onnx("a.onnx", dynamic=True)
    with pytest.warns(ExportWarning, match="^height and width are free in steps of 2 from 1x8x8 on"):
        load("steps.yaml").to_onnx("s.onnx", dynamic=True)
