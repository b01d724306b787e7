"""Pipes in the place of files: no command waits for one who writes to them; folders are read without them."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from onnx import TensorProto
from PIL import Image
from run_harness import IMAGE, model

import netspec
from netspec.cli.main import run
from netspec.diagnostics.errors import UsageError
from netspec.running.folder import image_files

pytestmark = [
    pytest.mark.usefixtures("folder"),
    pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="named pipes of POSIX"),
]

LIMIT = 20
"""Seconds after which a command waits for the pipe, and not for the machine."""
SPEC = """\
netspec: 1
name: tiny
input: [3, 16, 16]
body: [conv: [4, 3], relu, global_avg_pool, flatten, linear: 5]
"""
INT8 = ("compile", "tiny.yaml", "--to", "onnx", "--dtype", "int8", "-o", "a.onnx", "--calibrate")
GIVEN = [
    ("run", "tiny.yaml", "--image", "p.png"),
    ("run", "tiny.yaml", "--npy", "p.npy"),
    ("run", "tiny.yaml", "--npy", "input=p.npy"),
    ("run", "tiny.yaml", "--labels", "p.txt"),
    ("run", "tiny.yaml", "--weights", "p.npz"),
    ("run", "tiny.yaml", "--weights", "p.pth"),
    ("run", "tiny.yaml", "--weights", "p.safetensors"),
    ("run", "tiny.yaml", "--weights", "p.safetensors.index.json"),
    ("run", "tiny.yaml", "--weights", "w.npz", "--rules", "p.yaml"),
    ("run", "model.onnx", "--pb", "inputs"),
    ("run", "p.onnx"),
    ("verify", "tiny.yaml", "p.onnx"),
    ("bench", "p.onnx"),
    ("draw", "tiny.yaml", "--heat", "p.json", "-o", "a.svg"),
    ("draw", "tiny.yaml", "--heat", "p.csv", "-o", "a.svg"),
    ("compile", "tiny.yaml", "--to", "onnx", "-O2", "--profile", "p.tune.json", "-o", "a.onnx"),
    (*INT8, "p.npz"),
    ("verify", "tiny.yaml", "--calibrate", "p.npz"),
]
"""Command lines, of which one name is that of a pipe."""


@contextmanager
def within_limit(pipe: Path) -> Iterator[None]:
    """Makes a pipe; fails where it is still waited for after LIMIT, having let who waits go on."""
    os.mkfifo(pipe)
    done, waited = threading.Event(), list[Path]()

    def release() -> None:
        if not done.wait(LIMIT):
            waited.append(pipe)
            os.close(os.open(pipe, os.O_RDWR | os.O_NONBLOCK))

    watch = threading.Thread(target=release, daemon=True)
    watch.start()
    try:
        yield
    finally:
        done.set()
        watch.join(LIMIT)
    assert not waited, f"{pipe} was waited for"


@pytest.fixture
def pictures(folder: Path) -> Path:
    (folder / "tiny.yaml").write_text(SPEC, encoding="utf-8")
    (folder / "images").mkdir()
    Image.new("RGB", (20, 20), "red").save(folder / "images" / "a.png")
    return folder / "images"


@pytest.mark.quick(1)
@pytest.mark.parametrize("line", GIVEN, ids=" ".join)
def test_a_pipe_that_a_command_is_given_is_an_error(
    pictures: Path, capsys: pytest.CaptureFixture[str], line: tuple[str, ...]
) -> None:
    pipe = Path(next(word for word in reversed(line) if word.startswith(("p", "input"))).removeprefix("input="))
    if "w.npz" in line:
        np.savez("w.npz", **netspec.load("tiny.yaml").arrays())
    if line[1] == "model.onnx":
        model("model.onnx", "Relu", {"x": (TensorProto.FLOAT, IMAGE)}, TensorProto.FLOAT, IMAGE)
        pipe.mkdir()
        pipe = pipe / "input_0.pb"
    with within_limit(pipe):
        code = run(list(line))
    err = capsys.readouterr().err
    assert code == 2 and str(pipe) in err, err
    assert "is not a file, but a pipe or a device" in err or "it is a pipe or a device" in err
    assert not list(Path().glob("a.*"))


def test_a_folder_of_images_is_read_without_its_pipes(pictures: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (pictures / "lost.png").symlink_to("nowhere.png")
    with within_limit(pictures / "z.jpg"):
        assert image_files(pictures) == ([pictures / "a.png"], 2)
        assert run(["run", "tiny.yaml", "--images", "images", "-f", "csv"]) == 0
        said = capsys.readouterr()
        assert "2 files of images are no images" in said.err and "1 image in" in said.err
        assert "a.png" in said.out and "z.jpg" not in said.out
        session = netspec.Session("tiny.yaml")
        assert [list(batch.files) for batch in session.images(pictures)] == [[pictures / "a.png"]]
        with pytest.raises(UsageError, match="z.jpg is not a file, but a pipe or a device"):
            list(session.images([pictures / "z.jpg"]))


@pytest.mark.slow
def test_a_folder_for_int8_is_read_without_its_pipes(pictures: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Image.new("RGB", (20, 20), "blue").save(pictures / "b.png")
    with within_limit(pictures / "z.jpg"):
        assert run([*INT8, "images"]) == 0
    assert "int8 by 2 images" in capsys.readouterr().err


def test_a_name_that_no_file_can_have_is_an_error(pictures: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["run", "tiny.yaml", "--npy", "x" * 5000]) == 2
    assert "cannot be read" in capsys.readouterr().err
