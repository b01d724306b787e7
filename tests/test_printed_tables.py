"""`netspec table` against the tables that papers print, cell by cell: `tests/data/printed_tables.yaml`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner

from netspec.cli.main import cli
from netspec.reports.table import shown

TABLES: dict[str, dict[str, Any]] = yaml.safe_load(
    (Path(__file__).parent / "data" / "printed_tables.yaml").read_text(encoding="utf-8")
)
UNITS = {"K": 1e3, "M": 1e6, "G": 1e9}


def made(command: Sequence[str]) -> list[dict[str, Any]]:
    """The rows that a command prints as JSON."""
    done = CliRunner().invoke(cli, ["table", *command, "-f", "json"])
    assert done.exit_code == 0, done.output
    rows = json.loads(done.output)
    assert isinstance(rows, list)
    return rows


def text(value: object) -> str:
    """A value of JSON as the table has it in one line."""
    return "; ".join(value) if isinstance(value, list) else "" if value is None else str(value)


def expected(cell: object, words: dict[str, str]) -> str:
    """What our table has for a printed cell."""
    if isinstance(cell, dict):
        assert {*cell} == {"printed", "here", "why"} and cell["printed"] != cell["here"], cell
        cell = cell["here"]
        return "" if cell is None else str(cell)
    name, slash, rest = ("" if cell is None else str(cell)).partition(" / ")
    return words.get(name, name) + slash + rest


@pytest.mark.quick(3)
@pytest.mark.parametrize("name", TABLES)
def test_every_cell_of_a_printed_table(name: str) -> None:
    table = TABLES[name]
    rows = made(table["command"])
    counts = {"params"} & {*table["columns"]}
    wrong = []
    for number, printed in enumerate(table["rows"]):
        assert len(printed) == len(table["columns"]), (number, printed)
        for column, cell in zip(table["columns"], printed, strict=True):
            value = rows[number][column]
            ours = shown(value) if column in counts else text(value)
            if ours != expected(cell, table.get("words", {})):
                wrong.append(f"row {number + 1}, {column}: printed {cell}, here {ours!r}")
    assert not wrong, "\n".join(wrong)


def digits(printed: str) -> tuple[float, float]:
    """A printed number and one unit of its last digit."""
    number, unit = printed[:-1], UNITS[printed[-1]]
    places = len(number.partition(".")[2])
    return float(number) * unit, unit / 10**places


@pytest.mark.quick(1)
@pytest.mark.parametrize(
    ("name", "row"), [(name, row) for name, table in TABLES.items() for row in table.get("sums", ())]
)
def test_the_printed_sums(name: str, row: str) -> None:
    rows = {r["stage"]: r for r in made(TABLES[name]["command"])}
    networks = [c for c in TABLES[name]["columns"] if c not in ("stage", "output")]
    for network, printed in zip(networks, TABLES[name]["sums"][row], strict=True):
        value, unit = digits(printed)
        computed = rows[row][network]
        rounded, cut = abs(computed - value) <= unit / 2, 0 <= computed - value < unit
        assert rounded or cut, f"{network}: printed {printed}, here {computed}"


def test_the_printed_cells_are_many_and_few_of_them_differ() -> None:
    cells = [cell for table in TABLES.values() for row in table["rows"] for cell in row]
    different = [cell for cell in cells if isinstance(cell, dict)]
    assert len(cells) > 600 and len(different) < 70
    misprints = [cell for cell in different if "misprint" in cell["why"]]
    assert len(misprints) == 4
