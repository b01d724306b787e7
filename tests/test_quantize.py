"""Models in int8: what is written, what is said of it against numpy's own figures, and input that is refused."""

from __future__ import annotations

import re
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from int8_harness import INT8, SPEC, outputs, pictures, written
from netspec_onnx.calibration import read_calibration
from netspec_onnx.float_layers import asked, between, ends, shortest
from netspec_onnx.noise import Noise
from netspec_onnx.options import OnnxOptions
from PIL import Image

from netspec.backend import get
from netspec.cli.main import run
from netspec.diagnostics.errors import DataError, NetspecError, UsageError
from netspec.network import load
from netspec.weights.initialise import draw

ELEMENT = onnx.TensorProto


@pytest.fixture
def net(folder: Path) -> Path:
    (folder / "net.yaml").write_text(SPEC)
    np.savez(folder / "images.npz", input=pictures(12))
    return folder


def test_a_model_in_int8_is_said_to_be_what_it_is(net: Path) -> None:
    """Numpy finds the same ratios and right answers in the outputs of both files as are said."""
    images = pictures(12)
    written(OnnxOptions(), "f.onnx")
    labels = outputs("f.onnx", images).argmax(1)
    labels[:3] = (labels[:3] + 1) % 4
    np.savez("images.npz", input=images, labels=labels)
    done, model = written(INT8)
    x, q = (outputs(name, images) for name in ("f.onnx", "q.onnx"))
    noise = q - x
    raw = 10 * np.log10((x**2).sum() / (noise**2).sum())
    centred = 10 * np.log10(((x - x.mean(0)) ** 2).sum() / ((noise - noise.mean(0)) ** 2).sum())
    said = re.search(r"output ([\d.]+) dB, centred over 12 images ([\d.]+) dB", done.remarks[0])
    assert (
        said and float(said[1]) == pytest.approx(raw, abs=0.06) and float(said[2]) == pytest.approx(centred, abs=0.06)
    )
    assert centred > 20
    after = (q.argmax(1) == labels).mean()
    assert f"top-1 75.00% in float32, {after:.2%} in int8, of 12 images" in done.remarks[-1]
    stored = {tensor.name: tensor for tensor in model.graph.initializer}
    kinds = {n.op_type for n in model.graph.node}
    assert {"Conv", "Gemm", "QuantizeLinear", "DequantizeLinear"} <= kinds and "BatchNormalization" not in kinds
    weights = [t for name, t in stored.items() if name.endswith("weight_quantized")]
    assert len(weights) == 5 and {t.data_type for t in weights} == {ELEMENT.INT8}
    scales = [stored[t.name.replace("_quantized", "_scale")].dims for t in weights]
    assert [list(s) for s in scales] == [[t.dims[0]] for t in weights]  # one for each output channel


@pytest.mark.slow
def test_the_scale_of_the_input_is_that_of_the_images(net: Path) -> None:
    _, model = written(INT8)
    stored = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    first = next(n for n in model.graph.node if n.op_type == "QuantizeLinear" and n.input[0] == "input")
    images = pictures(12)
    assert stored[first.input[1]] == pytest.approx((images.max() - images.min()) / 255, rel=1e-6)


@pytest.mark.slow
def test_the_file_names_steps_as_the_spec_does_and_is_the_same_twice(net: Path) -> None:
    _, one = written(INT8, "a.onnx")
    written(INT8, "b.onnx")
    assert Path("a.onnx").read_bytes() == Path("b.onnx").read_bytes()
    names = {n.name for n in one.graph.node}
    assert "/stem/conv/Conv" in names and one.producer_name == "netspec"
    read = {name for n in one.graph.node for name in n.input}
    assert {t.name for t in one.graph.initializer} <= read


