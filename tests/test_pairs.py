"""Pairs of files are consistent at every moment: an error or a kill leaves the old pair, or the new one."""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from conftest import sampled
from netspec_torch import safetensors_file
from netspec_torch.weights import state_dict
from safetensors.torch import load_file, save_file

import netspec
from netspec.backend import Options, get
from netspec.diagnostics.errors import UsageError
from netspec.files.atomic import together, write_bytes, writing
from netspec.files.parts import UNFINISHED, Part, data_name, is_data_of, temporary_folder
from netspec.ir.graph import Graph
from netspec.weights.initialise import initialise, lazily

posix = pytest.mark.skipif(os.name != "posix", reason="links of POSIX")
SPEC = "netspec: 1\nname: net\ninput: [3, 8, 8]\nbody:\n  - conv: [4, 3]\n  - relu\n  - conv: [2, 1]\n"


@pytest.fixture
def graph(tmp_path_factory: pytest.TempPathFactory) -> Graph:
    path = tmp_path_factory.mktemp("spec") / "net.yaml"
    path.write_text(SPEC, encoding="utf-8")
    return netspec.load(path).inference


def emit(graph: Graph, path: Path, seed: int, external: bool = True) -> list[Path]:
    written: list[Path] = get("onnx").emit(graph, initialise(graph, seed), path, Options(external_data=external))
    return written


def holds(graph: Graph, path: Path, seed: int) -> bool:
    """Whether a model is whole and has the weights of a seed."""
    wanted = initialise(graph, seed)
    found = {t.name: onnx.numpy_helper.to_array(t) for t in onnx.load(path).graph.initializer}
    return found.keys() == wanted.keys() and all(np.array_equal(found[k], wanted[k]) for k in wanted)


def names(folder: Path) -> set[str]:
    return set(os.listdir(folder))


def aged(folder: Path) -> None:
    """Makes the parts that were left behind older than a minute."""
    for path in folder.glob(".netspec-*.part"):
        os.utime(path, (time.time() - 120,) * 2)


# ONNX with external data


def test_the_data_file_has_the_digits_of_its_hash(graph: Graph, tmp_path: Path) -> None:
    model, data = emit(graph, tmp_path / "net.onnx", 1)
    assert re.fullmatch(r"net\.onnx\.[0-9a-f]{12}\.data", data.name)
    assert data.name.split(".")[2] == hashlib.sha256(data.read_bytes()).hexdigest()[:12]
    assert holds(graph, model, 1)
    assert names(tmp_path) == {model.name, data.name}


def test_the_old_models_data_goes_with_it(graph: Graph, tmp_path: Path) -> None:
    path = tmp_path / "net.onnx"
    first = emit(graph, path, 1)[1]
    second = emit(graph, path, 2)[1]
    assert first != second and names(tmp_path) == {"net.onnx", second.name} and holds(graph, path, 2)
    assert emit(graph, path, 2)[1] == second  # the same weights again
    assert names(tmp_path) == {"net.onnx", second.name} and holds(graph, path, 2)
    emit(graph, path, 3, external=False)
    assert names(tmp_path) == {"net.onnx"} and holds(graph, path, 3)


def test_what_is_not_the_old_models_own_data_stays(graph: Graph, tmp_path: Path) -> None:
    """Of the same pattern but unnamed by it; named by it but of another pattern; another model's; a copy's."""
    path = tmp_path / "net.onnx"
    others = {
        data_name("net.onnx", "0" * 12),
        "net.onnx.data",
        data_name("other.onnx", "1" * 12),
        data_name("net.onnx", "ABCDEF012345"),
        "net.onnx.0123.data",
    }
    for name in others:
        (tmp_path / name).write_bytes(b"mine")
    data = emit(graph, path, 1)[1]
    (tmp_path / "copy.onnx").write_bytes(path.read_bytes())
    new = emit(graph, path, 2)[1]
    assert names(tmp_path) == {*others, "net.onnx", "copy.onnx", data.name, new.name}
    assert holds(graph, tmp_path / "copy.onnx", 1) and holds(graph, path, 2)
    # a model that names data of another pattern
    os.rename(tmp_path / "copy.onnx", tmp_path / "third.onnx")
    emit(graph, tmp_path / "third.onnx", 3)
    assert data.exists()


