"""`netspec check -j N`: what it says is what one process says, and none is left when it is stopped."""

from __future__ import annotations

import json
import os
import pty
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
from terminal_harness import shown_on

from netspec.cli.main import run

pytestmark = pytest.mark.slow

GOOD = "netspec: 1\nname: good\ninput: [3, 8, 8]\nbody: [conv: [4, 1]]\nexpect: {params: {printed: 16}}\n"
BAD = "netspec: 1\nname: bad\ninput: [3, 8, 8]\nlet: {widht: 3}\nbody: [conv: [=width, 1], relu6]\n"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "good.yaml").write_text(GOOD)
    (tmp_path / "bad.yaml").write_text(BAD)
    (tmp_path / "none.yaml").write_bytes(b"\x89PNG\r\n\x1a\n")
    for name in ("warned", "many"):
        (tmp_path / f"{name}.yaml").write_text(GOOD.replace("good", name))
    (tmp_path / "errors.yaml").write_text(
        "netspec: 1\nname: errors\ninput: [3, 8, 8]\nbody:\n" + "".join(f"  - a{i} = cnv: [4, 1]\n" for i in range(60))
    )
    return tmp_path


@pytest.mark.quick(2)
@pytest.mark.parametrize("options", [[], ["-f", "json"], ["--strict", "-f", "github"], ["--max-errors", "7"]])
def test_several_processes_say_the_same(folder: Path, options: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    said = []
    for jobs in ("1", "3"):
        code = run(["check", ".", *options, "-j", jobs])
        found = capsys.readouterr()
        said.append((code, found.out, found.err))
    assert said[0] == said[1]
    assert said[0][0] == 2 and "cnv" in said[0][2] and ("none.yaml" in said[0][2] or "7" in options)


def test_facts_come_in_the_order_of_files(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = []
    for jobs in ("1", "2"):
        assert run(["check", "many.yaml", "good.yaml", "warned.yaml", "--facts", "-f", "json", "-q", "-j", jobs]) == 0
        rows.append(json.loads(capsys.readouterr().out))
    assert rows[0] == rows[1] and [row["row"] for row in rows[0]] == ["many params", "good params", "warned params"]


@pytest.mark.parametrize("how", ["interrupt", pytest.param("kill", marks=pytest.mark.slow)])
def test_no_process_is_left(how: str, tmp_path: Path) -> None:
    """Ctrl-C comes to all processes of a terminal, and one of them says so; a parent that is killed says nothing."""
    steps = "".join(f"  - c{i} = conv: [4, 1]\n" for i in range(20_000))
    for name in ("a", "b", "c"):
        (tmp_path / f"{name}.yaml").write_text(f"netspec: 1\nname: {name}\ninput: [3, 8, 8]\nbody:\n{steps}")
    child = subprocess.Popen(
        [sys.executable, "-m", "netspec", "check", ".", "-j", "2"],
        cwd=tmp_path,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    _until(lambda: len(_children(child.pid)) == 2)
    workers = _children(child.pid)
    if how == "interrupt":
        os.killpg(child.pid, signal.SIGINT)
    else:
        child.kill()
    _, said = child.communicate(timeout=60)
    assert (child.returncode, said.strip()) == ((130, "stopped") if how == "interrupt" else (-signal.SIGKILL, ""))
    _until(lambda: not [pid for pid in workers if Path(f"/proc/{pid}").exists()])


def _children(pid: int) -> list[int]:
    """The processes that a process began."""
    if not Path(f"/proc/{pid}/task/{pid}/children").exists():
        pytest.skip("this system does not say which processes another began")
    return [int(n) for n in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def _until(done: Callable[[], object]) -> None:
    end = time.monotonic() + 60
    while not done():
        assert time.monotonic() < end
        time.sleep(0.02)


ENDED = """
import os, sys, netspec.check.many
netspec.check.many.outcome = lambda job: os._exit(9)
from netspec.cli.main import main
sys.exit(main())
"""


def test_a_process_that_is_ended_is_an_error(folder: Path) -> None:
    command = [sys.executable, "-c", ENDED, "check", "good.yaml", "many.yaml", "-j", "2"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 2 and "a process that worked on a spec was ended" in done.stderr


KILLED = """
import os, signal, sys, netspec.check.many as many
real = many.outcome
many.outcome = lambda job: os.kill(os.getpid(), signal.SIGKILL) if job.spec.path.name == "many.yaml" else real(job)
from netspec.cli.main import main
sys.exit(main())
"""


def test_the_others_are_checked_where_a_process_is_killed(folder: Path) -> None:
    files = ["good.yaml", "many.yaml", "bad.yaml", "errors.yaml"]
    command = [sys.executable, "-c", KILLED, "check", *files, "-j", "2"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 2 and "widht" in done.stderr and "'cnv'" in done.stderr
    assert "error: many.yaml: a process that worked on a spec was ended by SIGKILL" in done.stderr


HELD = """
import os, sys, threading, time
from dataclasses import dataclass
from pathlib import Path
from netspec.files.atomic import writing
from netspec.processes import in_processes

@dataclass
class Job:
    size: int

def work(job):
    if job.size == 1:
        return Path("idle").write_text(str(os.getpid()))
    with writing(Path("held.bin")) as part:
        Path("begun").touch()
        while not Path("enough").exists():
            time.sleep(0.02)

try:
    in_processes([Job(1), Job(2)], work, 2, lambda job: Path("done").touch())
except KeyboardInterrupt:
    sys.exit(130)
"""


@pytest.mark.parametrize("how", ["interrupt", "kill the idle one"])
def test_one_that_writes_while_another_has_no_job(how: str, tmp_path: Path) -> None:
    """An interrupt ends it inside its write; what becomes of one that is done is no matter to it."""
    child = subprocess.Popen([sys.executable, "-c", HELD], cwd=tmp_path, start_new_session=True)
    _until(lambda: all((tmp_path / name).exists() for name in ("begun", "done")))
    workers = _children(child.pid)
    if how == "interrupt":
        os.killpg(child.pid, signal.SIGINT)
    else:
        with suppress(ProcessLookupError):
            os.kill(int((tmp_path / "idle").read_text()), signal.SIGKILL)
        time.sleep(0.3)  # until that would have been seen
        (tmp_path / "enough").touch()
    try:
        assert child.wait(timeout=30) == (130 if how == "interrupt" else 0)
    finally:
        if child.poll() is None:
            os.killpg(child.pid, signal.SIGKILL)
    _until(lambda: not [pid for pid in workers if Path(f"/proc/{pid}").exists()])
    left = {path.name for path in tmp_path.iterdir()} - {"begun", "done", "idle"}
    assert left == (set() if how == "interrupt" else {"enough", "held.bin"})


def test_a_process_with_threads_is_never_forked() -> None:
    """A lock that another thread holds is never let go in the fork."""
    program = (
        "import threading, netspec.processes as p\n"
        "p.in_processes\nprint(p._context(print))\n"
        "threading.Thread(target=threading.Event().wait, daemon=True).start()\n"
        "print(p._context(print).get_start_method())"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert done.stdout.split() == ["None", "forkserver"], done.stderr


def test_a_program_on_stdin_with_threads_works_alone(folder: Path) -> None:
    """A process that is no fork would import the program again."""
    program = (
        "import sys, threading\nfrom netspec.cli.main import run\n"
        "threading.Thread(target=threading.Event().wait, daemon=True).start()\n"
        "sys.exit(run(['check', 'good.yaml', 'many.yaml', '-j', '2']))"
    )
    done = subprocess.run([sys.executable], input=program, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "ok: 2 files, 2 networks\n")


def test_progress_on_a_terminal(folder: Path) -> None:
    """A line that is written over, no wider than the terminal, and gone at the end."""
    ours, theirs = pty.openpty()
    program = "import netspec.cli.progress as p, sys; p.AFTER = 0\nfrom netspec.cli.main import main\nsys.exit(main())"
    env = {**os.environ, "COLUMNS": "30", "TERM": "xterm"}
    command = [sys.executable, "-c", program, "check", "good.yaml", "many.yaml", "warned.yaml"]
    done = subprocess.run(command, env=env, stderr=theirs, stdout=subprocess.PIPE, text=True, timeout=300)
    os.close(theirs)
    said = shown_on(ours).decode()
    os.close(ours)
    assert done.returncode == 0 and done.stdout == ""
    lines = re.split(r"\r\x1b\[K", said)
    assert lines[1:] == ["1/3 good.yaml", "2/3 many.yaml", "3/3 warned.yaml", "ok: 3 files, 3 networks\r\n"]


def test_no_progress_in_a_file(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("netspec.cli.progress.AFTER", 0)
    assert run(["check", "good.yaml", "many.yaml"]) == 0
    assert capsys.readouterr().err == "ok: 2 files, 2 networks\n"