@pytest.mark.slow
def test_layers_that_are_kept_have_float_weights(net: Path) -> None:
    done, model = written(
        OnnxOptions(dtype="int8", calibrate="images.npz", keep_float=("join.deep", "fc"), report="r.csv")
    )
    kinds = {t.name: t.data_type for t in model.graph.initializer}
    for step in ("join.deep.one.conv", "join.deep.two.conv", "fc"):
        assert kinds[f"{step}.weight"] == ELEMENT.FLOAT
    for step in ("stem.conv", "body.conv"):
        assert kinds[f"{step}.weight_quantized"] == ELEMENT.INT8
    rows = dict(line.split(",")[0::2][:2] for line in Path("r.csv").read_text().splitlines()[1:])
    assert rows == {
        "stem.conv": "int8",
        "body.conv": "int8",
        "join.deep.one.conv": "float32",
        "join.deep.two.conv": "float32",
        "join": "int8",
        "fc": "float32",
    }
    assert done.files == [Path("q.onnx"), Path("r.csv")]


def test_the_ends_and_what_is_between(net: Path) -> None:
    graph = load("net.yaml").inference
    assert {"stem.conv", "fc"} <= ends(graph) and not {"body.conv", "join.deep.two.conv", "join"} & ends(graph)
    assert "join.deep.one.relu" in between(graph, {"join.deep.one.conv"})
    assert "join" not in between(graph, {"join.deep.two.conv"})
    assert shortest(graph, asked(graph, ["join.deep", "fc"])) == ["join.deep", "fc"]
    assert shortest(graph, {"join.deep.two.conv"}) == ["join.deep.two"]
    with pytest.raises(UsageError, match="has no step 'join.depe'") as found:
        asked(graph, ["fc", "join.depe"])
    assert "did you mean 'join.deep'?" in (found.value.help or "")


def test_noise_is_what_numpy_finds() -> None:
    rng = np.random.default_rng(0)
    x = rng.standard_normal((9, 5, 3)) + 7
    q = x + 0.1 * rng.standard_normal(x.shape) + 0.3
    noise = Noise()
    for part in (slice(0, 4), slice(4, 9)):
        noise.add(x[part].astype(np.float32), q[part].astype(np.float32))
    assert noise.ratio == pytest.approx(10 * np.log10((x**2).mean() / ((q - x) ** 2).mean()), abs=1e-3)
    assert noise.centred == pytest.approx(10 * np.log10(x.var(0).sum() / (q - x).var(0).sum()), abs=1e-3)
    same = Noise()
    same.add(np.ones((3, 4), np.float32), np.ones((3, 4), np.float32))
    assert same.ratio == same.deciding == np.inf


# Where images come from


def save_images(folder: Path, count: int, seed: int = 0) -> None:
    folder.mkdir(parents=True)
    for i, image in enumerate(pictures(count, 20, seed)):
        pixels = np.clip(image.transpose(1, 2, 0) * 60 + 120, 0, 255).astype(np.uint8)
        Image.fromarray(pixels).save(folder / f"{i}.png")


@pytest.mark.slow
def test_a_folder_for_each_class_gives_labels(net: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in "dbca":
        save_images(Path("photos") / name, 2, ord(name))
    Path("photos/a/notes.txt").write_text("not an image")
    graph = load("net.yaml").inference
    found = read_calibration(Path("photos"), graph)
    assert found.count == 8 and found.labels == [0, 0, 1, 1, 2, 2, 3, 3]
    command = ["compile", "net.yaml", "--to", "onnx", "--dtype", "int8", "--calibrate", "photos", "-o", "q.onnx"]
    assert run(command) == 0
    said = capsys.readouterr()
    assert re.search(r"top-1 [\d.]+% in float32, [\d.]+% in int8, of 8 images", said.err)
    assert "join.deep.two.conv" in said.out and "centred (dB)" in said.out
    shapes = {feed["input"].shape for feed, _ in found.batches()}
    assert shapes == {(1, 3, 16, 16)}


def test_folders_that_are_numbers_are_these_classes(net: Path) -> None:
    save_images(Path("photos/3"), 1)
    save_images(Path("photos/0"), 1)
    assert read_calibration(Path("photos"), load("net.yaml").inference).labels == [0, 3]


@pytest.mark.slow
def test_many_images_are_read_one_at_a_time(net: Path) -> None:
    """3000 images are 9.2 MB: less than a tenth of them is in memory at once, in a compressed file too."""
    np.savez_compressed("many.npz", input=np.zeros((3000, 3, 16, 16), np.float32))
    found = read_calibration(Path("many.npz"), load("net.yaml").inference)
    tracemalloc.start()
    try:
        assert sum(new for _, new in found.batches()) == 3000
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 900_000


def bad_arrays(**changed: Any) -> Callable[[], str]:
    def make() -> str:
        np.savez("bad.npz", **({"input": pictures(4)} | changed))
        return "bad.npz"

    return make


def bad_folder(*files: str, damaged: str = "") -> Callable[[], str]:
    def make() -> str:
        Path("bad").mkdir()
        for file in files:
            Path("bad", file).parent.mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (20, 20)).save(Path("bad", file))
        if damaged:
            Path("bad", damaged).write_bytes(b"\x89PNG\r\n\x1a\n damaged")
        return "bad"

    return make