@posix
def test_a_pair_stands_beside_the_target_of_a_link(graph: Graph, tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "links").mkdir()
    link = tmp_path / "links" / "link.onnx"
    link.symlink_to(tmp_path / "real" / "net.onnx")
    for seed in (1, 2):  # a link that leads nowhere yet, and one that leads to a model
        model, data = emit(graph, link, seed)
        assert link.is_symlink() and names(tmp_path / "links") == {"link.onnx"}
        assert names(tmp_path / "real") == {"net.onnx", data.name}
        assert data.parent == tmp_path / "real" and is_data_of(data.name, "net.onnx")
        assert holds(graph, tmp_path / "real" / "net.onnx", seed)
        x = {"input": np.ones((1, 3, 8, 8), np.float32)}
        found = get("onnx").run_file(link, x).outputs["output"]
        assert np.array_equal(found, get("onnx").run_file(model.resolve(), x).outputs["output"])


@posix
def test_a_pair_needs_a_regular_file(graph: Graph) -> None:
    with pytest.raises(UsageError, match="is not a regular file"):
        emit(graph, Path("/dev/null"), 1)
    emit(graph, Path("/dev/null"), 1, external=False)


@posix
def test_a_name_that_no_model_can_hold_is_refused(graph: Graph, tmp_path: Path) -> None:
    path = tmp_path / os.fsdecode(b"\xff.onnx")
    with pytest.raises(UsageError, match="not UTF-8"):
        emit(graph, path, 1)
    assert not names(tmp_path)
    emit(graph, path, 1, external=False)
    emit(graph, tmp_path / "né t.onnx", 1)
    assert holds(graph, tmp_path / "né t.onnx", 1)


# PyTorch's source and its weights


def write(graph: Graph, path: Path, seed: int) -> list[Path]:
    written: list[Path] = get("torch").emit(graph, lazily(graph, seed), path, Options())
    return written


def module(path: Path) -> dict[str, Any]:
    space: dict[str, Any] = {"__name__": "net", "__file__": str(path)}
    exec(compile(path.read_text(encoding="utf-8"), str(path), "exec"), space)
    return space


def seed_of(graph: Graph, path: Path, weights: Path | None = None) -> int | None:
    """The seed whose weights a source loads; None where it refuses the file."""
    try:
        state = module(path)["load"](weights).state_dict()
    except ValueError as e:
        assert "does not hold the weights" in str(e)
        return None
    return next(
        seed
        for seed in (1, 2, 3)
        if all(np.array_equal(state[key].numpy(), value) for key, value in initialise(graph, seed).items())
    )


def test_a_source_loads_the_weights_that_were_written_with_it(graph: Graph, tmp_path: Path) -> None:
    path = tmp_path / "net.py"
    assert write(graph, path, 1) == [path, tmp_path / "net.pth"]
    assert names(tmp_path) == {"net.py", "net.pth"} and seed_of(graph, path) == 1
    assert hashlib.sha256((tmp_path / "net.pth").read_bytes()).hexdigest() in path.read_text()
    (tmp_path / "other").mkdir()
    moved = tmp_path / "other" / "moved.pth"
    moved.write_bytes((tmp_path / "net.pth").read_bytes())
    assert seed_of(graph, path, moved) == 1  # the same bytes under another name
    write(graph, tmp_path / "other" / "net.py", 2)
    assert seed_of(graph, path, tmp_path / "other" / "net.pth") is None
    os.replace(tmp_path / "other" / "net.pth", tmp_path / "net.pth")
    assert seed_of(graph, path) is None  # of the same shapes: it would load silently
    assert not module(path)["load"](moved).training


