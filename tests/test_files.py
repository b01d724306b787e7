"""Files are whole or not there: interrupted, refused and failed writes leave what was there before."""

from __future__ import annotations

import ast
import os
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from netspec.cli.main import run
from netspec.diagnostics.errors import UsageError
from netspec.files.atomic import write_bytes, write_text, writing

posix = pytest.mark.skipif(os.name != "posix", reason="modes, links, signals and devices of POSIX")


def test_a_file_is_written(tmp_path: Path) -> None:
    assert write_text(tmp_path / "a.txt", "naïve → ✓") == tmp_path / "a.txt"
    assert (tmp_path / "a.txt").read_bytes() == "naïve → ✓".encode()
    write_bytes(tmp_path / "a.txt", b"new")
    assert (tmp_path / "a.txt").read_bytes() == b"new"
    assert os.listdir(tmp_path) == ["a.txt"]


def test_the_old_file_stays_until_the_new_one_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("old")
    with writing(path) as f:
        f.write(b"new")
        f.flush()
        assert path.read_text() == "old"
    assert path.read_text() == "new"


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit, MemoryError])
def test_a_failure_on_the_way_changes_nothing(tmp_path: Path, error: type[BaseException]) -> None:
    path = tmp_path / "a.txt"
    path.write_text("old")
    with pytest.raises(error), writing(path) as f:
        f.write(b"half")
        raise error
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["a.txt"]


# A shell that starts the suite in the background makes its children ignore SIGINT; the writer must hear it.
WRITER = """
import signal, sys, time
from netspec.files.atomic import writing
signal.signal(signal.SIGINT, signal.default_int_handler)
with writing(sys.argv[1]) as f:
    f.write(b"half" * 100000)
    f.flush()
    print("writing", flush=True)
    time.sleep(60)
"""


@posix
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_process_that_is_ended_cleans_up(tmp_path: Path, number: signal.Signals) -> None:
    path = tmp_path / "a.txt"
    path.write_text("old")
    process = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    assert process.stdout is not None and process.stdout.readline() == b"writing\n"
    assert len(os.listdir(tmp_path)) == 2
    process.send_signal(number)
    assert process.wait(30) != 0
    process.stdout.close()
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["a.txt"]


@posix
def test_a_process_that_is_killed_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("old")
    with subprocess.Popen([sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None and process.stdout.readline() == b"writing\n"
        process.kill()
    assert path.read_text() == "old"


LIMITED = """
import resource, signal, sys
from netspec.cli.main import run
from netspec.diagnostics.errors import UsageError
from netspec.files.atomic import write_bytes
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
try:
    write_bytes(sys.argv[1], bytes(5000))
except UsageError as e:
    print(e)
"""


@posix
def test_a_full_disk_is_a_usage_error_and_changes_nothing(tmp_path: Path) -> None:
    """A limit on the size of files stands for a full disk: the write fails in the same place."""
    path = tmp_path / "a.txt"
    path.write_text("old")
    done = subprocess.run(
        [sys.executable, "-c", LIMITED, str(path)], capture_output=True, text=True, check=True, timeout=300
    )
    assert "cannot be written: File too large" in done.stdout
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["a.txt"]


def test_places_that_cannot_be_written_are_usage_errors(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for path, message in (
        (tmp_path, "is a folder"),
        (tmp_path / "missing" / "a.txt", "there is no folder"),
        (tmp_path / "file" / "a.txt", "cannot be written"),
        (tmp_path / ("a" * 300), "too long"),
        (tmp_path / "a\0b", "cannot be written"),
    ):
        with pytest.raises(UsageError, match=message):
            write_text(path, "text")
    assert os.listdir(tmp_path) == ["file"]


@posix
def test_modes_are_kept_and_new_files_follow_the_umask(tmp_path: Path) -> None:
    old, new = tmp_path / "old", tmp_path / "new"
    old.write_text("")
    old.chmod(0o751)
    before = os.umask(0o027)
    try:
        write_text(old, "text")
        write_text(new, "text")
    finally:
        os.umask(before)
    assert stat.S_IMODE(old.stat().st_mode) == 0o751
    assert stat.S_IMODE(new.stat().st_mode) == 0o640


@posix
def test_a_link_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "folder" / "file")
    write_text(tmp_path / "link", "one")
    write_text(tmp_path / "link", "two")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "folder" / "file").read_text() == "two"


@posix
def test_a_pipe_is_written_as_it_is(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with subprocess.Popen(
        [sys.executable, "-c", "import sys; sys.stdout.write(open(sys.argv[1]).read())", str(pipe)],
        stdout=subprocess.PIPE,
        text=True,
    ) as reader:
        write_text(pipe, "through the pipe")
        assert reader.communicate(timeout=30)[0] == "through the pipe"
    assert stat.S_ISFIFO(pipe.stat().st_mode)


@posix
def test_a_link_to_the_output_of_the_process_is_written_through(tmp_path: Path) -> None:
    """As `-o /dev/stdout` is, which is a link as well."""
    (tmp_path / "link").symlink_to("/dev/stdout")
    program = "import sys; from netspec.files.atomic import write_text; write_text(sys.argv[1], 'through the link')"
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path / "link")], capture_output=True, text=True, timeout=300
    )
    assert (done.stdout, done.stderr) == ("through the link", "")
    assert (tmp_path / "link").is_symlink()


