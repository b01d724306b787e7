"""Configuration tables with a row for each network, as Table 1 of Chatfield et al. 2014 is printed."""

from __future__ import annotations

import json
from typing import Any

import pytest

from netspec.cli.main import run

COMMAND = ["table", "cnn_f", "cnn_m", "cnn_s", "--cells", "filters", "-f", "json"]
PRINTED = {
    "CNN-F": [["64x11x11, st. 4, pad 0; LRN", "x2 pool"], ["256x5x5, st. 1, pad 2; LRN", "x2 pool"]],
    "CNN-M": [["96x7x7, st. 2, pad 0; LRN", "x2 pool"], ["256x5x5, st. 2, pad 1; LRN", "x2 pool"]],
    "CNN-S": [["96x7x7, st. 2, pad 0; LRN", "x3 pool"], ["256x5x5, st. 1, pad 1", "x2 pool"]],
}


def _rows(command: list[str], capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    assert run(command) == 0
    found: list[dict[str, Any]] = json.loads(capsys.readouterr().out)
    return found


def _lines(cell: object) -> list[str]:
    cells = cell if isinstance(cell, list) else [str(cell)]
    return ["; ".join(cells[:-1]), cells[-1]]


@pytest.mark.slow
def test_the_printed_rows_are_rows(capsys: pytest.CaptureFixture[str]) -> None:
    sizes, *rows = _rows([*COMMAND, "--transpose"], capsys)
    assert sizes["network"] == "output size" and sizes["full8"] == "1x1" and sizes["conv5"][-1:] == ["6x6"]
    assert {row["network"]: [_lines(row["conv1"]), _lines(row["conv2"])] for row in rows} == PRINTED
    assert [(row["full6"], row["full8"]) for row in rows] == [(["4096"], ["1000"])] * 3


@pytest.mark.slow
@pytest.mark.parametrize("how", [["--rows", "stages"], ["--rows", "sizes"]])
def test_no_cell_is_lost(how: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    command = ["table", "resnet18", "lenet5", *how, "-f", "json"]
    names = {"resnet18": "ResNet-18", "lenet5": "LeNet-5"}
    straight, turned = _rows(command, capsys), _rows([*command, "--transpose"], capsys)
    for name, title in names.items():
        (row,) = [row for row in turned if row["network"] == title]
        flat = [line for key, cell in row.items() if key != "network" for line in _flat(cell)]
        assert flat == [line for other in straight for line in _flat(other[name])]


def _flat(cell: object) -> list[str]:
    return [str(line) for line in (cell if isinstance(cell, list) else [] if cell is None else [cell])]


@pytest.mark.parametrize("rows", ["layers", "blocks"])
def test_a_table_of_one_network_is_not_turned(rows: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["table", "lenet5", "--rows", rows, "--transpose"]) == 2
    assert "has no --transpose" in capsys.readouterr().err
