"""Files that are no spec, and names of outputs that say something else: what a user is told, by every command."""

from __future__ import annotations

import os
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from safetensors.numpy import save_file

from netspec.cli.main import COMMANDS, run
from netspec.files.kinds import KINDS

TINY = "netspec: 1\nname: tiny\ninput: [3, 8, 8]\nbody:\n  - conv: [4, 3]\n  - relu\n"
READERS = [
    "check {}",
    "summary {}",
    "table {}",
    "compare {}",
    "compare tiny.yaml {}",
    "draw {}",
    "draw --diff tiny.yaml {}",
    "plot params {}",
    "plot pareto {}",
    "compile {} --to onnx",
    "compile {} --to torch",
    "compile {} --to json",
    "show {}",
    "verify {}",
    "bench {}",
    "tune {} --target onnxruntime",
    "explain {}",
    "explain {} conv",
    "run {}",
]
"""Every command that reads a spec; of `run`, which takes ONNX models, the others."""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tiny.yaml").write_text(TINY)
    return tmp_path


def said(capsys: pytest.CaptureFixture[str], line: str) -> tuple[int, str]:
    code = run(line.split())
    found = capsys.readouterr()
    assert "a bug of netspec" not in found.err and "\\x" not in found.err and "\x1b" not in found.err, found.err
    assert found.out == "" or code == 0
    return code, found.err


def _torch(path: str) -> None:
    import torch

    torch.save({"a": torch.zeros(2)}, path)


def _zip(path: str) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.txt", "a")


MADE = {
    "mine.onnx": (
        lambda p: run(["compile", "tiny.yaml", "--to", "onnx", "-o", p, "-q"]),
        "an ONNX model",
        "`netspec run mine.onnx`",
    ),
    "mine.py": (
        lambda p: run(["compile", "tiny.yaml", "--to", "torch", "--no-weights", "-o", p, "-q"]),
        "Python source",
        "`import`",
    ),
    "mine.json": (lambda p: run(["compile", "tiny.yaml", "--to", "json", "-o", p, "-q"]), "JSON", "--to json"),
    "mine.svg": (lambda p: run(["draw", "tiny.yaml", "-o", p, "-q"]), "a drawing", "`netspec draw"),
    "mine.pth": (_torch, "a checkpoint of PyTorch", "--weights mine.pth"),
    "mine.npz": (lambda p: np.savez(p, a=np.zeros(2)), "arrays of numpy", "--weights mine.npz"),
    "mine.npy": (lambda p: np.save(p, np.zeros(2)), "an array of numpy", "--npy mine.npy"),
    "mine.safetensors": (
        lambda p: save_file({"a": np.zeros(2)}, p),
        "a checkpoint of safetensors",
        "--weights mine.safetensors",
    ),
    "mine.png": (lambda p: Image.new("RGB", (8, 8)).save(p), "a picture", "--image mine.png"),
    "mine.jpg": (lambda p: Image.new("RGB", (8, 8)).save(p), "a picture", "--image mine.jpg"),
    "mine.zip": (_zip, "an archive", "no command"),
}


@pytest.mark.parametrize("name", MADE)
@pytest.mark.quick(4)
def test_a_file_that_is_no_spec_is_called_what_it_is(capsys: pytest.CaptureFixture[str], name: str) -> None:
    make, what, help = MADE[name]
    make(name)
    capsys.readouterr()
    suffix = Path(name).suffix
    for line in READERS:
        if suffix == ".onnx" and line in ("run {}", "bench {}"):  # which take one
            continue
        code, text = said(capsys, line.format(name))
        own = "`netspec verify SPEC mine.onnx`" if (suffix, line) == (".onnx", "verify {}") else help
        assert code == 2 and f"{name} is {what}" in text and own in text, (line, text)
    if suffix not in (".py", ".json", ".svg"):  # by its bytes alone, whatever it is called
        for other in ("other.yaml", "other.bin", "other"):
            Path(name).rename(other)
            code, text = said(capsys, f"summary ./{other}")
            assert code == 2 and f"{other} is {what}" in text, text
            Path(other).rename(name)
    assert sorted(os.listdir()) == sorted(["tiny.yaml", name])


def test_size_does_not_hide_what_a_file_is(capsys: pytest.CaptureFixture[str]) -> None:
    np.savez("large.npz", a=np.random.default_rng(0).random(2**20))
    code, text = said(capsys, "summary large.npz")
    assert code == 2 and "arrays of numpy" in text and "4 MiB" not in text


def test_the_readers_are_all_commands_that_read_specs() -> None:
    assert {line.split()[0] for line in READERS} | {"list", "schema", "new"} == set(COMMANDS)


