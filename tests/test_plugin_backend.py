"""A backend is one folder: a package that is installed, and nothing else, gives a target with options of its own."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import pytest

from netspec import plugins
from netspec.backend import JSON, Options, option
from netspec.cli.main import run

PACKAGE = Path(__file__).resolve().parent / "plugins" / "listing"
LENET5 = ["Conv", "Tanh", "AvgPool", "Conv", "Tanh", "AvgPool", "Conv", "Tanh", "Flatten", "Linear", "Tanh", "Linear"]
"""LeCun et al. 1998, figure 2; `flatten` stands between the last convolution and the first linear layer."""

Said = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder into which pip has installed the backend."""
    folder = tmp_path_factory.mktemp("plugin")
    options = ["-q", "--no-deps", "--no-build-isolation", "--no-index", "--disable-pip-version-check"]
    subprocess.run(
        [sys.executable, "-m", "pip", "install", *options, "--target", folder, PACKAGE], check=True, timeout=300
    )
    return folder


@pytest.fixture
def netspec(
    installed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[Said]:
    """Runs a command line where the backend is installed; gives the exit code, stdout and stderr."""
    monkeypatch.syspath_prepend(str(installed))
    monkeypatch.chdir(tmp_path)
    cached = plugins.backends
    cached.cache_clear()

    def said(*words: str) -> tuple[int, str, str]:
        code = run(list(words))
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    yield said
    cached.cache_clear()


@pytest.mark.slow
def test_it_is_found_by_its_entry_point(installed: Path, tmp_path: Path) -> None:
    """In a process of its own, as a user runs it."""
    path = os.pathsep.join([str(installed), os.environ.get("PYTHONPATH", "")])
    command = [sys.executable, "-m", "netspec", "compile", "lenet5", "--to", "listing", "--first", "2", "-o", "-"]
    done = subprocess.run(
        command, cwd=tmp_path, env=os.environ | {"PYTHONPATH": path}, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    assert [line.partition("(")[0] for line in done.stdout.splitlines()] == ["x0 = Input", "x1 = Conv"]


def test_it_writes_a_file(netspec: Said, tmp_path: Path) -> None:
    code, out, err = netspec("compile", "lenet5", "--to", "listing", "--no-shapes")
    assert (code, out) == (0, "") and err.endswith(f", {len(LENET5) + 1} layers\n")
    lines = (tmp_path / "lenet5.txt").read_text(encoding="utf-8").splitlines()
    assert [re.search(r"= (\w+)", line)[1] for line in lines] == ["Input", *LENET5]  # type: ignore[index]
    assert lines[-1].startswith("x12 = Linear('output', out=10,") and lines[-1].endswith("(x11)")


def test_its_options_have_their_types(netspec: Said) -> None:
    code, out, _ = netspec("compile", "lenet5", "--to", "listing", "-o", "-", "--comments", "//", "--first", "3")
    assert code == 0 and out.count("// N x ") == len(out.splitlines()) == 3
    assert netspec("compile", "lenet5", "--to", "listing", "--first", "x")[0] == 2
    assert netspec("compile", "lenet5", "--to", "listing", "--comments", ";")[0] == 2


def test_help_shows_each_option_with_the_target_that_has_it(netspec: Said) -> None:
    _, out, _ = netspec("compile", "--help")
    assert "--to listing|onnx|torch|json" in out
    parts = dict(re.findall(r"^Options of --to (\w+):\n((?:  .*\n)+)", out, re.MULTILINE))
    assert list(parts) == ["listing", "onnx", "torch", "json"]
    assert {name: re.findall(r"^  (?:-\w, )?(--[\w-]+)", text, re.MULTILINE) for name, text in parts.items()} == {
        "listing": ["--no-shapes", "--first", "--comments"],
        "onnx": [
            "--dynamic",
            "--for",
            "--opset",
            "--ir-version",
            "--batch",
            "--dtype",
            "--io-dtype",
            "--functions",
            "--external-data",
            "--calibrate",
            "--keep-float",
            "--reduce-range",
            "--report",
        ],
        "torch": ["--training", "--no-weights", "--freeze", "--channels-last"],
        "json": ["--training"],
    }
    assert "[default: #]" in parts["listing"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("--to listing --opset 18", "--opset goes with --to onnx, not with listing"),
        ("--to onnx --no-shapes", "--no-shapes goes with --to listing, not with onnx"),
        ("--to listing --training", "--training goes with --to torch or json, not with listing"),
        ("--to listing --seed 3", "--seed has no meaning with --to listing, which holds no weights"),
        ("--to listing -o x.onnx", "x.onnx is to be listing, but .onnx is the suffix of an ONNX model"),
        ("--to listings", "did you mean 'listing'?"),
        ("--first 3", "Missing option '--to'"),
    ],
)
def test_what_does_not_go_together_is_said(netspec: Said, words: str, message: str, tmp_path: Path) -> None:
    code, out, err = netspec("compile", "lenet5", *words.split())
    assert (code, out) == (2, "") and message in err
    assert list(tmp_path.iterdir()) == []


def test_it_is_listed(netspec: Said) -> None:
    _, out, _ = netspec("list", "backends")
    assert re.search(r"^ *listing +listing in the style of Keras +\.txt$", out, re.MULTILINE)


@pytest.mark.parametrize("backend", ["listing", "json"])
def test_a_backend_that_does_not_run_networks_is_exit_code_3(netspec: Said, backend: str) -> None:
    code, out, err = netspec("run", "lenet5", "--backend", backend)
    assert (code, out) == (3, "") and f"the backend '{backend}' cannot run networks" in err


@dataclass(frozen=True, kw_only=True)
class Clash(Options):
    """An option that every target has."""

    seed: int = option(0, "Seed.")


@dataclass(frozen=True, kw_only=True)
class Odd(Options):
    """An option of a type that no word of a command line has."""

    sizes: list[int] | None = option(None, "Sizes.")


@pytest.mark.parametrize(
    ("options", "message"), [(Clash, "every target has the option --seed"), (Odd, "--sizes is list[int] | None")]
)
def test_options_that_cannot_be_do_not_hinder_other_targets(
    netspec: Said, monkeypatch: pytest.MonkeyPatch, options: type[Options], message: str
) -> None:
    backend = SimpleNamespace(
        **{**{n: getattr(JSON, n) for n in dir(JSON) if n[0] != "_"}, "name": "odd", "options": options}
    )
    point = SimpleNamespace(load=lambda: backend, value="odd:BACKEND", dist=None)
    installed = plugins.backends()
    monkeypatch.setattr(plugins, "backends", lambda: {**installed, "odd": point})
    code, _, err = netspec("compile", "lenet5", "--to", "odd", "-o", "x.json")
    assert code == 3 and "the backend 'odd' cannot be used" in err and message in err
    assert netspec("compile", "lenet5", "--to", "listing", "-o", "x.txt")[0] == 0
    assert "Options of --to odd" not in netspec("compile", "--help")[1]
