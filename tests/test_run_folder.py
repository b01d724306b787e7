"""`netspec run --images`: a folder in batches gives what its images give one by one, as a table and as arrays."""

from __future__ import annotations

import csv
import os
import pty
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import TensorProto
from PIL import Image
from run_harness import Netspec, model
from terminal_harness import shown_on

import netspec
from netspec.diagnostics.errors import DataError, UsageError
from netspec.running.folder import image_files
from netspec.running.save import Collected

pytestmark = pytest.mark.usefixtures("folder")

SPEC = """\
netspec: 1
name: tiny
input: [3, 16, 16]
body: [conv: [4, 3], relu, global_avg_pool, flatten, linear: 5]
"""
COUNT = 5


@pytest.fixture
def photos(folder: Path) -> Path:
    Path("tiny.yaml").write_text(SPEC, encoding="utf-8")
    Path("labels.txt").write_text("zero\none\ntwo\nthree\nfour\n", encoding="utf-8")
    rng, found = np.random.default_rng(0), Path("photos")
    (found / "more").mkdir(parents=True)
    for i in range(COUNT):
        place = found / "more" / f"{i}.PNG" if i > 2 else found / f"{i}.png"
        Image.fromarray(rng.integers(0, 256, (20 + i, 24, 3), np.uint8)).save(place)
    (found / "notes.txt").write_text("no image", encoding="utf-8")
    return found


def one_by_one(photos: Path) -> np.ndarray:
    """The outputs of each image in a run of its own."""
    session = netspec.Session("tiny.yaml")
    files = sorted(photos.rglob("*.[pP][nN][gG]"), key=lambda p: p.stem)
    return np.concatenate([np.asarray(next(session.images([f])).outputs["output"]) for f in files])


def test_a_folder_gives_what_its_images_give(photos: Path, netspec_run: Netspec) -> None:
    command = ("tiny.yaml", "--images", "photos", "-b", "2", "--top", "2", "--labels", "labels.txt")
    code, out, err = netspec_run(*command, "-o", "found.csv", "--save", "found.npz")
    assert code == 0 and not out, err
    assert "5 images in " in err and "ran on: CPUExecutionProvider" in err and "the outputs are not predictions" in err
    assert "1 file of photos is no image" in err
    expected = one_by_one(photos)
    with np.load("found.npz") as kept:
        assert list(kept["files"]) == ["0.png", "1.png", "2.png", "more/3.PNG", "more/4.PNG"]
        assert np.allclose(kept["output"], expected, atol=1e-5) and kept["output"].dtype == np.float32
    with Path("found.csv").open(encoding="utf-8", newline="") as f:
        rows = list(csv.DictReader(f))
    assert [row["image"] for row in rows[::2]] == ["0.png", "1.png", "2.png", "more/3.PNG", "more/4.PNG"]
    names = ["zero", "one", "two", "three", "four"]
    for i, scores in enumerate(expected.astype(np.float64)):
        probabilities = np.exp(scores) / np.exp(scores).sum()
        for rank, number in enumerate(np.argsort(-probabilities)[:2]):
            row = rows[2 * i + rank]
            assert (row["rank"], row["class"], row["label"]) == (str(rank + 1), str(number), names[number])
            assert float(row["score"]) == pytest.approx(probabilities[number], abs=1e-5)


def test_hidden_files_and_folders_are_left_out(photos: Path) -> None:
    """What a shell's * leaves out: macOS puts `._a.png`, a resource fork and no image, next to a.png."""
    seen = image_files(photos)
    (photos / "._0.png").write_bytes(b"\0\5\x16\7\0\2\0\0Mac OS X")
    (photos / ".hidden").mkdir()
    (photos / ".hidden" / "5.png").write_bytes(b"no image")
    (photos / ".notes").touch()
    assert image_files(photos) == seen and len(seen[0]) == COUNT


