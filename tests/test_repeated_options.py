"""An option of several names that is given twice adds up, as one with commas does: no name is lost without a word."""

from __future__ import annotations

from pathlib import Path

import click
import numpy as np
import pytest
from cli_harness import TINY
from int8_harness import pictures
from run_harness import Netspec

import netspec as api
from netspec.arguments import ExportWarning
from netspec.backend import get, targets
from netspec.cli.main import COMMANDS, cli
from netspec.cli.targets import declared
from netspec.diagnostics.errors import UsageError

LINES = {
    "summary --columns": ["summary", "tiny.yaml", "--columns", "params", "macs"],
    "compare --columns": ["compare", "tiny.yaml", "--columns", "params", "macs"],
    "list --columns": ["list", "specs", "lenet5", "--columns", "params", "macs"],
    "table --columns": ["table", "tiny.yaml", "--rows", "layers", "--columns", "output", "params"],
    "table --show": ["table", "tiny.yaml", "--show", "relu", "flatten"],
    "table --hide": ["table", "tiny.yaml", "--hide", "conv", "linear"],
    "draw --show": ["draw", "tiny.yaml", "-o", "-", "--show", "macs", "names"],
    "summary --features": ["summary", "tiny.yaml", "--features", "relu", "conv"],
    "summary --freeze": ["summary", "tiny.yaml", "--freeze", "conv", "linear"],
}
"""A line that ends with an option and two values."""


@pytest.fixture(autouse=True)
def spec(folder: Path) -> None:
    Path("tiny.yaml").write_text(TINY, encoding="utf-8")


@pytest.mark.parametrize("line", LINES.values(), ids=LINES)
def test_two_add_up(line: list[str], netspec: Netspec) -> None:
    *before, option, a, b = line
    said = [netspec(*before, *words) for words in ([option, f"{a},{b}"], [option, a, option, b], [option, b])]
    assert [code for code, _, _ in said] == [0, 0, 0], said
    assert said[0] == said[1] != said[2]


def test_a_plus_holds_for_the_whole_list(netspec: Netspec) -> None:
    whole = netspec("summary", "tiny.yaml", "--columns", "+kernel,stride")
    assert whole[0] == 0 and whole == netspec("summary", "tiny.yaml", "--columns", "+kernel", "--columns", "+stride")


def test_steps_in_float_add_up(netspec: Netspec) -> None:
    """On the command line and in Python, where a list, a tuple and a text are taken; an empty text keeps none."""
    np.savez("images.npz", input=pictures(4, 32))
    line = ["compile", "tiny.yaml", "--to", "onnx", "--dtype", "int8", "--calibrate", "images.npz", "--report", "r.csv"]

    def kept(*words: str) -> int:
        code, _, err = netspec(*line, *words)
        assert code == 0, err
        return Path("r.csv").read_text(encoding="utf-8").count("float32")

    both, repeated = kept("--keep-float", "conv, linear"), kept("--keep-float", "conv", "--keep-float", "linear")
    assert (both, repeated, kept("--keep-float", "linear"), kept("--keep-float", "")) == (2, 2, 1, 0)
    network = api.load("tiny.yaml")
    files = []
    for steps in ("conv, linear", ["conv", "linear"], ("conv", "linear")):
        with pytest.warns(ExportWarning, match="all 2 layers are in float32"):
            network.to_onnx("q.onnx", dtype="int8", calibrate="images.npz", keep_float=steps)
        files.append(Path("q.onnx").read_bytes())
    assert files[0] == files[1] == files[2]
    with pytest.raises(UsageError, match="keep_float is 3, expected a list of texts"):
        network.to_onnx("q.onnx", dtype="int8", calibrate="images.npz", keep_float=3)


def test_every_option_of_names_may_be_repeated() -> None:
    """Those of tomorrow too, by what the help calls their values."""
    group = click.Context(cli)
    params = [(name, param) for name in COMMANDS for param in cli.get_command(group, name).params]  # type: ignore[union-attr]
    params += [(f"compile --to {name}", one.option) for name in targets() for one in declared(get(name), ())]
    of_names = [
        (name, option)
        for name, option in params
        if isinstance(option, click.Option)
        and (m := option.make_metavar(group))
        and m.endswith((",...", "NAMES", "PATTERN"))
    ]
    assert {option.name for _, option in of_names} >= {"columns", "show", "freeze", "features", "layers", "keep_float"}
    assert [(name, option.name) for name, option in of_names if not option.multiple] == []
