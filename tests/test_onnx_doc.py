"""docs/onnx.md: its files and commands run as written, in the order written, in an empty folder."""

from __future__ import annotations

import doctest
import re
from pathlib import Path

import pytest
from click.testing import CliRunner

from netspec.cli.main import cli
from netspec.diagnostics.errors import NetspecError

PAGE = (Path(__file__).parent.parent / "docs" / "onnx.md").read_text(encoding="utf-8")
FENCE = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@pytest.mark.slow
def test_the_examples_run_as_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    ran = 0
    for kind, body in FENCE.findall(PAGE):
        if kind == "yaml":
            (tmp_path / body.split()[1]).write_text(body, encoding="utf-8")
        for part in re.split(r"^\$ ", body, flags=re.MULTILINE)[1:] if kind == "console" else ():
            command, _, expected = part.partition("\n")
            done = CliRunner().invoke(cli, command.removeprefix("netspec ").split())
            said = str(done.exception) if isinstance(done.exception, NetspecError) else done.output
            assert (done.exit_code != 0) == ("error[" in expected), f"$ {command}\n{said}"
            flags = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
            assert doctest.OutputChecker().check_output(expected, said, flags), f"$ {command}\n{expected}\n{said}"
            ran += 1
    assert ran == 8