@pytest.mark.parametrize("suffix", [s for kind in KINDS for s in kind.suffixes])
@pytest.mark.quick(4)
def test_a_file_that_is_not_there_is_said_not_to_be_there(capsys: pytest.CaptureFixture[str], suffix: str) -> None:
    for line in READERS:
        code, text = said(capsys, line.format(f"mine{suffix}"))
        assert code == 2 and f"there is no file mine{suffix}" in text, (line, text)


@pytest.mark.parametrize(
    "name, data, piece",
    [
        ("mine.onnx", b"nothing of the kind", "nor what its name says: an ONNX model"),
        ("mine.pth", b"", "nor what its name says"),
        ("mine.bin", b"\x01\x02\x00\xff" * 9, "not even text"),
        ("mine", b"\x7fELF\x00\x01", "not even text"),
    ],
)
def test_what_is_neither(capsys: pytest.CaptureFixture[str], name: str, data: bytes, piece: str) -> None:
    Path(name).write_bytes(data)
    code, text = said(capsys, f"summary ./{name}")
    assert code == 2 and piece in text and "NS101" not in text


def test_a_spec_is_one_under_any_name(capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("spec.txt", "spec.py", "spec.onnx", "spec"):
        Path(name).write_text(TINY)
        assert said(capsys, f"summary ./{name}")[0] == 0
    Path("spec.json").write_text('{"netspec": 1, "name": "a", "input": [3, 8, 8], "body": ["relu"]}')
    assert said(capsys, "summary spec.json")[0] == 0


@pytest.mark.parametrize(
    "line, piece",
    [
        ("compile tiny.yaml --to torch -o foo.onnx", "name it foo.py, or write --to onnx"),
        ("compile tiny.yaml --to onnx -o foo.py", "name it foo.onnx, or write --to torch"),
        ("compile tiny.yaml --to onnx -o foo.JSON", ".json is the suffix of JSON"),
        ("compile tiny.yaml --to json -o foo.onnx", "name it foo.json, or write --to onnx"),
        ("compile tiny.yaml --to torch -o foo.pth", "name it foo.py"),
        ("compile tiny.yaml --to onnx -o foo.safetensors", "name it foo.onnx"),
        ("compile tiny.yaml --to onnx -o foo.yaml", ".yaml is the suffix of a spec"),
        ("compile tiny.yaml --to onnx -o foo.png", "a picture"),
        ("draw tiny.yaml -f svg -o foo.onnx", "name it foo.svg"),
        ("plot params tiny.yaml -f svg -o foo.onnx", "suffix says onnx"),
        ("summary tiny.yaml -f text -o foo.json", "is to be text"),
        ("summary tiny.yaml -f csv -o foo.json", "name it foo.csv"),
        ("schema -o foo.yaml", "name it foo.json"),
        ("new block foo -o foo.py", "name it foo.yaml"),
    ],
)
def test_a_suffix_that_says_something_else(capsys: pytest.CaptureFixture[str], line: str, piece: str) -> None:
    code, text = said(capsys, line)
    assert code == 2 and piece in text and os.listdir() == ["tiny.yaml"]


@pytest.mark.parametrize(
    "line",
    [
        "compile tiny.yaml --to onnx",
        "compile tiny.yaml --to torch --no-weights",
        "compile tiny.yaml --to json",
        "draw tiny.yaml -f svg",
        "schema",
        "summary tiny.yaml -f csv",
    ],
)
def test_a_free_suffix_is_allowed(capsys: pytest.CaptureFixture[str], line: str) -> None:
    for name in ("model.bin", "model", "model.v2"):
        assert said(capsys, f"{line} -o {name}")[0] == 0 and Path(name).exists()


@pytest.mark.parametrize(
    "line",
    [
        "compile tiny.yaml --to onnx -o no/such/x.onnx",
        "compile tiny.yaml --to torch -o no/such/x.py",
        "compile tiny.yaml --to json -o no/such/x.json",
        "draw tiny.yaml -o no/such/x.svg",
        "plot params tiny.yaml -o no/such/x.svg",
        "summary tiny.yaml -o no/such/x",
        "schema -o no/such/x.json",
        "new block foo -o no/such/foo.yaml",
        "run tiny.yaml --save no/such/x.npz",
    ],
)
def test_a_folder_that_is_not_there_is_said_before_the_work(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, line: str
) -> None:
    def work(*args: object, **more: object) -> None:
        raise AssertionError("the work was begun")

    for place in ("netspec.cli.request.find", "netspec.syntax.schema.document_schema"):
        monkeypatch.setattr(place, work)
    code, text = said(capsys, line)
    assert code == 2 and "there is no folder no/such" in text
