"""docs/measures.md says what the commands print."""

from __future__ import annotations

import doctest
import re
from pathlib import Path

import pytest

from netspec.analysis.measures import MEASURES
from netspec.cli.main import run
from netspec.reports.summary import COLUMNS

PAGE = (Path(__file__).resolve().parent.parent / "docs" / "measures.md").read_text(encoding="utf-8")
COMMANDS = re.findall(r"^\$ netspec ([^\n]+)\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("command, printed", COMMANDS, ids=[command for command, _ in COMMANDS])
@pytest.mark.quick(2)
def test_an_example_is_what_the_command_prints(command: str, printed: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(command.split()) == 0
    found = capsys.readouterr().out
    flags = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
    assert doctest.OutputChecker().check_output(printed, found, flags), found


def test_the_facts_of_the_page_hold(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (text,) = re.findall(r"^```yaml\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    (tmp_path / "measured.yaml").write_text(text, encoding="utf-8")
    assert run(["check", str(tmp_path / "measured.yaml"), "--strict"]) == 0, capsys.readouterr().err
    for fact in ("depth: 3", "memory: {value: 143360", "conv2: 5", "depth: 1"):
        name, _, value = fact.rpartition(" ")
        assert fact in text
        wrong = text.replace(fact, f"{name} {int(value) + 1}", 1)
        (tmp_path / "measured.yaml").write_text(wrong, encoding="utf-8")
        assert run(["check", str(tmp_path / "measured.yaml"), "-q"]) == 1


def test_the_page_has_every_measure_and_column() -> None:
    assert len(COMMANDS) >= 4
    named = set(re.findall(r"^\| `(\w+)` \|", PAGE, re.MULTILINE))
    assert named == {*MEASURES, *COLUMNS} - {"op", "title", "shape", "source"}
