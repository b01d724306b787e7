"""`netspec compile A B C -j N`: each is compiled as by itself, and what is said comes in their order."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest

from netspec.cli.main import run

GOOD = (
    "netspec: 1\nname: {name}\ninput: [3, 8, 8]\nbody: [conv: [4, 1]]\nvariants: {{ {name}: {{}}, {name}_2: {{}} }}\n"
)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name in ("a", "b", "c"):
        (tmp_path / f"{name}.yaml").write_text(GOOD.format(name=name))
    (tmp_path / "bad.yaml").write_text("netspec: 1\nname: bad\ninput: [3, 8, 8]\nbody: [cnv: [4, 1]]\n")
    (tmp_path / "out").mkdir()
    return tmp_path


def written(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted((folder / "out").iterdir())}


@pytest.mark.slow
def test_each_is_what_it_is_alone(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = []
    for words in (["a.yaml", "b.yaml", "c.yaml"], ["a.yaml", "b.yaml", "c.yaml", "-j", "2"]):
        assert run(["compile", *words, "--to", "onnx", "-o", "out", "--seed", "3"]) == 0
        found.append((written(folder), capsys.readouterr()))
    assert found[0] == found[1] and list(found[0][0]) == ["a.onnx", "b.onnx", "c.onnx"]
    said = ""
    for name in ("a", "b", "c"):
        assert run(["compile", f"{name}.yaml", "--to", "onnx", "-o", f"out/{name}.onnx", "--seed", "3"]) == 0
        said += capsys.readouterr().err
    assert written(folder) == found[0][0] and said == found[0][1].err
    (bias, weight) = sorted(onnx.load(folder / "out" / "a.onnx").graph.initializer, key=lambda t: t.name)
    assert bias.name.endswith(".bias") and np.any(onnx.numpy_helper.to_array(weight))


@pytest.mark.parametrize("jobs", ["1", pytest.param("2", marks=pytest.mark.slow)])
def test_one_that_fails_hinders_no_other(folder: Path, jobs: str, capsys: pytest.CaptureFixture[str]) -> None:
    """The exit code is the highest of those of each: here of a spec that is not there."""
    assert run(["compile", "a.yaml", "bad.yaml", "none.yaml", "b.yaml", "--to", "json", "-o", "out", "-j", jobs]) == 2
    assert list(written(folder)) == ["a.json", "b.json"]
    err = capsys.readouterr().err
    assert err.index("a: 16 parameters") < err.index("'cnv'") < err.index("none.yaml") < err.index("b: 16 parameters")
    assert run(["compile", "a.yaml", "bad.yaml", "--to", "json", "-o", "out", "-q", "-j", jobs]) == 1


KILLED = """
import os, signal, sys
import netspec.cli.compile as compile
real = compile._compile

def killed(asked, request):
    if request.spec in ("b.yaml", "d.yaml"):
        os.kill(os.getpid(), signal.SIGKILL)
    if request.spec == "e.yaml":
        raise MemoryError
    real(asked, request)