@pytest.mark.slow
def test_the_last_batch_of_a_fixed_one_is_filled_up(photos: Path, netspec_run: Netspec) -> None:
    """A model of a batch of 2 takes five images; its outputs are the images, as numpy has them."""
    model("m.onnx", "GlobalAveragePool", {"x": (TensorProto.FLOAT, (2, 3, 16, 16))}, TensorProto.FLOAT, (2, 3, 1, 1))
    code, _, err = netspec_run("m.onnx", "--images", "photos", "--save", "found.npz")
    assert code == 0 and "batches of 2" in err, err
    model("one.onnx", "GlobalAveragePool", {"x": (TensorProto.FLOAT, (1, 3, 16, 16))}, TensorProto.FLOAT, (1, 3, 1, 1))
    session = netspec.Session("one.onnx")
    with np.load("found.npz") as kept:
        single = [batch.outputs["y"] for batch in session.images("photos")]
        assert len(single) == COUNT and np.allclose(kept["y"], np.concatenate(single), atol=1e-6)
    code, _, err = netspec_run("m.onnx", "--images", "photos", "-b", "3", "--save", "other.npz")
    assert code == 2 and "the batch of the model is fixed at 2" in err and not Path("other.npz").exists()


def test_an_output_that_is_called_as_the_names_are_is_refused_at_once(folder: Path) -> None:
    """With the first batch, and not when all images have run."""
    with pytest.raises(DataError, match="an output is called 'files'"):
        Collected(folder, lambda said: None).add({"files": np.zeros((1, 5), np.float32)})


WRONG: list[tuple[list[str], int, str]] = [
    (["tiny.yaml", "--images", "nowhere"], 2, "there is no folder nowhere"),
    (["tiny.yaml", "--images", "tiny.yaml"], 2, "tiny.yaml is a file and no folder"),
    (["tiny.yaml", "--images", "empty"], 2, "empty holds no images"),
    (["tiny.yaml", "--images", "photos", "--image", "photos/0.png"], 2, "leave out --image, --npy and --pb"),
    (["tiny.yaml", "--images", "photos", "--repeat", "3", "-o", "t.csv"], 2, "leave out --repeat"),
    (["tiny.yaml", "-o", "t.csv"], 2, "-f and -o are of the table of --images"),
    (["tiny.yaml", "--images", "photos", "-o", "t.csv", "-f", "json"], 2, "t.csv"),
    (["tiny.yaml", "--images", "photos", "--labels", "short.txt", "-o", "t.csv"], 1, "'output' has 5 classes"),
    (["map.onnx", "--images", "photos", "-o", "t.csv"], 1, "no output is a vector of classes: 'y' is 1x3x16x16"),
    (["sum.onnx", "--images", "photos", "-b", "2", "-o", "t.csv"], 1, "its first dimension is not the images"),
    (["two.onnx", "--images", "photos", "-o", "t.csv"], 1, "folders of images go into one input"),
    (["tiny.yaml", "--images", "damaged", "-o", "t.csv"], 1, "5.png is not an image that can be read"),
    (["tiny.yaml", "--images", "photos", "--backend", "torch", "--cuda-graph", "--device", "cuda"], 2, "CUDA graphs"),
    (["tiny.yaml", "--images", "photos", "--cuda-graph"], 2, "CUDA graphs need a GPU"),
]


@pytest.mark.parametrize("arguments, code, message", WRONG)
@pytest.mark.quick(1)
def test_what_is_wrong_is_said_and_nothing_is_written(
    photos: Path, netspec_run: Netspec, arguments: list[str], code: int, message: str
) -> None:
    Path("empty").mkdir()
    Path("short.txt").write_text("one\n", encoding="utf-8")
    Path("damaged").mkdir()
    for i in range(4):
        Path("damaged", f"{i}.png").write_bytes((photos / "0.png").read_bytes())
    Path("damaged", "5.png").write_bytes((photos / "0.png").read_bytes()[:60])
    image = (TensorProto.FLOAT, ("n", 3, 16, 16))
    model("map.onnx", "Relu", {"x": image}, TensorProto.FLOAT, ("n", 3, 16, 16))
    model("sum.onnx", "ReduceMax", {"x": image}, TensorProto.FLOAT, (1, 1, 1, 1))
    model("two.onnx", "Add", {"x": image, "z": image}, TensorProto.FLOAT, ("n", 3, 16, 16))
    before = sorted(Path().iterdir())
    found, out, err = netspec_run(*arguments)
    assert (found, out) == (code, "") and message in err, err
    assert sorted(Path().iterdir()) == before


