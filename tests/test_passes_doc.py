"""docs/passes.md: its table, its command, and for each pass a spec with what it leaves, which computes the same."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from pass_harness import TOLERANCE, equal, spec
from shipped_networks import firsts

from netspec.cli.main import run
from netspec.ir.module import Module
from netspec.passes import NAMED, PASSES, of_level
from netspec.passes.base import Stage
from netspec.reports.listing import passes

DOCS = Path(__file__).parent.parent / "docs"
PAGE = (DOCS / "passes.md").read_text(encoding="utf-8")
SECTIONS = dict(re.findall(r"^### (\w+)\n(.*?)(?=^##|\Z)", PAGE, re.MULTILINE | re.DOTALL))

EXAMPLES = [name for name, text in SECTIONS.items() if "```yaml" in text]


def fence(kind: str, text: str) -> str:
    """The first fence of a kind."""
    found = re.search(rf"^```{kind}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    assert found is not None
    return found[1]


def test_the_table_has_every_pass_in_the_order_in_which_they_run() -> None:
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in PAGE.splitlines() if line[:3] == "| `"]
    trained = {stage: stage is Stage.TRAINING for stage in Stage}
    assert [(row[0].strip("`"), row[2], row[4] != "refused") for row in rows] == [
        (p.name, str(p.level or ("profile" if p.profiled else "-" if p.named else "always")), trained[p.stage])
        for p in PASSES
    ]
    assert all(len(row) == 5 and all(row) for row in rows)
    assert [row["name"] for row in passes()] == [row[0].strip("`") for row in rows if row[2] != "always"]


def test_the_table_of_what_was_compared_has_passes_in_their_order() -> None:
    """Differences are those of rounding, and every pass that changes a network has one."""
    table = PAGE.partition("<!-- proved: begin -->")[2].partition("<!-- proved: end -->")[0]
    rows = re.findall(r"^\| (\w+) \| (\d+) \| (\d+) \| (\S+) \| (\S+) \|$", table, re.MULTILINE)
    compared = [row[0] for row in rows]
    assert compared == [p.name for p in PASSES if p.keeps and p.name in compared] and len(compared) > 10
    for _, networks, places, error, where in rows:
        assert (error == "-") == (networks == places == "0")
        assert where == "-" or 0 < float(error) <= 2 * TOLERANCE and where.strip("`") in firsts()
    (count,) = re.findall(r"^(\d+) networks", table, re.MULTILINE)
    assert max(int(row[1]) for row in rows) <= int(count) <= len(firsts())


def test_every_pass_of_a_level_has_an_example() -> None:
    assert list(SECTIONS) == [p.name for p in PASSES if p.named and p.stage is Stage.INFERENCE and p.keeps]
    assert {p.name for p in of_level(2)} <= set(SECTIONS)
    assert SECTIONS.keys() - set(EXAMPLES) == {"drop_dead"}  # a spec has none


@pytest.mark.parametrize("name", EXAMPLES)
def test_a_pass_leaves_what_the_page_says(name: str, tmp_path: Path) -> None:
    network = spec(tmp_path, fence("yaml", SECTIONS[name]))
    after = NAMED[name](Module(network.unfolded))
    lines = [f"{n.path} = {n.op}({', '.join(map(str, n.inputs))})" for n in after.graph.nodes.values()]
    assert lines == fence("text", SECTIONS[name]).splitlines()
    assert NAMED[name](after) is after and after.times


@pytest.mark.parametrize("backend", [pytest.param("torch", marks=pytest.mark.slow), "onnx"])
@pytest.mark.parametrize("name", EXAMPLES)
def test_what_the_page_shows_computes_the_same(name: str, backend: str, tmp_path: Path) -> None:
    graph = spec(tmp_path, fence("yaml", SECTIONS[name])).unfolded
    equal(graph, NAMED[name](Module(graph)), backend, 2e-5)


@pytest.mark.slow
def test_the_command_prints_what_the_page_says(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command, _, printed = fence("console", PAGE).partition("\n")
    assert run(command.removeprefix("$ netspec ").split()) == 0
    assert capsys.readouterr().out == printed