@posix
def test_a_source_and_its_weights_stand_beside_the_target_of_a_link(graph: Graph, tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link.py").symlink_to(tmp_path / "real" / "net.py")
    write(graph, tmp_path / "link.py", 1)
    assert names(tmp_path) == {"real", "link.py"} and names(tmp_path / "real") == {"net.py", "net.pth"}
    assert seed_of(graph, tmp_path / "link.py") == 1


def test_weights_do_not_take_the_place_of_their_source(graph: Graph, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="would have the same name"):
        write(graph, tmp_path / "net.pth", 1)
    (tmp_path / "net.pth").mkdir()
    with pytest.raises(UsageError, match="net.pth is a folder"):
        write(graph, tmp_path / "net.py", 1)
    assert names(tmp_path) == {"net.pth"}


def test_safetensors_are_written_as_the_library_reads_them(tmp_path: Path) -> None:
    """Scalars, counters, tensors of no elements, and names that JSON escapes."""
    spec = tmp_path / "net.yaml"
    spec.write_text(SPEC.replace("relu", "batch_norm"), encoding="utf-8")
    graph = netspec.load(spec).inference
    with together(tmp_path / "net.safetensors") as new:
        safetensors_file.save(graph, lazily(graph, 1), new.add("net.safetensors"))
    found, wanted = load_file(tmp_path / "net.safetensors"), state_dict(graph, initialise(graph, 1))
    assert found.keys() == wanted.keys()
    assert all(torch.equal(found[key], wanted[key]) and found[key].dtype == wanted[key].dtype for key in wanted)
    path = tmp_path / "net.py"
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "torch", None)
        patch.delitem(sys.modules, "netspec_torch.weights", raising=False)
        write(graph, path, 1)
    assert names(tmp_path) == {"net.yaml", "net.py", "net.safetensors"} and seed_of(graph, path) == 1
    other = tmp_path / "other.safetensors"
    save_file(found, other)
    assert seed_of(graph, path, other) is None


# Every operation fails once


OPERATIONS = ("open", "link", "fsync", "chmod", "replace", "unlink")


class Failing:
    """Makes the n-th of the operations on files fail, or all from there on; counts them."""

    def __init__(
        self,
        monkeypatch: pytest.MonkeyPatch,
        number: int,
        error: type[BaseException] = OSError,
        all_after: bool = False,
    ) -> None:
        self.count, self.number, self.error, self.all_after = 0, number, error, all_after
        for name in OPERATIONS:
            monkeypatch.setattr(os, name, self.failing(getattr(os, name)))

    def failing(self, operation: Any) -> Any:
        def run(*args: Any, **kwargs: Any) -> Any:
            self.count += 1
            if self.count == self.number or self.all_after and self.count > self.number:
                raise OSError(5, "Input/output error") if self.error is OSError else self.error()
            return operation(*args, **kwargs)

        return run


@pytest.mark.parametrize("all_after", [False, True])
@pytest.mark.parametrize("error", [OSError, KeyboardInterrupt])
def test_any_failing_operation_leaves_the_old_pair_or_the_new_one(
    graph: Graph, tmp_path: Path, error: type[BaseException], all_after: bool
) -> None:
    path, outcomes = tmp_path / "net.onnx", set()
    for number in sampled(range(1, 100), 40):
        old = emit(graph, path, 1)[1]
        with pytest.MonkeyPatch.context() as patch:
            failing = Failing(patch, number, error, all_after)
            try:
                emit(graph, path, 2)
                failed = False
            except (UsageError, KeyboardInterrupt):
                failed = True
        new = holds(graph, path, 2)
        assert new or holds(graph, path, 1), number
        assert failed or new, number  # what is not written is said
        outcomes.add((failed, new))
        aged(tmp_path)
        final = emit(graph, path, 3)[1]
        assert names(tmp_path) == {"net.onnx", final.name}, (number, old)
        if failing.count < number:
            break
    else:
        raise AssertionError("it never ran through")
    assert (True, False) in outcomes and (False, True) in outcomes


