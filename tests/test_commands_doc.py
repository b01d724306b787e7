"""docs/commands.md has every command, each with an example that is run."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from docs_harness import run_page
from run_harness import Netspec

from netspec.cli.main import COMMANDS

ROOT = Path(__file__).resolve().parent.parent
PAGE = (ROOT / "docs" / "commands.md").read_text(encoding="utf-8")
RUN = (
    "README",
    "docs/bench",
    "docs/commands",
    "docs/compare",
    "docs/measures",
    "docs/onnx",
    "docs/tune",
    "docs/verify",
)
"""Pages of which tests run the commands."""


def test_the_page_has_every_command_and_what_its_help_says() -> None:
    rows = [line.strip("| ").split(" | ") for line in PAGE.splitlines() if line.startswith("| `")]
    assert {name.strip("`"): text for name, text, _ in rows} == {name: text for name, (_, text) in COMMANDS.items()}
    for _, _, pages in rows:
        for place in re.findall(r"\]\(([^)]+)\)", pages):
            page, _, heading = place.partition("#")
            text = (ROOT / "docs" / page).read_text(encoding="utf-8") if page else PAGE
            assert not heading or f"\n## {heading}\n" in text


def test_every_command_has_an_example_that_is_run() -> None:
    pages = "\n".join((ROOT / f"{page}.md").read_text(encoding="utf-8") for page in RUN)
    assert {*re.findall(r"^\$ netspec (\w+)", pages, re.MULTILINE)} == {*COMMANDS}


@pytest.mark.slow
def test_the_page_shows_what_the_commands_print(netspec: Netspec) -> None:
    assert run_page(PAGE, netspec) == 11
