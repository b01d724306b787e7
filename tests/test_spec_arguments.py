"""How a command line names a spec: paths with colons, blocks, stdin, pipes, folders, and files that cannot be read."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from cli_harness import spec_commands

import netspec
from netspec.cli.main import run
from netspec.diagnostics.errors import UsageError
from netspec.syntax.library import find

LIB = """\
netspec: 1
name: lib
blocks:
  widen:
    params: {out: int}
    examples: [{input: [3, 8, 8], args: 4}]
    body: [conv: [=out, 1]]
"""
NET = "netspec: 1\nname: net\nuse: [./lib]\ninput: [3, 32, 32]\nbody:\n  - widen: 8\n  - relu\n"
ODD = ["C:\\models\\net.yaml", "C:/models/net.yaml", "run:2024.yaml", "a:b:c.yml", "blocks:net", "resnet:basic", "a b"]
COMMANDS = spec_commands() | {"diff": ["draw", "--diff", "SPEC", "SPEC", "-f", "mermaid", "-o", "-"]}


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "lib.yaml").write_text(LIB)
    return tmp_path


def called(capsys: pytest.CaptureFixture[str], command: str, spec: str) -> tuple[int, str, str]:
    code = run([spec if word == "SPEC" else word for word in COMMANDS[command]])
    said = capsys.readouterr()
    return code, said.out, said.err


def stdin(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(text.encode())))


@pytest.mark.parametrize("name", ODD)
def test_path_that_exists_is_a_path(folder: Path, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    path = Path(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    (path.parent / "lib.yaml").write_text(LIB)
    path.write_text(NET)
    assert find(name).path == path and find(name).block is None
    assert called(capsys, "check", name) == (0, "", "ok: 1 file, 1 network\n")
    path.write_text(LIB)
    assert (find(f"{name}:widen").path, find(f"{name}:widen").block) == (path, "widen")
    code, out, _ = called(capsys, "summary", f"{name}:widen")
    assert code == 0 and out.startswith("widen")
    assert netspec.load(f"{name}:widen", out=9).inference.outputs["output"].ref
    code, _, err = called(capsys, "summary", f"{name}:widne")
    assert code == 2 and "did you mean 'widen'?" in err


@pytest.mark.parametrize(
    ("name", "piece"),
    [
        ("C:\\models\\net.yaml", "there is no file C:\\models\\net.yaml"),
        ("C:/models/net.yaml", "there is no file C:/models/net.yaml"),
        ("C:\\models\\net.yaml:cell", "there is no file C:\\models\\net.yaml"),
        ("run:2024.yaml", "there is no file run:2024.yaml"),
        ("run:2024.yml:cell", "there is no file run:2024.yml"),
        ("lib.yaml:", "names no block"),
        ("blocks/residual:bottelneck", "did you mean 'bottleneck'?"),
        ("blocks/residul:bottleneck", "did you mean 'blocks/residual'?"),
        ("resnt:bottleneck", "did you mean 'resnet'?"),
        ("lib.yaml:a:b", "there is no spec 'lib.yaml:a:b'"),
        (":", "there is no spec ':'"),
        ("folder", "folder is a folder"),
        ("folder/", "is a folder"),
        ("C:", "C: is a folder"),
    ],
)
@pytest.mark.quick(6)
def test_what_is_no_spec(folder: Path, name: str, piece: str, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "folder").mkdir()
    (folder / "C:").mkdir()
    for command in ("summary", "explain", "plot", "diff"):
        code, _, err = called(capsys, command, name)
        assert code == 2 and piece in err, command
    with pytest.raises(UsageError):
        netspec.load(name)


def test_shipped_name_beside_a_folder_of_its_name(folder: Path) -> None:
    (folder / "resnet50").mkdir()
    assert find("resnet50").path.name == "resnet.yaml"


@pytest.mark.parametrize("spec", ["-", "/dev/stdin", "/dev/fd/0"])
@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.quick(12)
def test_stdin(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], command: str, spec: str) -> None:
    """Every command reads it, twice if it is named twice; its `use` looks into the current folder."""
    stdin(monkeypatch, NET)
    code, out, err = called(capsys, command, spec)
    assert code == 0, err
    assert "ok: " in err if command == "check" else out
    stdin(monkeypatch, NET.replace("relu", "rleu"))
    code, out, err = called(capsys, command, spec)
    assert (code, out) == (1, "") and "<stdin>:7:5: error[NS201]" in err and "did you mean 'relu'?" in err


@pytest.mark.parametrize("spec", ["-:widen", "/dev/stdin:widen"])
def test_block_of_stdin(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], spec: str) -> None:
    for command in ("check", "summary", "compile", "draw", "diff", "run"):
        stdin(monkeypatch, LIB)
        assert called(capsys, command, spec)[0] == 0, command
    stdin(monkeypatch, LIB)
    code, _, err = called(capsys, "summary", "-")
    assert code == 2 and "-:widen" in err


def test_stdin_without_a_name(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    stdin(monkeypatch, "netspec: 1\ninput: [3, 8, 8]\nbody: [relu]\n")
    assert run(["compile", "-", "--to", "json"]) == 0
    assert sorted(p.name for p in folder.iterdir()) == ["lib.yaml", "stdin.json"]


@pytest.mark.parametrize(
    ("data", "code", "piece"),
    [
        (b"", 1, "a spec is a mapping"),
        (b"\xff\xfe\x00", 1, "NS101"),
        (b"PK\x03\x04\x00\x00\xfe", 2, "is an archive, not a spec"),
        (b"#" * (4 * 2**20 + 1), 1, "larger than 4 MiB"),
    ],
)
def test_what_is_no_text(monkeypatch, folder: Path, capsys, data: bytes, code: int, piece: str) -> None:
    (folder / "t.yaml").write_bytes(data)
    for command in COMMANDS:
        assert called(capsys, command, "t.yaml")[0] == code
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(data)))
        found, out, err = called(capsys, command, "-")
        assert (found, out) == (code, "") and piece in err


def test_closed_stdin(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    for nothing in (None, "closed"):
        monkeypatch.setattr("sys.stdin", None)
        if nothing:
            stdin(monkeypatch, NET)
            sys.stdin.close()
        code, _, err = called(capsys, "summary", "-")
        assert code == 2 and "stdin is closed" in err


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="named pipes of POSIX")
@pytest.mark.parametrize("command", ["check", "summary", "diff"])
def test_pipes(folder: Path, command: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A pipe gives its text once, however often a command looks at it."""
    os.mkfifo(folder / "pipe.yaml")

    def write(text: str) -> None:
        (folder / "pipe.yaml").write_text(text)

    for text, spec in ((NET, "pipe.yaml"), (LIB, "pipe.yaml:widen")):
        writer = threading.Thread(target=write, args=[text], daemon=True)
        writer.start()
        code, _, err = called(capsys, command, spec)
        assert code == 0, err
        writer.join(timeout=60)
        assert not writer.is_alive()


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="bash")
def test_process_substitution_and_a_real_stdin(folder: Path) -> None:
    (folder / "net.yaml").write_text(NET)
    shell = f'''
        netspec() {{ "{sys.executable}" -m netspec "$@"; }}
        netspec check <(cat net.yaml) <(cat lib.yaml) || exit 1
        netspec draw --diff <(cat net.yaml) <(cat net.yaml) -f dot -o - || exit 2
        netspec explain - relu < net.yaml || exit 3
        cat lib.yaml | netspec summary /dev/stdin:widen || exit 4
    '''
    done = subprocess.run(["bash", "-c", shell], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert "ok: 2 files, 1 network" in done.stderr


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read everything")
def test_file_that_may_not_be_read(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "net.yaml").write_text(NET)
    (folder / "lib.yaml").chmod(0)
    code, _, err = called(capsys, "summary", "net.yaml")
    assert code == 1 and "net.yaml:3:7: error[NS207]" in err and "Permission denied" in err
    (folder / "net.yaml").chmod(0)
    code, _, err = called(capsys, "summary", "net.yaml")
    assert code == 2 and "Permission denied" in err


def test_library_that_cannot_be_read(monkeypatch, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It is an error of the document that uses it, at the place where it does."""
    (folder / "net.yaml").write_text(NET.replace("relu", "relu: 3"))
    real = Path.open

    def denied(self: Path, *args: object, **options: object) -> object:
        if self.name == "lib.yaml":
            raise PermissionError(13, "Permission denied")
        return real(self, *args, **options)

    monkeypatch.setattr(Path, "open", denied)
    for command in ("check", "summary"):
        code, _, err = called(capsys, command, "net.yaml")
        assert code == 1 and "net.yaml:3:7: error[NS207]" in err and "net.yaml:7:11: error[NS110]" in err
    code, _, err = called(capsys, "check", "lib.yaml")
    assert code == 2 and "lib.yaml cannot be read: Permission denied" in err


def test_library_of_a_name_that_no_file_can_have(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("./" + "a" * 5000, "a/" * 3000 + "a", '"./a\\0b"'):
        (folder / "net.yaml").write_text(NET.replace("./lib", name))
        code, _, err = called(capsys, "check", "net.yaml")
        assert code == 1 and "net.yaml:3:7: error[NS207]: there is no library" in err


def test_check_says_everything_of_all_files(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A file that is not there hides nothing of the others."""
    (folder / "net.yaml").write_text(NET.replace("relu", "rleu"))
    assert run(["check", "net.yaml", "none.yaml", "lib.yaml:wide"]) == 2
    err = capsys.readouterr().err
    assert "net.yaml:7:5: error[NS201]" in err and "there is no file none.yaml" in err and "'widen'?" in err
    assert run(["check", "net.yaml", "none.yaml", "-f", "json"]) == 2
    import json

    assert [d["code"] for d in json.loads(capsys.readouterr().err)] == ["NS201", "usage"]


@pytest.mark.parametrize("spec", ["faster_rcnn_resnet50_c4", "blocks/detection:lateral"])
def test_sizes_of_several_inputs_are_given_by_name(spec: str, capsys: pytest.CaptureFixture[str]) -> None:
    first, size = ("image", "3x160x192") if spec.startswith("faster") else ("fine", "64x20x20")
    assert run(["summary", spec, "--depth", "1", "--input", f"{first}={size}"]) == 0
    rows = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert [first, "input", size] in rows
    for given, said in (
        (
            f"{first[:-1]}={size}",
            f"there is no input '{first[:-1]}' to give a size to\n   help: did you mean '{first}'?",
        ),
        (f"{first}={size},{first}={size}", "is no size for each name; write left=1x64x64,right=1x64x64"),
        (f"={size}", "is no size for each name"),
        (f"{first}=3xx", "'3xx' is not a size"),
    ):
        assert run(["summary", spec, "--input", given]) == 2
        assert said in capsys.readouterr().err, given
    with pytest.raises(netspec.UsageError, match="there is no input 'nothing'"):
        netspec.load(spec, input={"nothing": (3, 64, 64)})
