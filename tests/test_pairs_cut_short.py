"""A pair of files whose writing fails or is killed: the old pair or the new one, and what is left is removed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from conftest import sampled
from pairs_harness import SPEC, aged, emit, holds, names, posix, seed_of, small, write
from run_harness import Netspec

from netspec.diagnostics.errors import UsageError
from netspec.files.atomic import together, write_bytes, writing
from netspec.files.parts import UNFINISHED, Part, data_name, temporary_folder
from netspec.ir.graph import Graph

pytestmark = pytest.mark.slow


@pytest.fixture
def graph(tmp_path_factory: pytest.TempPathFactory) -> Graph:
    return small(tmp_path_factory.mktemp("spec"))


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
    for number in sampled(range(1, 100), 12):
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
@pytest.mark.quick(2)
def test_any_failing_operation_leaves_a_source_that_loads_its_own_weights_alone(
    graph: Graph, tmp_path: Path, error: type[BaseException], all_after: bool
) -> None:
    """After an error both files are the old ones, or both the new ones: where one cannot be placed, none is."""
    path, outcomes = tmp_path / "net.py", set()
    for number in sampled(range(1, 100), 12):
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


class Stopping:
    """Sends this process a signal at the n-th write of a part, as it begins or as the file takes the bytes."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, number: int, sent: signal.Signals, begins: bool) -> None:
        self.count, self.number, self.sent, self.begins = 0, number, sent, begins
        original = Part.write

        def write(part: Part, data: Any) -> int:
            self.count += 1
            if self.count == self.number:
                if self.begins:
                    signal.raise_signal(self.sent)
                monkeypatch.setattr(part, "file", Stopped(part.file, self.sent))
            return original(part, data)

        monkeypatch.setattr(Part, "write", write)


class Stopped:
    """A file in whose first write a signal comes."""

    def __init__(self, file: Any, sent: signal.Signals) -> None:
        self.file, self.sent = file, sent

    def write(self, data: Any) -> int:
        half = bytes(data)[: len(bytes(data)) // 2]
        self.file.write(half)
        signal.raise_signal(self.sent)
        raise AssertionError("the signal was not heard")

    def __getattr__(self, name: str) -> Any:
        return getattr(self.file, name)


@posix
@pytest.mark.parametrize("begins", [True, False])
@pytest.mark.parametrize(("sent", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_a_signal_at_any_write_of_weights_stops_the_command(
    suffix: str, sent: signal.Signals, code: int, begins: bool, netspec: Netspec, monkeypatch: pytest.MonkeyPatch
) -> None:
    """PyTorch has an error of its own for a file that was cut short: that is no bug of netspec."""
    Path("net.yaml").write_text(SPEC, encoding="utf-8")
    if suffix == ".safetensors":
        monkeypatch.setitem(sys.modules, "torch", None)
        monkeypatch.delitem(sys.modules, "netspec_torch.weights", raising=False)
    heard, stopped = signal.signal(signal.SIGINT, signal.default_int_handler), 0
    try:
        for number in range(1, 200):
            with pytest.MonkeyPatch.context() as patch:
                stopping = Stopping(patch, number, sent, begins)
                found, out, err = netspec("compile", "net.yaml", "--to", "torch", "-q")
            if stopping.count < number:
                break
            assert (found, out, err.strip()) == (code, "", "stopped"), number
            assert names(Path()) == {"net.yaml"}, number
            stopped += 1
    finally:
        signal.signal(signal.SIGINT, heard)
    assert found == 0 and names(Path()) == {"net.yaml", "net.py", f"net{suffix}"}
    assert stopped > (40 if suffix == ".pth" else 2)


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
    for number in sampled(range(1, 40), 8):
        with together(path) as new:
            data = new.add("", hashed=True)
            data.write(b"old weights")
            new.add("net.onnx").write(b"old model of " + new.name_by_hash(data).encode())
        done = subprocess.run([sys.executable, "-c", KILLED, str(path), str(number)], capture_output=True, timeout=300)
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
        done = subprocess.run(
            [sys.executable, "-c", program.format(end)], env=environment, stdout=subprocess.PIPE, timeout=300
        )
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
