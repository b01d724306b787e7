"""The script of `netspec new training`: what it reaches, and that how it is run does not change what comes out."""

from __future__ import annotations

import os
import re
import runpy
import signal
import subprocess
import sys
import time
from argparse import Namespace
from collections.abc import Iterator, Mapping
from contextlib import suppress
from importlib.metadata import version
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import import_torchvision
from PIL import Image

import netspec
from netspec.cli.main import run

pytestmark = pytest.mark.slow

# torchvision without its compiled part refuses to be imported without the names of two operators.
# The module that shares gradients is gone before its process group is: the last to hold the group joins its thread, and
# from that module PyTorch does so with the lock of Python, which the thread may wait for, for ever.
START = """
import gc, runpy, sys, torch, torch.distributed as dist
sys.path.insert(0, {tests!r})
from conftest import import_torchvision
import_torchvision()
end = dist.destroy_process_group
def alone():
    assert not any(type(found) is torch.nn.parallel.DistributedDataParallel for found in gc.get_objects())
    end()
dist.destroy_process_group = alone
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""
SECONDS = 300
"""How long a run may take: the longest takes 40 on two cores."""
SMALL = ["--spec", "lenet5", "--synthetic", "--images", "400", "--epochs", "2", "--workers", "0"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with the script, and a file that starts it."""
    path = tmp_path_factory.mktemp("training")
    (path / "start.py").write_text(START.format(tests=str(Path(__file__).parent)))
    before = Path.cwd()
    os.chdir(path)
    try:
        assert run(["new", "training"]) == 0
        assert run(["new", "training"]) == 2
    finally:
        os.chdir(before)
    yield path


def command(*args: str, processes: int = 1) -> list[str]:
    launcher = ["-m", "torch.distributed.run", "--nproc-per-node", str(processes), "--master-port", "0"]
    launcher += ["--rdzv-backend", "c10d", "--rdzv-endpoint", "localhost:0"]
    return [sys.executable, *(launcher if processes > 1 else []), "start.py", "train.py", *args]


def trained(folder: Path, name: str, *args: str, processes: int = 1) -> str:
    """Runs the script to its end; gives what it says. What is not done in time is ended, with all its processes."""
    with started(folder, *args, "--out", name, processes=processes) as process:
        try:
            said, errors = process.communicate(timeout=SECONDS)
        except subprocess.TimeoutExpired as e:
            process.terminate()  # torch.distributed.run ends its processes, which have groups of their own
            with suppress(subprocess.TimeoutExpired):
                process.wait(timeout=60)
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            raise AssertionError(f"not done in {SECONDS} s: {(e.stderr or b'')[-3000:].decode()}") from None
    assert process.returncode == 0, errors[-3000:]
    return said


