"""`netspec.Session`: what it gives, and what it refuses."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest
from onnx import TensorProto
from run_harness import model
from session_harness import noise, plain, written

import netspec
from netspec.diagnostics.errors import DataError, UsageError


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return written(tmp_path)


def test_a_session_gives_what_onnxruntime_gives(path: Path) -> None:
    session = netspec.Session(path, threads=1)
    assert session.inputs == {"input": ("N", 4, 12, 12)} and session.provider == "CPUExecutionProvider"
    value = noise(3, 4, 12, 12)
    for found in (session.run(value), session.run(input=value)):
        assert found.keys() == {"output"} and np.allclose(found["output"], plain(path, value), atol=1e-5)
    assert len(session.latency(value, repeat=3)) == 3
    network = netspec.Session(netspec.load(path.with_suffix(".yaml")), seed=1)
    assert np.allclose(network.run(value)["output"], plain(path, value), atol=1e-5)
    assert not np.allclose(netspec.Session(path.with_suffix(".yaml")).run(value)["output"], plain(path, value))


@pytest.mark.slow
def test_what_a_session_refuses(path: Path) -> None:
    session = netspec.Session(path)
    value = noise(1, 4, 12, 12)
    with pytest.raises(UsageError, match="given twice"):
        session.run(value, input=value)
    with pytest.raises(UsageError, match="2 values for 1 input\n"):
        session.run(value, value)
    with pytest.raises(DataError, match="'input' is missing"):
        session.run()
    with pytest.raises(UsageError, match="there is no file nothing.onnx"):
        netspec.Session("nothing.onnx")
    with pytest.raises(UsageError, match="has its weights already"):
        netspec.Session(path, weights="w.pth")


def test_an_input_may_have_any_name(tmp_path: Path) -> None:
    """Also those of what a method takes, which belong to it alone."""
    value, names = noise(1, 3), ("self", "values", "inputs")
    path = model(str(tmp_path / "m.onnx"), "Sum", dict.fromkeys(names, (TensorProto.FLOAT, ("N", 3))), 1)
    session = netspec.Session(path)
    assert np.allclose(session.run(**dict.fromkeys(names, value))["y"], 3 * value)
    assert len(session.latency(**dict.fromkeys(names, value), repeat=2)) == 2


def test_objects_of_python_are_no_strings(path: Path) -> None:
    with pytest.raises(DataError, match="'input' is objects of Python, the model expects float32"):
        netspec.Session(path).run(noise(1, 4, 12, 12).astype(object))


def test_texts_of_bytes_are_texts(tmp_path: Path) -> None:
    path = model(str(tmp_path / "m.onnx"), "Identity", {"x": (TensorProto.STRING, ("N",))}, TensorProto.STRING)
    session = netspec.Session(path)
    assert [*np.asarray(session.run(np.array(["é".encode(), b"b"]))["y"])] == ["é", "b"]
    with pytest.raises(DataError, match="'x' is bytes that are not UTF-8"):
        session.run(np.array([b"\xff"]))


def test_images_of_a_model_of_several_inputs_are_arrays(tmp_path: Path) -> None:
    image = (TensorProto.FLOAT, ("N", 3, 8, 8))
    session = netspec.Session(model(str(tmp_path / "m.onnx"), "Add", {"a": image, "b": image}, TensorProto.FLOAT))
    with pytest.raises(DataError, match="go into one input") as info:
        next(session.images(["a.png"]))
    assert info.value.help == "give arrays by session.run"


def test_a_single_image_stands_in_a_list(path: Path) -> None:
    with pytest.raises(UsageError, match="is a file and no folder") as info:
        next(netspec.Session(path).images(path))
    assert info.value.help == "single images are given as a list of files"


SLIPS = {
    "an image alone": (noise(4, 12, 12), lambda x: x[None], r"in numpy x\[None\]"),
    "channels last": (noise(2, 12, 12, 4), lambda x: x.transpose(0, 3, 1, 2), r"x.transpose\(0, 3, 1, 2\)"),
    "an image of an editor": (
        noise(12, 12, 4),
        lambda x: x.transpose(2, 0, 1)[None],
        r"transpose\(2, 0, 1\)\[None\]",
    ),
    "another size": (
        noise(1, 4, 20, 16),
        lambda x: x[:, :, :12, :12],
        "give one of 4x12x12; `netspec compile .* --input 4x20x16`",
    ),
    "all inputs in a mapping": ({"input": noise(1, 4, 12, 12)}, lambda x: x["input"], r"run\(\*\*inputs\)"),
    "a file": ("cat.png", lambda x: noise(1, 4, 12, 12), r"session.images\(FILES\)"),
}


@pytest.mark.parametrize("slip", SLIPS)
def test_an_input_of_the_wrong_shape_says_how_it_is_right(path: Path, slip: str) -> None:
    given, right, help = SLIPS[slip]
    session = netspec.Session(path, threads=1)
    with pytest.raises((UsageError, DataError), match=rf"'input' is .*\nhelp: .*{help}"):
        session.run(given)  # type: ignore[arg-type]
    assert session.run(right(given))["output"].shape[0] == (2 if slip == "channels last" else 1)


def test_a_network_of_the_size_that_is_said_takes_it(path: Path) -> None:
    session = netspec.Session(netspec.load(path.with_suffix(".yaml"), input=[4, 20, 16]), threads=1)
    assert session.run(noise(1, 4, 20, 16))["output"].shape[0] == 1


def test_a_fixed_batch_says_so(path: Path) -> None:
    netspec.load(path.with_suffix(".yaml")).to_onnx(path, batch=2)
    with pytest.raises(DataError, match="help: the batch is fixed: give 2 at a time"):
        netspec.Session(path).run(noise(3, 4, 12, 12))


def test_a_name_that_there_is_not_is_said(path: Path) -> None:
    with pytest.raises(DataError, match="the input 'image' is none of the model's\nhelp: the model has input"):
        netspec.Session(path).run(image=noise(1, 4, 12, 12))


def test_a_batch_that_a_file_has_not_is_said_in_words_of_python(path: Path, tmp_path: Path) -> None:
    netspec.load(path.with_suffix(".yaml")).to_onnx(path, batch=1)
    with pytest.raises(UsageError, match="^batch=3: the batch of the model is fixed at 1\nhelp: leave out batch$"):
        netspec.Session(path).images([tmp_path / "a.png"], batch=3)


def test_a_keyword_that_there_is_not_is_said_with_those_that_there_are(path: Path) -> None:
    with pytest.raises(TypeError, match=r"Session\(\) got .* 'providers'; known: model, device, "):
        netspec.Session(path, providers=["CUDAExecutionProvider"])  # type: ignore[call-arg]
    with pytest.raises(TypeError, match=r"Network.summary\(\) got .* 'dept'; did you mean 'depth'\?"):
        netspec.load(path.with_suffix(".yaml")).summary(dept=1)  # type: ignore[call-arg]


def test_a_session_is_not_pickled(path: Path) -> None:
    with pytest.raises(TypeError, match="make one in each process"):
        pickle.dumps(netspec.Session(path))


@pytest.mark.slow
def test_inputs_of_a_session_are_of_one_batch(tmp_path: Path) -> None:
    """In each of its ways, and by the file that is written of it; regions are as many as one likes."""
    network = netspec.load("siamese")
    network.to_onnx(tmp_path / "s.onnx")
    two, three = np.zeros((2, 1, 105, 105), np.float32), np.zeros((3, 1, 105, 105), np.float32)
    said = r"N is 2 in 'left' \(2x1x105x105\) and 3 in 'right' \(3x1x105x105\)"
    for session in (netspec.Session(network, threads=1), netspec.Session(tmp_path / "s.onnx", threads=1)):
        with pytest.raises(UsageError, match=said):
            session.run(two, three)
        with pytest.raises(UsageError, match=said):
            session.latency(right=three, left=two)
        assert session.run(two, two)["same"].shape == (2, 1)
    heads = netspec.load("deformable_roi_pooling")
    rois = np.float32([[0, 0, 0, 50, 50]] * 5)
    maps = np.zeros((1, *map(int, heads.inference.inputs[0].shape[1:])), np.float32)
    assert netspec.Session(heads, threads=1).run(maps, rois)["output"].shape[0] == 5