@pytest.mark.parametrize("all_after", [False, True])
@pytest.mark.parametrize("error", [OSError, KeyboardInterrupt])
def test_any_failing_operation_leaves_a_source_that_loads_its_own_weights_alone(
    graph: Graph, tmp_path: Path, error: type[BaseException], all_after: bool
) -> None:
    """After an error both files are the old ones, or both the new ones: where one cannot be placed, none is."""
    path, outcomes = tmp_path / "net.py", set()
    for number in sampled(range(1, 100), 40):
        write(graph, path, 1)
        with pytest.MonkeyPatch.context() as patch:
            failing = Failing(patch, number, error, all_after)
            try:
                write(graph, path, 2)
                failed = False
            except (UsageError, KeyboardInterrupt):
                failed = True
        found = seed_of(graph, path)
        assert found in (1, 2) or all_after and found is None, number
        assert failed or found == 2, number
        outcomes.add((failed, found))
        aged(tmp_path)
        write(graph, path, 3)
        assert seed_of(graph, path) == 3 and names(tmp_path) == {"net.py", "net.pth"}, number
        if failing.count < number:
            break
    else:
        raise AssertionError("it never ran through")
    assert (True, 1) in outcomes and (False, 2) in outcomes


@pytest.mark.parametrize("first", [True, False])
def test_files_that_cannot_all_be_renamed_are_none_of_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, first: bool
) -> None:
    if not first:
        (tmp_path / "a").write_bytes(b"old a")
        (tmp_path / "b").write_bytes(b"old b")
    before = {name: (tmp_path / name).read_bytes() for name in names(tmp_path)}
    replace = os.replace

    def failing(source: Any, target: Any) -> None:
        if Path(target).name == "b":
            raise OSError(28, "No space left on device")
        replace(source, target)

    monkeypatch.setattr(os, "replace", failing)
    with pytest.raises(UsageError, match="No space left"), together(tmp_path / "b") as new:
        new.add("a").write(b"new a")
        new.add("b").write(b"new b")
    assert {name: (tmp_path / name).read_bytes() for name in names(tmp_path)} == before


# Parts that were left behind


KILLED = """
import os, sys, signal
from netspec.files.atomic import together
number, count = int(sys.argv[2]), 0

def counted(operation):
    def run(*args, **kwargs):
        global count
        count += 1
        if count == number:
            os.kill(os.getpid(), signal.SIGKILL)
        return operation(*args, **kwargs)
    return run

for name in ("open", "link", "fsync", "chmod", "replace", "unlink"):
    setattr(os, name, counted(getattr(os, name)))
with together(sys.argv[1]) as new:
    data = new.add("", hashed=True)
    data.write(b"new weights")
    new.add("net.onnx").write(b"new model of " + new.name_by_hash(data).encode())
"""


@posix
def test_a_kill_at_any_operation_leaves_a_pair_and_the_next_run_cleans_up(tmp_path: Path) -> None:
    path = tmp_path / "net.onnx"
    killed = 0
    for number in sampled(range(1, 40), 16):
        with together(path) as new:
            data = new.add("", hashed=True)
            data.write(b"old weights")
            new.add("net.onnx").write(b"old model of " + new.name_by_hash(data).encode())
        done = subprocess.run([sys.executable, "-c", KILLED, str(path), str(number)], capture_output=True)
        age, _, name = path.read_text().partition(" model of ")
        assert (tmp_path / name).read_text() == f"{age} weights"
        if done.returncode == 0:
            break
        killed += 1
        aged(tmp_path)
        write_bytes(tmp_path / "another.txt", b"")
        assert names(tmp_path) == {"net.onnx", name, "another.txt"}, number
    assert killed and number > 9