nan, far = pictures(4), pictures(4)
nan[2, 0, 3, 3], far[1] = np.nan, np.inf


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda: "nowhere", "there is no folder or file nowhere"),
        (lambda: "net.yaml", "is not a folder and not a .npz file"),
        (bad_folder(), "holds no images"),
        (bad_folder("a.png"), "has 1 image, at least 2"),
        (bad_folder("a.png", "x/a.png"), "has images next to folders of images"),
        (bad_folder("x/a.png", "y/a.png"), "has 2 folders of classes, 'net' has 4 classes"),
        (bad_folder("1/a.png", "4/a.png"), "has the class 4, 'net' has 0 to 3"),
        (bad_folder("a.png", damaged="b.png"), "b.png is not an image that can be read"),
        (bad_arrays(input=nan), "image 2 of the input 'input' (they count from 0) holds infinite values or NaN"),
        (bad_arrays(input=far), "holds infinite values or NaN"),
        (bad_arrays(input=pictures(4, 15)), "'input' is 4x3x15x15, the network takes Nx3x16x16"),
        (bad_arrays(input=np.float32(1)), "'input' is a scalar"),
        (bad_arrays(input=np.array(["a", "b"])), "'input' is 2, the network"),
        (bad_arrays(input=pictures(4) > 0), "holds bool, no numbers"),
        (bad_arrays(input=np.asfortranarray(pictures(4))), "lies by columns"),
        (bad_arrays(input=pictures(1)), "has 1 image"),
        (bad_arrays(input=pictures(0)), "has 0 image"),
        (bad_arrays(inptu=pictures(4)), "has 'inptu', which is no input"),
        (bad_arrays(labels=np.arange(3)), "'labels' is 3 int64, expected 4 integers"),
        (bad_arrays(labels=np.ones(4)), "'labels' is 4 float64, expected 4 integers"),
        (bad_arrays(labels=np.array([0, 1, 4, 2])), "has the class 4, 'net' has 0 to 3"),
        (bad_arrays(labels=np.array([0, 1, -1, 2])), "has the class -1"),
    ],
)
@pytest.mark.quick(6)
def test_what_cannot_be_calibrated_with_is_refused_and_nothing_written(
    net: Path, make: Callable[[], str], message: str
) -> None:
    given = make()
    before = sorted(p.name for p in net.iterdir())
    with pytest.raises(NetspecError, match=re.escape(message)) as found:
        written(OnnxOptions(dtype="int8", calibrate=given))
    assert isinstance(found.value, DataError | UsageError) and found.value.help
    assert sorted(p.name for p in net.iterdir()) == before