@pytest.mark.slow
def test_the_bar_is_shown_on_a_terminal_alone(photos: Path) -> None:
    """Real: stderr is a pseudo-terminal, stdout a pipe."""
    command = [sys.executable, "-m", "netspec", "run", "tiny.yaml", "--images", "photos", "-f", "csv"]
    main, end = pty.openpty()
    environment = os.environ | {"TERM": "xterm", "COLUMNS": "100"}
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=end, env=environment) as process:
        os.close(end)
        said = shown_on(main)
        assert process.stdout is not None
        rows = process.stdout.read().decode().splitlines()
    assert process.returncode == 0 and rows[0] == "image,rank,class,score" and len(rows) == 1 + 5 * COUNT
    assert f"{COUNT}/{COUNT}" in said.decode() and "━" in said.decode()
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.stdout.splitlines() == rows and "━" not in done.stderr and "\x1b" not in done.stderr


@pytest.mark.slow
def test_both_backends_give_the_same_classes(photos: Path, netspec_run: Netspec) -> None:
    tables = []
    for backend in ("onnx", "torch"):
        code, out, err = netspec_run(
            "tiny.yaml", "--images", "photos", "-b", "3", "--backend", backend, "--threads", "1", "-f", "csv"
        )
        assert code == 0, err
        tables.append([row[:3] for row in csv.reader(out.splitlines())])
    assert tables[0] == tables[1] and len(tables[0]) == 1 + 5 * COUNT


@pytest.mark.slow
def test_batches_are_read_while_one_runs_and_no_further(photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many images there are, no more than three batches of them are in memory."""
    from netspec.running.folder import run_batches

    files, read, most = [Path(f"{i}.png") for i in range(50)], list[Path](), 0

    def image(path: Path) -> np.ndarray:
        read.append(path)
        return np.full((1, 3, 2, 2), int(path.stem), np.float32)

    given: list[Any] = []
    for batch in run_batches(files, 4, image, lambda made: {"y": made.mean(axis=(1, 2, 3))}):
        given += batch.outputs["y"].tolist()
        most = max(most, len(read) - len(given))
    assert given == list(range(50)) and most <= 8


def test_what_is_no_folder_of_images(folder: Path) -> None:
    with pytest.raises(UsageError, match="there is no folder"):
        image_files(Path("nothing"))
    with pytest.raises(DataError, match="one input"):
        model("v.onnx", "Relu", {"x": (TensorProto.FLOAT, ("n", 3))}, TensorProto.FLOAT, ("n", 3))
        netspec.Session("v.onnx").images("v.onnx.folder" if Path("x").exists() else [Path("x")])


@pytest.mark.slow
def test_the_example_of_the_page_runs(folder: Path, netspec_run: Netspec) -> None:
    page = (Path(__file__).parents[1] / "docs" / "running.md").read_text(encoding="utf-8")
    command, *expected = page.partition("```console\n$ netspec run ")[2].partition("```")[0].splitlines()
    Path("photos").mkdir()
    for name in ("a", "b"):
        Image.new("RGB", (240, 240), "red" if name == "a" else "blue").save(f"photos/{name}.png")
    code, out, err = netspec_run(*command.split())
    assert code == 0, err
    for line, said in zip(expected[:4], out.splitlines(), strict=False):
        assert said.startswith(line.removesuffix("...")) and len(out.splitlines()) == 5


@pytest.mark.parametrize("batch", ["1", pytest.param("2", marks=pytest.mark.slow)])
def test_the_scores_of_all_images_are_of_one_kind(folder: Path, netspec_run: Netspec, batch: str) -> None:
    """The means of a grey picture happen to lie from 0 to 1; what is softmax of the white one is softmax of it too."""
    text = "netspec: 1\nname: means\ninput: [3, 8, 8]\nbody: [global_avg_pool, flatten]\n"
    Path("means.yaml").write_text(text, encoding="utf-8")
    Path("seen").mkdir()
    for name, level in (("a", 140), ("b", 255)):
        Image.new("RGB", (8, 8), (level,) * 3).save(f"seen/{name}.png")
    code, out, err = netspec_run("means.yaml", "--images", "seen", "-b", batch, "--top", "3", "-f", "csv")
    assert code == 0, err
    scores = [float(row["score"]) for row in csv.DictReader(out.splitlines())]
    assert np.allclose([sum(scores[:3]), sum(scores[3:])], 1, atol=1e-3)