def started(folder: Path, *args: str, processes: int = 1) -> subprocess.Popen[str]:
    """The script in a group of processes of its own."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    pipe = subprocess.PIPE
    return subprocess.Popen(
        command(*args, processes=processes),
        cwd=folder,
        stdout=pipe,
        stderr=pipe,
        text=True,
        env=environment,
        start_new_session=True,
    )


def weights(folder: Path, name: str) -> Mapping[str, torch.Tensor]:
    found: dict[str, torch.Tensor] = torch.load(folder / name / "last.pt", weights_only=True)["model"]
    return found


def difference(a: Mapping[str, torch.Tensor], b: Mapping[str, torch.Tensor]) -> float:
    assert list(a) == list(b)
    return max(float((a[key] - b[key]).abs().max()) for key in a)


@pytest.fixture(scope="module")
def once(folder: Path) -> Mapping[str, torch.Tensor]:
    """What one process makes of batches of 80."""
    trained(folder, "once", *SMALL, "--batch", "80")
    found = weights(folder, "once")
    start = netspec.load("lenet5").to_torch(training=True, seed=0).state_dict()
    assert difference(found, start) > 1e-3  # it learned something
    return found


def test_the_script_is_short_and_clean(folder: Path) -> None:
    assert len((folder / "train.py").read_text().splitlines()) <= 250
    options = ["--isolated", "--line-length", "120"]
    for line in (["format", "--check"], ["check", "--select", "E,F,W,I,UP,B,C4"]):
        done = subprocess.run([sys.executable, "-m", "ruff", *line, *options, "train.py"], cwd=folder, timeout=300)
        assert done.returncode == 0


@pytest.mark.slow
def test_a_torchvision_of_another_torch_is_named(folder: Path, tmp_path: Path) -> None:
    """As torchvision 0.20 fails at its import beside another torch: RuntimeError, operator does not exist."""
    (tmp_path / "torchvision").mkdir()
    (tmp_path / "torchvision" / "__init__.py").write_text(
        "raise RuntimeError('operator torchvision::nms does not exist')"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), *sys.path])}
    line = [sys.executable, folder / "train.py", "--synthetic", "--spec", "lenet5"]
    done = subprocess.run(line, capture_output=True, text=True, env=environment, timeout=100)
    assert done.returncode == 3 and "Traceback" not in done.stderr and "nms does not exist" in done.stderr
    assert f"with torch {version('torch')}: " in done.stderr
    assert "pip install -U torch torchvision --index-url" in done.stderr
    done = subprocess.run([*line, "--help"], capture_output=True, text=True, env=environment, timeout=100)
    assert done.returncode == 0 and "--data" in done.stdout


@pytest.mark.slow
def test_classes_of_validation_are_those_of_training(folder: Path, tmp_path: Path) -> None:
    """A class that val/ lacks does not shift the numbers of those after it; one that train/ lacks is an error."""
    for name in ("train/a", "train/b", "train/c", "val/a", "val/c"):
        (tmp_path / name).mkdir(parents=True)
        Image.new("L", (32, 32)).save(tmp_path / name / "0.png")
    import_torchvision()
    spec = spec_from_file_location("written_training", folder / "train.py")
    assert spec is not None and spec.loader is not None
    script = module_from_spec(spec)
    spec.loader.exec_module(script)
    args = Namespace(synthetic=False, data=tmp_path, scale=(0.35, 1.0), seed=0)
    _, val, classes = script.data(args, (1, 32, 32))
    assert classes == ["a", "b", "c"] and [val[i][1] for i in range(len(val))] == [0, 2]
    (tmp_path / "val/d").mkdir()
    Image.new("L", (32, 32)).save(tmp_path / "val/d/0.png")
    with pytest.raises(netspec.UsageError, match="has classes that train/ has not: d"):
        script.data(args, (1, 32, 32))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ("siamese", "'siamese' has the inputs left, right"),
        ("unet", "'unet' does not give the classes of one image"),
        ("dsod300", "'dsod300' does not give the classes"),
        ("none", "there is no"),
    ],
)
def test_a_network_that_cannot_be_trained_is_refused_when_the_script_is_written(
    spec: str, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["new", "training", "--spec", spec, "-o", str(tmp_path / "t.py")]) == 2
    assert said in capsys.readouterr().err and not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "line, message, code",
    [
        (["--data", "nowhere"], "there is no folder nowhere/train: --data holds train/CLASS/*.jpg", 2),
        (["--data", "empty"], "Found no valid file for the classes a", 2),
        (["--synthetic", "--spec", "resnett18"], "did you mean 'resnet18'?", 2),
        (["--synthetic", "--spec", "wrong.yaml"], "wrong.yaml:4:8: error[", 1),
        (["--synthetic", "--spec", "unet"], "unet does not give the classes of one image", 2),
        (["--synthetic", "--spec", "siamese"], "siamese does not give the classes of one image", 2),
        (["--synthetic", "--weights", "nothing.pth"], "error: nothing.pth cannot be read", 2),
        (["--synthetic", "--layers", "c1"], "--layers are those of --weights: give both", 2),
        (["--synthetic", "--freeze", "zz"], "'lenet5' has no step 'zz' with weights", 2),
        (["--synthetic", "--device", "tpu"], "invalid choice: 'tpu'", 2),
        (["--synthetic", "--accumulate", "0"], "begin at 1", 2),
        (["--synthetic", "--images", "3"], "3 images are fewer than the 64 of a step", 2),
        (["--synthetic", "--out", "garbage"], "is no checkpoint of this run", 2),
        (["--synthetic", "--out", "other"], "it was made with batch 7, not 64; seed 3, not 0; classes 0", 2),
        (["--synthetic", "--out", "train.py"], "File exists", 2),
    ],
)
@pytest.mark.slow
def test_a_wrong_input_is_one_error_and_no_traceback(
    folder: Path,
    line: list[str],
    message: str,
    code: int,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    import_torchvision()
    monkeypatch.chdir(folder)
    for name in ("empty/train/a", "garbage", "other"):
        Path(name).mkdir(parents=True, exist_ok=True)
    Path("wrong.yaml").write_text("netspec: 1\nname: wrong\ninput: [1, 32, 32]\nbody: [nothing]\n")
    Path("garbage/last.pt").write_text("no tensors")
    made = {"spec": "lenet5", "data": "None", "freeze": "[]", "batch": "7", "accumulate": "1", "seed": "3"}
    torch.save({"made": made | {"classes": "0"}}, "other/last.pt")
    monkeypatch.setattr(sys, "argv", ["train.py", *(line if "--spec" in line else ["--spec", "lenet5", *line])])
    with pytest.raises(SystemExit) as end:
        runpy.run_path("train.py", run_name="__main__")
    error = capsys.readouterr().err
    assert end.value.code == code and message in error and error.count("error") == 1


def test_generated_classes_are_learned(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said = trained(
        folder,
        "learned",
        "--spec",
        "resnet20_cifar",
        "--synthetic",
        "--images",
        "2000",
        "--epochs",
        "1",
        "--workers",
        "0",
    )
    reached = re.search(r"accuracy ([\d.]+)%", said)
    assert reached is not None and float(reached[1]) >= 95, said
    monkeypatch.chdir(folder)
    use = said.rpartition("netspec ")[2].split()
    assert use[:2] == ["compile", "resnet20_cifar"] and run([*use, "-o", "net.onnx"]) == 0


def test_two_processes_make_what_one_makes_of_twice_the_batch(folder: Path, once: Mapping[str, torch.Tensor]) -> None:
    trained(folder, "two", *SMALL, "--batch", "40", processes=2)
    assert difference(weights(folder, "two"), once) < 1e-5


@pytest.mark.full
def test_shards_make_the_same(folder: Path, once: Mapping[str, torch.Tensor]) -> None:
    trained(folder, "shards", *SMALL, "--batch", "40", "--fsdp", processes=2)
    assert difference(weights(folder, "shards"), once) < 1e-5


@pytest.mark.full
def test_accumulated_gradients_make_the_same(folder: Path, once: Mapping[str, torch.Tensor]) -> None:
    trained(folder, "parts", *SMALL, "--batch", "80", "--accumulate", "4")
    assert difference(weights(folder, "parts"), once) < 1e-5


def test_a_killed_run_ends_as_one_that_was_never_killed(folder: Path, once: Mapping[str, torch.Tensor]) -> None:
    line = [*SMALL, "--batch", "80", "--save-every", "2"]
    with started(folder, *line, "--out", "killed") as process:
        checkpoint, limit = folder / "killed" / "last.pt", time.monotonic() + SECONDS
        while not checkpoint.exists() and process.poll() is None and time.monotonic() < limit:
            time.sleep(0.01)
        os.killpg(process.pid, signal.SIGKILL)
    assert 0 < torch.load(checkpoint, weights_only=True)["step"] < 10
    said = trained(folder, "killed", *line)
    assert re.search(r"last\.pt: goes on after [2468] steps", said)
    found = weights(folder, "killed")
    assert all(torch.equal(found[key], once[key]) for key in once)


def test_a_folder_of_images_weights_and_frozen_steps(folder: Path) -> None:
    draw = np.random.default_rng(0)
    for part in ("train", "val"):
        for label, grey in (("dark", 60), ("light", 190)):
            place = folder / "images" / part / label
            place.mkdir(parents=True)
            for i in range(16):
                noise = draw.integers(-40, 40, (40, 50, 3))
                Image.fromarray(np.clip(grey + noise, 0, 255).astype(np.uint8)).save(place / f"{i}.png")
    first = netspec.load("lenet5").to_torch(seed=7).state_dict()
    torch.save(first, folder / "first.pth")
    line = ["--spec", "lenet5", "--data", "images", "--batch", "8", "--epochs", "2", "--workers", "0"]
    taken = ["--weights", "first.pth", "--layers", "c1..c3", "--freeze", "c1", "--freeze", "f6"]
    said = trained(folder, "of_folder", *line, *taken)
    assert "classes=2" in said and "accuracy" in said
    found = weights(folder, "of_folder")
    frozen = [key for key in first if key.startswith("c1.")]
    assert frozen and all(torch.equal(found[key], first[key]) for key in frozen)
    assert any(not torch.equal(found[key], first[key]) for key in first if found[key].shape == first[key].shape)
    drawn = netspec.load("lenet5", classes=2).to_torch(seed=0).state_dict()["f6.weight"]
    assert torch.equal(found["f6.weight"], drawn) and not torch.equal(drawn, first["f6.weight"])


def loss_of(folder: Path) -> Any:
    import_torchvision()
    return runpy.run_path(str(folder / "train.py"), run_name="train")["loss_of"]


def test_the_loss_of_googlenet_is_that_of_its_paper(folder: Path) -> None:
    """Szegedy et al. 2014, section 5: the losses of the auxiliary classifiers count 0.3."""
    model = netspec.load("googlenet", input=(3, 224, 224)).to_torch(training=True, seed=1)
    torch.manual_seed(0)
    outputs, labels = model(torch.randn(2, 3, 224, 224)), torch.tensor([3, 5])
    assert model.loss_weights == {"logits": 1.0, "aux1": 0.3, "aux2": 0.3}
    each = {name: torch.nn.functional.cross_entropy(value, labels) for name, value in outputs.items()}
    total = loss_of(folder)(outputs, labels, model.loss_weights, 0.0)
    torch.testing.assert_close(total, each["logits"] + 0.3 * each["aux1"] + 0.3 * each["aux2"])
    gradients = []
    for part in (0.3 * each["aux1"], total):
        model.zero_grad()
        part.backward(retain_graph=True)
        gradients.append(model.conv1.conv.weight.grad.abs().max().item())
    assert all(gradient > 0 for gradient in gradients)
    source = netspec.load("googlenet").to_torch()
    assert not any("aux" in key for key in source.state_dict()) and not hasattr(source, "loss_weights")