@pytest.mark.parametrize(
    "wrong, help, right",
    [
        ({"input": pictures(4).transpose(0, 2, 3, 1)}, "input.transpose(0, 3, 1, 2)", {"input": pictures(4)}),
        ({"input": pictures(4) > 0}, "input.astype('float32')", {"input": (pictures(4) > 0).astype("float32")}),
        ({"input": pictures(4)[0]}, "numpy.stack", {"input": np.stack([pictures(4)[0], pictures(4)[1]])}),
        ({"labels": np.eye(4)}, "labels.argmax(1)", {"labels": np.eye(4).argmax(1)}),
        ({"labels": np.arange(1, 5)}, "take 1 from each", {"labels": np.arange(1, 5) - 1}),
    ],
)
def test_what_is_suggested_makes_the_arrays_fit(
    net: Path, wrong: dict[str, Any], help: str, right: dict[str, Any]
) -> None:
    graph = load("net.yaml").inference
    bad_arrays(**wrong)()
    with pytest.raises(DataError) as found:
        read_calibration(Path("bad.npz"), graph)
    assert help in found.value.help
    bad_arrays(**right)()
    assert read_calibration(Path("bad.npz"), graph).count >= 2


@pytest.mark.parametrize(
    "options, message",
    [
        ({"calibrate": None}, "--dtype int8 needs images"),
        ({"dtype": "float32"}, "--calibrate goes with --dtype int8"),
        ({"dtype": "float16", "calibrate": None, "keep_float": ("fc",)}, "--keep-float goes with --dtype int8"),
        ({"functions": "keep"}, "is written flat"),
        ({"opset": 12}, "opset 12 has no scale for each channel"),
        ({"opset": 10_000}, "knows opsets up to"),
        ({"for_": "opencv"}, "--for opencv has no int8: its graph ends with an assertion"),
        (
            {"for_": "onnxruntime", "dtype": "bfloat16", "calibrate": None},
            "--for onnxruntime has no bfloat16: its CPU has no kernel for Conv",
        ),
        ({"keep_float": ("stme",)}, "has no step 'stme'"),
        ({"report": "r.xyz"}, "its suffix is not a form of tables"),
        ({"report": "no/r.csv"}, "there is no folder no"),
        ({"io_dtype": "float16"}, "--io-dtype float16 goes with --dtype float16"),
    ],
)
def test_options_that_do_not_go_with_int8_are_usage_errors(net: Path, options: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=re.escape(message)) as found:
        written(OnnxOptions(**({"dtype": "int8", "calibrate": "images.npz"} | options)))
    assert found.value.help
    assert sorted(p.name for p in net.iterdir()) == ["images.npz", "net.yaml"]


@pytest.mark.slow
def test_a_network_without_layers_with_weights_is_refused(folder: Path) -> None:
    Path("net.yaml").write_text("netspec: 1\nname: net\ninput: [3, 16, 16]\nbody: [relu]\n")
    np.savez("images.npz", input=pictures(4))
    with pytest.raises(UsageError, match="no layer with weights"):
        written(INT8)


@pytest.mark.slow
def test_weights_beside_a_model_in_int8(net: Path) -> None:
    (Path("net.yaml")).write_text(SPEC.replace("[12, 3]", "[40, 3]"))
    whole, _ = written(INT8, "whole.onnx")
    done, _ = written(OnnxOptions(dtype="int8", calibrate="images.npz", external_data=True))
    assert len(done.files) == 2 and done.files[1].stat().st_size > 2 * done.files[0].stat().st_size
    assert done.remarks == whole.remarks
    np.testing.assert_array_equal(outputs("q.onnx", pictures(3)), outputs("whole.onnx", pictures(3)))


