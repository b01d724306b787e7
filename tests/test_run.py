"""`netspec run` on models that others made: types, sizes, symbols; onnxruntime and numpy say what is right."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import onnxruntime as ort
import pytest
from onnx import TensorProto
from run_harness import CASES, IMAGE, Netspec, identity, model

from netspec.backend import get
from netspec.diagnostics.errors import DataError, UsageError
from netspec.network import load

pytestmark = pytest.mark.usefixtures("folder")

# The cases that failed.


def test_large_unsigned_bytes_come_first(netspec_run: Netspec) -> None:
    code, out, _ = netspec_run(str(CASES / "uint8.onnx"), "--npy", str(CASES / "uint8.npy"))
    assert code == 0 and "output q: 1x6 uint8\n  top 5: 3 (255), 2 (200), 4 (30), 1 (10), 0 (0)\n" in out


@pytest.mark.parametrize(
    "name, said",
    [
        ("empty_result", "output picked: 0x3 int64\n  empty\n"),
        ("scalar_result", "output quality: a scalar float32\n  1.011\n"),
        ("bool_result", "output mask: 1x1x6x6 bool\n  13 of 36 are true; first "),
    ],
)
def test_results_that_are_no_rankings_are_summarised(netspec_run: Netspec, name: str, said: str) -> None:
    code, out, _ = netspec_run(str(CASES / f"{name}.onnx"), "--save", "o.npz")
    assert code == 0 and said in out
    (value,) = np.load("o.npz").values()
    if name == "scalar_result":  # the mean square of what is drawn by seed 0
        x = np.random.default_rng(0).standard_normal((1, 3, 8, 8), np.float32)
        assert value == pytest.approx(np.square(x).mean()) == pytest.approx(1.011, abs=1e-3)
    if name == "bool_result":
        assert value.sum() == 13


@pytest.mark.parametrize("backend", ["onnx", "torch"])
def test_a_symbol_has_one_value_in_every_input(netspec_run: Netspec, backend: str) -> None:
    spec = [str(CASES / "two_inputs.yaml"), "--backend", backend]
    for count in (1, 2, 3):
        np.save(f"{count}.npy", np.full((count, 1, 4, 4), count, np.float32))
    code, out, _ = netspec_run(*spec, "--npy", "left=3.npy")
    assert code == 0 and "input left: 3x1x4x4 float32, from 3.npy\ninput right: 3x1x4x4 float32, random" in out
    code, _, err = netspec_run(*spec, "--npy", "left=3.npy", "--npy", "right=1.npy")
    assert code == 1 and "error[NS701]: N is 3 for left and 1 for right" in err
    assert "left: 3.npy, right: 1.npy" in err
    code, _, err = netspec_run(*spec, "--npy", "right=3.npy", "-b", "2")
    assert code == 1 and "N is 3 for right and 2 by -b" in err
    code, out, _ = netspec_run(*spec, "--npy", "2.npy", "--npy", "right=2.npy", "-b", "2", "--save", "o.npz")
    assert code == 0 and np.array_equal(np.load("o.npz")["output"], np.full((2, 1, 4, 4), 4, np.float32))
    assert "random" not in out  # nothing was drawn: the network has no weights


@pytest.mark.parametrize("backend", ["onnx", "torch"])
def test_sizes_of_a_spec_are_set_by_name_and_by_height_and_width(netspec_run: Netspec, backend: str) -> None:
    spec = [str(CASES / "two_inputs.yaml"), "--backend", backend]
    for args in (
        ["--size", "6x8", "-b", "2"],
        ["--input", "left=2x1x6x8", "--input", "right=1x6x8"],
        ["--input", "left=1x6x8", "--size", "6x8", "-b", "2"],
    ):
        code, out, _ = netspec_run(*spec, *args)
        assert code == 0 and "output output: 2x1x6x8 float32\n" in out, args
    for args, said in (
        (["--input", "left=1x9x8", "--size", "6x8"], "'left' is 9x8 by --input and 6x8 by --size"),
        (["--input", "lefd=1x9x8"], "did you mean 'left'?"),
        (["--input", "left=2x1x4x4", "-b", "3"], "N is 2 by --input left and 3 by -b"),
        (["--input", "left=2x1x4x4", "--input", "right=3x1x4x4"], "N is 2 by --input left and 3 by --input right"),
        (["--input", "left=3"], "the input 'left' is Nx1x4x4"),
        (["--input", "left=1x9x8", "--input", "left=1x9x8"], "given twice"),
        (["--input", "1x9x8"], "one input"),
    ):
        code, _, err = netspec_run(*spec, *args)
        assert code == 2 and said in err, args


# Symbols and sizes of model files.


@pytest.mark.parametrize(
    "args, shape",
    [
        ([], "1x3x224x224"),
        (["--size", "6x8"], "1x3x6x8"),
        (["--size", "6x8", "-b", "2"], "2x3x6x8"),
        (["--input", "x=2x3x6x8"], "2x3x6x8"),
        (["--input", "2x3x6x8", "-b", "2", "--size", "6x8"], "2x3x6x8"),
        (["--input", "3x6x8"], "1x3x6x8"),
        (["--npy", "a.npy"], "2x3x6x8"),
        (["--npy", "x=a.npy", "-b", "2", "--size", "6x8", "--input", "x=2x3x6x8"], "2x3x6x8"),
    ],
)
def test_height_and_width_may_be_symbols(netspec_run: Netspec, args: list[str], shape: str) -> None:
    path = identity(shape=IMAGE)
    np.save("a.npy", np.zeros((2, 3, 6, 8), np.float32))
    code, out, err = netspec_run(path, *args)
    assert code == 0 and f"input x: {shape} float32" in out and f"output y: {shape} float32" in out
    assert ("h = 224, w = 224" in err) == (not args)  # sizes that nobody gave are said


@pytest.mark.parametrize(
    "args, code, said",
    [
        (["--input", "x=1x4x6x8"], 2, "dimension 1 of x is 3 in the model and 4 by --input"),
        (["--input", "x=1x3x6x8", "--size", "6x9"], 2, "w is 8 by --input and 9 by --size"),
        (["--input", "x=1x3x6x8", "-b", "2"], 2, "n is 1 by --input and 2 by -b"),
        (["--npy", "a.npy", "--size", "6x9"], 1, "w is 9 by --size and 8 for x"),
        (["--npy", "a.npy", "-b", "3"], 1, "n is 2 for x and 3 by -b"),
        (["--npy", "a.npy", "--npy", "x=a.npy"], 2, "every input has a value already"),
        (["--npy", "x=a.npy", "--npy", "x=a.npy"], 2, "given twice: a.npy and a.npy"),
        (["--npy", "a.npy", "--image", "a.png"], 2, "given twice: a.npy and a.png"),
        (["--npy", "y=a.npy"], 2, "there is no input 'y'"),
        (["--input", "y=1x3x6x8"], 2, "there is no input 'y'"),
        (["--input", "6x8"], 2, "the input 'x' is nx3xhxw"),
        (["--input", "x=6x"], 2, "write 3x224x224"),
        (["--size", "6x8x9"], 2, "write 224x224"),
        (["--npy", "none.npy"], 2, "there is no file none.npy"),
        (["--npy", "flat.npy"], 1, "the input 'x' is 6 (flat.npy), the model expects nx3xhxw"),
        (["--size", "2000000x2000000"], 2, "more than 16 GiB"),
        (["--save", "o.txt"], 2, "saved as .npz"),
        (["--save", "no/o.npz"], 2, "there is no folder no"),
        (["--pb", "none"], 2, "there is no folder none"),
        (["--pb", "."], 2, "holds no input_0.pb"),
        (["--labels", "none.txt"], 2, "there is no file none.txt"),
        (["--labels", "a.npy"], 1, "is not UTF-8"),
    ],
)
def test_what_disagrees_or_is_missing_is_an_error_that_names_it(
    netspec_run: Netspec,
    args: list[str],
    code: int,
    said: str,
) -> None:
    path = identity(shape=IMAGE)
    np.save("a.npy", np.zeros((2, 3, 6, 8), np.float32))
    np.save("flat.npy", np.zeros(6, np.float32))
    Path("a.png").write_bytes((CASES / "gray8.png").read_bytes())
    found = netspec_run(path, *args)
    assert found[0] == code and said in found[2] and found[1] == ""
    assert not Path("o.npz").exists()


def test_two_inputs_of_one_symbol_and_dimensions_without_a_name(netspec_run: Netspec) -> None:
    float_ = TensorProto.FLOAT
    both = model("m.onnx", "Add", {"a": (float_, ["n", 4]), "b": (float_, ["n", 4])}, float_)
    np.save("3.npy", np.ones((3, 4), np.float32))
    code, out, _ = netspec_run(both, "--npy", "b=3.npy")
    assert code == 0 and "input a: 3x4 float32, random" in out
    free = model("f.onnx", "Concat", {"a": (float_, [None, 4]), "b": (float_, [None, 4])}, float_, axis=0)
    np.save("2.npy", np.ones((2, 4), np.float32))
    code, out, _ = netspec_run(free, "--npy", "a=3.npy", "--npy", "b=2.npy")  # without a name they are not the same
    assert code == 0 and "output y: 5x4" in out
    code, out, _ = netspec_run(free, "-b", "2")
    assert code == 0 and "output y: 4x4" in out
    fixed = model("x.onnx", "Relu", {"a": (float_, [1, 3, "h", "w"])}, float_)
    code, _, err = netspec_run(fixed, "-b", "4")
    assert code == 2 and "the batch of the model is fixed at 1" in err
    assert netspec_run(fixed, "-b", "1", "--size", "5x5")[0] == 0


def test_an_input_whose_rank_is_unknown_takes_what_is_given(netspec_run: Netspec) -> None:
    path = identity(shape=None)
    np.save("a.npy", np.ones((2, 5), np.float32))
    assert "output y: 2x5" in netspec_run(path, "--npy", "a.npy")[1]
    assert "output y: 7x2x2 float32" in netspec_run(path, "--input", "x=7x2x2")[1]
    assert "output y: a scalar" in netspec_run(path)[1]
    code, _, err = netspec_run(path, "--input", "x=7x2", "--npy", "a.npy")
    assert code == 2 and "the input 'x' is 7x2 by --input and 2x5 for x" in err
    code, _, err = netspec_run(path, "--input", "x=7x2", "--input", "x=7x3")
    assert code == 2 and "the input 'x' is 7x2 by --input and 7x3 by --input" in err


def test_a_size_that_netspec_chose_is_named_where_the_run_fails(netspec_run: Netspec) -> None:
    shapes = {"x": (TensorProto.FLOAT, ("n", 3, "h", "w")), "b": (TensorProto.FLOAT, (3, 7))}
    path = model("m.onnx", "MatMul", shapes, TensorProto.FLOAT)
    code, _, err = netspec_run(path)
    assert code == 1 and "error[NS703]: onnxruntime cannot run the model" in err and "were chosen by netspec" in err
    assert "h = 224, w = 224" in err


@pytest.mark.parametrize("target", ["onnx", "torch"])
def test_inputs_from_python_are_held_against_each_other_too(target: str) -> None:
    graph, backend = load(CASES / "two_inputs.yaml").inference, get(target)
    two, three = np.ones((2, 1, 4, 4), np.float32), np.ones((3, 1, 4, 4), np.float32)
    assert np.array_equal(backend.run(graph, {}, {"left": two, "right": two}).outputs["output"], two + two)
    for inputs, said in (
        ({"left": two}, "the input 'right' is missing"),
        ({"left": two, "right": two, "x": two}, "the input 'x' is none of the"),
        ({"left": two, "right": two[0]}, "'right' is 1x4x4, the (model|network) expects Nx1x4x4"),
        ({"left": two, "right": two + 0.1j}, "complex64, the model expects float32"),
    ):
        with pytest.raises(DataError, match=said) as info:
            backend.run(graph, {}, inputs)
        assert info.value.code == "NS701"
    with pytest.raises(UsageError, match=r"N is 2 in 'left' \(2x1x4x4\) and 3 in 'right' \(3x1x4x4\)"):
        backend.run(graph, {}, {"left": two, "right": three})


@pytest.mark.parametrize("backend", ["onnx", "torch"])
def test_regions_follow_the_sizes_and_what_a_runtime_says_is_repeated(
    netspec_run: Netspec,
    backend: str,
) -> None:
    run = ["deformable_roi_pooling", "--backend", backend]
    code, out, _ = netspec_run(*run, "--size", "10x12", "-b", "2", "--input", "rois=3x5")
    assert code == 0 and "input features: 2x256x10x12" in out and "input rois: 3x5" in out
    assert "output output: 3x256x3x3" in out
    np.save("r.npy", np.float32([[7, 0, 0, 50, 50]]))  # of an image that is not there
    code, _, err = netspec_run(*run, "--npy", "rois=r.npy")
    name = {"onnx": "onnxruntime cannot run the model: ", "torch": "PyTorch cannot run the network: "}[backend]
    assert code == 1 and f"error[NS703]: {name}" in err and re.search("out of (data )?bounds", err)


def test_the_bare_session_gives_the_same(netspec_run: Netspec) -> None:
    x = np.random.default_rng(3).standard_normal((2, 3, 9, 9), np.float32)
    np.save("x.npy", x)
    path = model("m.onnx", "ReduceMax", {"x": (TensorProto.FLOAT, IMAGE)}, TensorProto.FLOAT, keepdims=0)
    assert netspec_run(path, "--npy", "x.npy", "--save", "o.npz")[0] == 0
    (theirs,) = ort.InferenceSession(path, providers=["CPUExecutionProvider"]).run(None, {"x": x})
    assert np.array_equal(np.load("o.npz")["y"], theirs)


@pytest.mark.parametrize(
    "batch, args, said, help",
    [
        (1, ["-b", "3"], "-b 3: the batch of the model is fixed at 1", "leave out -b"),
        (2, ["-b", "3", "--npy", "a.npy"], "-b 3: the batch of the model is fixed at 2", "leave out -b"),
        ("n", ["-b", "3", "--image", "a.png"], "-b 3: one image is a batch of 1", "give --image 3 times"),
        ("n", ["-b", "3", *["--image", "a.png"] * 2], "-b 3: 2 images are their batch", "leave out -b"),
        (1, ["--image", "a.png"] * 2, "2 images are a batch of 2, and the batch of the model is fixed at 1", "once"),
        (3, ["--image", "a.png"], "one image is a batch of 1, and the batch of the model is fixed at 3", "3 times"),
    ],
)
def test_a_batch_that_cannot_be_says_why(
    netspec_run: Netspec,
    batch: int | str,
    args: list[str],
    said: str,
    help: str,
) -> None:
    path = identity(shape=(batch, 3, 8, 8))
    np.save("a.npy", np.zeros((2, 3, 8, 8), np.float32))
    Path("a.png").write_bytes((CASES / "gray8.png").read_bytes())
    code, out, err = netspec_run(path, *args)
    assert (code, out) == (2, "") and said in err and help in err


@pytest.mark.parametrize("batch, args", [(1, ["-b", "1"]), (2, ["-b", "2"]), ("n", ["-b", "1", "--image", "a.png"])])
def test_a_batch_that_is_the_same_is_fine(netspec_run: Netspec, batch: int | str, args: list[str]) -> None:
    Path("a.png").write_bytes((CASES / "gray8.png").read_bytes())
    assert netspec_run(identity(shape=(batch, 3, 8, 8)), *args)[0] == 0
