"""`-` is stdout or is refused by every option that writes a file: no command makes a file of that name."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import click
import pytest
from cli_harness import TINY, spec_commands

from netspec.cli.main import cli
from netspec.cli.output_file import OutputFile

Netspec = Callable[..., tuple[int, str, str]]
MORE = {("check", "output"): ["--facts"], ("compile", "target"): []}
"""What an option goes with."""


def writing() -> list[tuple[list[str], str, bool]]:
    """A line for each option of a command of specs that writes a file, that option, and whether it takes stdout."""
    group = click.Context(cli)
    found = []
    for name, line in spec_commands().items():
        command = cli.get_command(group, name)
        for param in command.params if command is not None else ():
            if isinstance(param.type, OutputFile):
                line = [*line, *MORE.get((name, str(param.name)), [])]
                found.append((line, param.opts[0], param.type.stdout))
    quantized = ["compile", "SPEC", "--to", "onnx", "--dtype", "int8"]
    return [*found, (quantized, "--report", False)]


@pytest.mark.slow
@pytest.mark.parametrize(("line", "option", "stdout"), writing(), ids=lambda value: str(value))
def test_a_dash_is_no_file(line: list[str], option: str, stdout: bool, netspec: Netspec) -> None:
    Path("tiny.yaml").write_text(TINY, encoding="utf-8")
    code, _, err = netspec(*("tiny.yaml" if word == "SPEC" else word for word in line), option, "-")
    assert not Path("-").exists()
    assert stdout or (code == 2 and "'-' is stdout, and this goes to a file" in err and not list(Path().glob("*.onnx")))


def test_options_that_write_a_file_alone_are_seen() -> None:
    refusing = {(line[0], option) for line, option, stdout in writing() if not stdout}
    assert {("bench", "--times"), ("run", "--save"), ("tune", "-o")} <= refusing