@pytest.mark.slow
def test_several_inputs_are_arrays_by_name(folder: Path) -> None:
    Path("net.yaml").write_text(
        "netspec: 1\nname: net\ninput: {left: [3, 16, 16], right: [1, 16, 16]}\nbody:\n"
        "  - both = concat:\n    from: [left, right]\n  - conv: [6, 3]\n  - global_avg_pool\n"
    )
    np.savez("images.npz", left=pictures(6), right=pictures(6, seed=1)[:, :1])
    done, model = written(INT8)
    assert [i.name for i in model.graph.input] == ["left", "right"] and "by 6 images" in done.remarks[0]
    np.savez("images.npz", left=pictures(6), right=pictures(5)[:, :1])
    with pytest.raises(DataError, match="other numbers of images: 'left' 6, 'right' 5"):
        written(INT8)
    np.savez("images.npz", left=pictures(6))
    with pytest.raises(DataError, match="no array for the input 'right'"):
        written(INT8)
    Path("photos").mkdir()
    with pytest.raises(UsageError, match="has 2 inputs, a folder of images is for one"):
        written(OnnxOptions(dtype="int8", calibrate="photos"))


@pytest.mark.slow
def test_a_network_whose_values_are_not_finite_is_refused(net: Path) -> None:
    graph = load("net.yaml").inference
    weights = draw(graph, 1)
    weights["stem.conv.weight"][:] = 3e38
    with pytest.raises(DataError, match="infinite values or NaN in float32"):
        get("onnx").emit(graph, weights, Path("q.onnx"), INT8)
    assert not Path("q.onnx").exists()


DEEP = """\
netspec: 1
name: deep
input: [3, 16, 16]
blocks:
  unit: {body: [conv: {out: 12, kernel: 3, pad: 1, groups: 3}, hard_swish]}
body:
  - unit:
    repeat: 14
  - global_avg_pool
  - flatten
  - linear: 4
"""


@pytest.mark.slow
def test_the_layers_that_are_suggested_give_20_dB(folder: Path) -> None:
    """What is said to be reached with the suggested layers in float is reached when they are asked for."""
    Path("net.yaml").write_text(DEEP)
    np.savez("images.npz", input=np.float32(0.1) * pictures(8) + 1)
    done, _ = written(INT8)
    said = re.search(r"^([\d.]+) dB centred with (\d+) of 15 layers in float32: --keep-float (\S+)$", done.remarks[-1])
    assert said and float(said[1]) >= 20
    assert float(re.findall(r"images ([\d.]+) dB", done.remarks[0])[0]) < 20
    again, _ = written(
        OnnxOptions(dtype="int8", calibrate="images.npz", keep_float=tuple(said[3].split(",")), report="r.csv")
    )
    assert Path("r.csv").read_text().count("float32") == int(said[2]) < 15
    assert f"centred over 8 images {said[1]} dB" in again.remarks[0]


@pytest.mark.slow
def test_a_fixed_batch_is_filled_up(net: Path) -> None:
    """Twelve images in batches of five: the ranges and the noise are those of twelve."""
    free, _ = written(INT8, "free.onnx")
    done, model = written(OnnxOptions(dtype="int8", calibrate="images.npz", batch=5))
    assert model.graph.input[0].type.tensor_type.shape.dim[0].dim_value == 5
    assert "centred over 12 images" in done.remarks[0]
    figures = [[float(n) for n in re.findall(r"([\d.]+) dB", one.remarks[0])] for one in (free, done)]
    assert figures[0] == pytest.approx(figures[1], abs=0.2)


@pytest.mark.slow
def test_nothing_is_left_that_nothing_reads(net: Path) -> None:
    """onnxruntime warns of the bounds of a ReLU6, constants that its own tool leaves there."""
    Path("six.yaml").write_text(SPEC.replace("  - global_avg_pool", "  - relu6\n  - global_avg_pool"))
    _, model = written(INT8, "six.onnx", "six.yaml")
    read = {name for node in model.graph.node for name in node.input} | {o.name for o in model.graph.output}
    made = {name for node in model.graph.node for name in node.output} | {t.name for t in model.graph.initializer}
    assert made and made <= read


@pytest.mark.slow
def test_a_step_without_weights_that_is_kept_is_named(net: Path) -> None:
    done, _ = written(OnnxOptions(dtype="int8", calibrate="images.npz", keep_float=("global_avg_pool",)))
    assert "in float32: no layer, only flatten, global_avg_pool" in done.remarks