compile._compile = killed
from netspec.cli.main import main
sys.exit(main())
"""


@pytest.mark.slow
def test_one_whose_process_is_killed_hinders_no_other(folder: Path) -> None:
    """As the system kills one where memory is out: it is named in its place, and all others are written."""
    names = ["a", "b", "c", "d", "e", "f", "g"]
    for name in names:
        (folder / f"{name}.yaml").write_text(GOOD.format(name=name))
    files = [f"{name}.yaml" for name in names]
    command = [sys.executable, "-c", KILLED, "compile", *files, "--to", "json", "-o", "out", "-j", "2"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 2
    assert list(written(folder)) == ["a.json", "c.json", "f.json", "g.json"]
    lines = [line for line in done.stderr.splitlines() if "help:" not in line]
    assert [line.split(":")[0].replace("error", line[7:8]) for line in lines] == names
    for name in ("b", "d"):
        assert f"error: {name}.yaml: a process that worked on a spec was ended by SIGKILL\n   help: " in done.stderr
    assert "error: e.yaml: a process that worked on a spec was ended: it had no memory left\n" in done.stderr


@pytest.mark.slow
def test_both_streams_come_in_one_order(folder: Path) -> None:
    """The table of a network, on stdout, stands where it stands alone beside its notes, on stderr."""
    sized = "netspec: 1\nname: d\ninput: [3, 8, 8]\nbody: [flatten, linear: 2]\n"
    (folder / "d.yaml").write_text(sized)  # with another input it has a note before its table
    command = [sys.executable, "-m", "netspec", "compile", "a.yaml", "d.yaml", "bad.yaml", "--input", "3x9x9"]
    found = [
        subprocess.run(
            [*command, "--to", "onnx", "--explain-passes", "-o", "out", "-j", jobs],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            encoding="utf-8",
            timeout=120,
            check=False,
        ).stdout
        for jobs in ("1", "2")
    ]
    assert found[0] == found[1]
    places = [found[1].index(text) for text in ("passes of a", "a: 16", "NS406", "passes of d", "d: 488", "'cnv'")]
    assert places == sorted(places)


@pytest.mark.slow
def test_every_variant_goes_into_a_folder(folder: Path) -> None:
    assert run(["compile", "a.yaml", "b.yaml", "--all", "--to", "json", "-o", "out", "-q"]) == 0
    assert list(written(folder)) == ["a.json", "a_2.json", "b.json", "b_2.json"]


@pytest.mark.parametrize(
    ("words", "names"),
    [
        (["a.yaml", "b.yaml", "-o", "models"], ["a.json", "b.json"]),
        (["a.yaml", "b.yaml", "-o", "models/"], ["a.json", "b.json"]),
        (["a.yaml", "-o", "models/"], ["a.json"]),
        (["a.yaml", "--all", "-o", "models"], ["a.json", "a_2.json"]),
        (["c.yaml", "--all", "-o", "models"], ["c.json"]),
        (["a.yaml", "bad.yaml", "-o", "models"], ["a.json"]),
        (["bad.yaml", "none.yaml", "-o", "models"], None),
        (["bad.yaml", "-o", "models/"], None),
    ],
)
@pytest.mark.quick(2)
def test_a_folder_is_made_where_files_come_into_it(folder: Path, words: list[str], names: list[str] | None) -> None:
    (folder / "c.yaml").write_text("netspec: 1\nname: c\ninput: [3, 8, 8]\nbody: [conv: [4, 1]]\n")
    assert (run(["compile", *words, "--to", "json", "-q"]) == 0) == ("bad.yaml" not in words)
    found = folder / "models"
    assert (sorted(path.name for path in found.iterdir()) if found.is_dir() else None) == names
    assert names is None or not found.is_file()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["a.yaml", "b.yaml", "--to", "onnx", "--dtype", "int8", "--report", "r.csv"], "--report r.csv is one file"),
        (["a.yaml", "b.yaml", "--explain-passes", "-f", "json"], "-f json is one table, of 2 networks"),
        (["a.yaml", "b.yaml", "-o", "no/models/"], "there is no folder no"),
        (["a.yaml", "b.yaml", "-o", "a.yaml/models"], "a.yaml is not a folder"),
        (["a.yaml", "a.yaml"], "'a.yaml' and 'a.yaml' would both be written as a"),
        (["a.yaml", "a.yaml:a"], "'a.yaml' and 'a.yaml:a' would both be written as a"),
        (["a.yaml", "a.yaml,input=3x4x4"], "would both be written as a"),
        (["a.yaml", "b.yaml", "-o", "x.json"], "-o x.json is one file, of 2 networks"),
        (["a.yaml", "b.yaml", "-o", "-"], "-o - is one file"),
    ],
)
def test_what_only_one_can_have(folder: Path, words: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    before = sorted(folder.rglob("*"))
    assert run(["compile", "--to", "json", *words]) == 2
    assert said in capsys.readouterr().err and sorted(folder.rglob("*")) == before


@pytest.mark.slow
def test_a_checkpoint_is_of_one_network(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["compile", "a.yaml", "b.yaml", "--to", "onnx", "--weights", "w.npz"]) == 2
    assert "--weights has the weights of one network, not of 2" in capsys.readouterr().err
