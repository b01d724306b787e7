"""A file in the current folder that has the name of a library: it is named, and netspec writes none such."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import sampled

from netspec import optional
from netspec.cli.main import run

pytestmark = pytest.mark.slow

TINY = "netspec: 1\nname: tiny\ninput: [3, 8, 8]\nbody:\n  - conv: [4, 3]\n  - relu\n"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tiny.yaml").write_text(TINY)
    return tmp_path


CALLS = {
    "torch": "run tiny.yaml --backend torch",
    "onnx": "compile tiny.yaml --to onnx",
    "onnxruntime": "run tiny.yaml",
    "PIL": "run tiny.yaml --image x.png",
    "numpy": "compile tiny.yaml --to onnx",
    "click": "summary tiny.yaml",
    "yaml": "summary tiny.yaml",
    "matplotlib": "plot params tiny.yaml",
}
TEXTS = ["", "import torch\nfrom torch import nn\nclass A(nn.Module): pass\n", "1 +\n", "print(undefined)\n"]


HIDING = [*(("torch", text) for text in TEXTS), *((library, TEXTS[i % 4]) for i, library in enumerate(CALLS))]


@pytest.mark.parametrize("library, text", sampled(HIDING, 1))
def test_the_file_that_hides_a_library_is_named(library: str, text: str) -> None:
    Path(f"{library}.py").write_text(text)
    done = subprocess.run(
        [sys.executable, "-m", "netspec", *CALLS[library].split()], capture_output=True, text=True, timeout=300
    )
    assert f"./{library}.py hides" in done.stderr and "Traceback" not in done.stderr, done.stderr
    assert "not installed" not in done.stderr and done.returncode == 3 and f"rename ./{library}.py" in done.stderr


def test_a_folder_hides_a_library_too(monkeypatch: pytest.MonkeyPatch) -> None:
    Path("torch").mkdir()
    Path("torch", "__init__.py").write_text("")
    monkeypatch.syspath_prepend("")
    error = optional.hidden("torch")
    assert error is not None and "./torch hides" in str(error)


def test_nothing_is_hidden_where_nothing_is() -> None:
    assert optional.hidden() is None


@pytest.mark.parametrize("more", [[], ["--no-weights"]])
@pytest.mark.parametrize("name", ["torch", "collections", "numpy"])
def test_source_is_not_written_where_it_would_import_itself(
    capsys: pytest.CaptureFixture[str], name: str, more: list[str]
) -> None:
    spec = "resnet18" if name == "collections" else "tiny.yaml"  # whose layers stand in an OrderedDict
    assert run(["compile", spec, "--to", "torch", "-o", f"{name}.py", *more]) == 2
    said = capsys.readouterr().err
    assert f"would hide the module '{name}'" in said and f"{name}_net.py" in said
    assert os.listdir() == ["tiny.yaml"]


@pytest.mark.parametrize(
    "name, said",
    [
        ("my-net.py", "-o my_net.py can"),
        ("3d.py", "-o net_3d.py can"),
        ("class.py", "-o net_class.py can"),
        ("a.b.py", "-o a_b.py can"),
        ("random.py", "hides Python's own module 'random'"),
        ("good.py", ""),
        ("model.bin", ""),
    ],
)
def test_source_that_cannot_be_imported_gets_a_note(capsys: pytest.CaptureFixture[str], name: str, said: str) -> None:
    assert run(["compile", "tiny.yaml", "--to", "torch", "--no-weights", "-o", name]) == 0
    err = capsys.readouterr().err
    assert said in err and ("note:" in err) == bool(said)
