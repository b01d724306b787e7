"""Every command that prints a table prints it in the same forms, and fits the terminal with it."""

from __future__ import annotations

import csv
import io
import json
import re
import sys

import pytest

from netspec.cli.main import run
from netspec.reports.table import FORMS, Form

COMMANDS = [
    ["summary", "lenet5", "--columns", "+depth,memory,training_memory,kernel,stride,input,filter,intensity"],
    ["list", "specs", "resnet18"],
    ["list", "ops"],
    ["list", "blocks"],
    ["list", "passes"],
    ["list", "backends"],
    ["table", "vgg11", "vgg13", "vgg16", "vgg19"],
    ["table", "mobilenet_v1"],
    ["compare", "lenet5", "alexnet"],
    ["check", "--facts", "alexnet", "-q"],
]


def _name(command: list[str]) -> str:
    return " ".join(command[:2])


@pytest.mark.slow
@pytest.mark.parametrize("width", [60, 80, 120])
@pytest.mark.parametrize("command", COMMANDS, ids=_name)
def test_a_table_fits_the_terminal(
    command: list[str], width: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    assert run(command) == 0
    lines = re.sub(r"\x1b\[[0-9;]*m", "", capsys.readouterr().out).splitlines()
    too_long = [line for line in lines if len(line) > width]
    assert len(lines) > 3 and not too_long, "\n".join(too_long[:5])
    assert "\u2026" not in "".join(lines)  # numbers are whole


@pytest.mark.quick(3)
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("command", COMMANDS, ids=_name)
def test_a_table_has_every_form(command: list[str], form: Form, capsys: pytest.CaptureFixture[str]) -> None:
    assert run([*command, "-f", form]) == 0
    text = capsys.readouterr().out
    match form:
        case "json":
            assert json.loads(text)
        case "csv":
            rows = list(csv.reader(io.StringIO(text)))
            assert len(rows) > 1 and len({len(row) for row in rows}) == 1
        case "md":
            assert re.search(r"^\|[:-]+\|", text, re.MULTILINE)
        case "latex":
            assert text.count("\\toprule") == text.count("\\bottomrule") == 1
        case "html":
            assert text.count("<table>") == text.count("</table>") >= 1
        case _:
            assert "\u2500\u2500" in text