def test_a_part_that_is_old_and_unlocked_is_removed(tmp_path: Path) -> None:
    for name in (".netspec-old.part", ".netspec-young.part", "netspec-mine.part", ".netspec-mine.txt"):
        (tmp_path / name).write_text("left")
        if "young" not in name:
            os.utime(tmp_path / name, (time.time() - 61,) * 2)
    (tmp_path / ".netspec-folder.part").mkdir()
    os.utime(tmp_path / ".netspec-folder.part", (time.time() - 61,) * 2)
    write_bytes(tmp_path / "a.txt", b"")
    assert names(tmp_path) == {
        ".netspec-young.part",
        "netspec-mine.part",
        ".netspec-mine.txt",
        "a.txt",
        ".netspec-folder.part",
    }


def test_a_part_that_is_being_written_stays(tmp_path: Path) -> None:
    """Locks are held by an open file: a second one of this process is as another process's."""
    with writing(tmp_path / "slow.txt") as f:
        f.write(b"slow")
        aged(tmp_path)
        write_bytes(tmp_path / "quick.txt", b"quick")
    assert (tmp_path / "slow.txt").read_bytes() == b"slow"
    assert names(tmp_path) == {"slow.txt", "quick.txt"}


@posix
def test_a_link_under_the_name_of_a_part_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("mine")
    (tmp_path / ".netspec-x.part").symlink_to(tmp_path / "mine")
    os.utime(tmp_path / ".netspec-x.part", (time.time() - 120,) * 2, follow_symlinks=False)
    write_bytes(tmp_path / "a.txt", b"")
    assert names(tmp_path) == {"mine", ".netspec-x.part", "a.txt"}


@pytest.mark.parametrize(
    "told",
    [
        b"",
        b"{",
        b"[]",
        b"{}",
        b'{"target": 1, "data": 2}',
        b'{"target": "net.onnx", "data": ["net.onnx", "other"]}',
        json.dumps({"target": "../net.onnx", "data": [data_name("../net.onnx", "0" * 12)]}).encode(),
    ],
)
def test_a_note_that_is_wrong_removes_nothing(tmp_path: Path, told: bytes) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    for place in (tmp_path, folder):
        for name in ("net.onnx", "other", data_name("net.onnx", "0" * 12)):
            (place / name).write_text("mine")
    (folder / ".netspec-x.part").write_bytes(UNFINISHED + told)
    aged(folder)
    write_bytes(folder / "a.txt", b"")
    assert len(names(tmp_path)) == 4 and len(names(folder)) == 4 and "a.txt" in names(folder)


def test_a_part_is_removed_when_its_lock_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(handle: int) -> bool:
        raise RuntimeError

    monkeypatch.setattr("netspec.files.parts.lock", broken)
    with pytest.raises(RuntimeError):
        Part(tmp_path)
    assert not names(tmp_path)


# Folders of temporary files


@posix
def test_folders_of_killed_processes_are_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    program = "from netspec.files.parts import temporary_folder; print(temporary_folder(), flush=True); {}"
    kill = "import os, signal; os.kill(os.getpid(), signal.SIGKILL)"
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    for end, count in (("pass", 0), (kill, 1)):
        done = subprocess.run([sys.executable, "-c", program.format(end)], env=environment, stdout=subprocess.PIPE)
        assert done.stdout and len(names(tmp_path)) == count
    for name in ("netspec-mine", "netspec-empty", "other"):
        (tmp_path / name).mkdir()
    (tmp_path / "netspec-mine" / "file").write_text("mine")
    held = temporary_folder()
    assert len(names(tmp_path)) == 5
    for folder in tmp_path.iterdir():
        os.utime(folder, (time.time() - 120,) * 2)
    temporary_folder()
    assert names(tmp_path) - {"netspec-mine", "other", held.name} and len(names(tmp_path)) == 4
    assert (tmp_path / "netspec-mine" / "file").exists() and held.exists()