@posix
def test_the_signal_handler_is_put_back(tmp_path: Path) -> None:
    before = signal.getsignal(signal.SIGTERM)
    with writing(tmp_path / "a.txt"):
        assert signal.getsignal(signal.SIGTERM) != before
    assert signal.getsignal(signal.SIGTERM) == before


def test_files_are_written_from_other_threads_too(tmp_path: Path) -> None:
    """Signals can be handled in the main thread alone."""
    from threading import Thread

    threads = [Thread(target=write_text, args=(tmp_path / f"{i}.txt", str(i))) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
        assert not thread.is_alive()
    assert sorted(p.read_text() for p in tmp_path.iterdir()) == [str(i) for i in range(8)]


# Every output is written so

ROOT = Path(__file__).resolve().parent.parent
MAKERS = {"mkstemp", "mkdtemp", "NamedTemporaryFile", "TemporaryFile", "TemporaryDirectory"}
METHODS = {"write_text", "write_bytes", "savefig", "save", "savez", "savez_compressed", "dump", "touch", "rename"}
"""Of Path, numpy, torch, matplotlib, json; functions of these names are ours."""
HERE = {"netspec/files/atomic.py", "netspec/files/parts.py"}
KNOWN = {
    ("netspec/draw/formats/graphviz.py", "write_bytes"),
    ("netspec/draw/formats/graphviz.py", "write_text"),  # in a folder of its own
    ("netspec/reports/plot.py", "savefig"),  # into memory
    ("netspec/cli/run_folder.py", "save"),  # by `writing`
    ("backends/netspec_onnx/quantize.py", "save"),  # in a folder of its own
    ("netspec/running/measure.py", "write_text"),  # to /proc
    ("netspec/running/save.py", "open"),  # an entry of the archive that `writing` gives
    ("backends/netspec_torch/weights.py", "save"),  # to a Part
    ("netspec/weights/published/download.py", "open"),  # what came is kept in torch.hub's cache, to go on from
    ("netspec/weights/published/download.py", "replace"),
}


def writes(tree: ast.AST) -> Iterator[str]:
    """The calls that may write a file by themselves."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            owner = ast.unparse(node.func.value) if isinstance(node.func, ast.Attribute) else ""
            name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            words = [*node.args, *(k.value for k in node.keywords)]
            modes = [w.value for w in words if isinstance(w, ast.Constant) and isinstance(w.value, str)]
            writing = any(set(mode) <= set("rwaxbt+") and set(mode) & set("wax+") for mode in modes)
            nowhere = any(ast.unparse(w) == "os.devnull" for w in words)
            if (
                name in MAKERS
                or owner
                and name in METHODS
                or (owner, name) == ("os", "replace")
                or (name == "open" and writing and not nowhere)
            ):
                yield name


@pytest.mark.skipif(not Path("/proc/self").is_dir(), reason="needs a folder in which nobody can make a file")
@pytest.mark.parametrize(
    "line", ["tune {} --target onnx", "bench {}", "bench {} --blocks --target onnx", "verify {}", "run {}"]
)
@pytest.mark.quick(1)
def test_what_cannot_be_written_is_said_before_it_is_measured(
    line: str, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Root too makes no file in /proc."""
    Path("tiny.yaml").write_text("netspec: 1\nname: tiny\ninput: [3, 8, 8]\nbody: [conv: [4, 3]]\n", encoding="utf-8")
    monkeypatch.setattr("netspec.cli.request.Request.compile", lambda self: pytest.fail("it began"))
    option = {"tune": "-o /proc/x.json", "run": "--save /proc/x.npz"}.get(line.split()[0], "-o /proc/x.csv")
    option = "--times /proc/x.json" if "--blocks" in line else option
    assert run([*line.format("tiny.yaml").split(), *option.split()]) == 2
    assert "'/proc/x." in capsys.readouterr().err and os.listdir() == ["tiny.yaml"]


def test_every_output_goes_through_one_module() -> None:
    found = set()
    for folder in ("netspec", "backends"):
        for path in (ROOT / folder).rglob("*.py"):
            name = path.relative_to(ROOT).as_posix()
            found |= {(name, call) for call in writes(ast.parse(path.read_text(encoding="utf-8"))) if name not in HERE}
    assert found <= KNOWN, sorted(found - KNOWN)
    assert ("netspec/reports/plot.py", "savefig") in found
