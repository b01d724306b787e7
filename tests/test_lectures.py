"""docs/lectures.md: every command runs, and prints every number that the page says it gives, in its order.

A row of a table is what a lecture has, what it prints, a command, what comes out; what stands in the last cell between
backticks is found in what the command prints. A fence `yaml` whose first line is `# NAME.yaml` is a file of an
exercise; in a fence `console` a line `$ COMMAND` is run, and what follows is what it prints, `...` for anything.
"""

from __future__ import annotations

import doctest
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from netspec.cli.main import run

DOCS = Path(__file__).parent.parent / "docs"
PAGE = (DOCS / "lectures.md").read_text(encoding="utf-8")
CELLS = [
    cells
    for line in PAGE.splitlines()
    if line.startswith("| ")
    and len(cells := [c.strip().replace("\\|", "|") for c in re.split(r"(?<!\\)\|", line.strip()[1:-1])]) == 4
    and cells[2].startswith("`netspec ")
]
ROWS = [(cells[2].strip("`"), re.findall(r"`([^`]+)`", cells[3])) for cells in CELLS]
FILES = dict(re.findall(r"```yaml\n# (\w+\.yaml)\n(.*?)```", PAGE, re.DOTALL))
CONSOLES = [
    (found[1], found[2])
    for fence in re.findall(r"```console\n(.*?)```", PAGE, re.DOTALL)
    for found in re.finditer(r"^\$ (netspec .*)\n((?:(?!\$ ).*\n)*)", fence, re.MULTILINE)
]
PYTHON = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)


def test_no_number_of_what_comes_out_is_outside_backticks() -> None:
    """Those would not be found in what a command prints."""
    rests = [re.sub(r"`[^`]*`|\[[^\]]*\]\([^)]*\)", "", cells[3]) for cells in CELLS]
    assert not [rest for rest in rests if re.search(r"\d", rest)]


def test_no_command_needs_a_checkout() -> None:
    assert not [command for command, _ in ROWS if "specs/" in command]


def printed(command: str, capsys: pytest.CaptureFixture[str], code: int = 0) -> str:
    """What a command prints; of a picture the texts in it, without a layout; a plot as text."""
    words = shlex.split(command)[1:]
    if words[0] == "draw":
        at = words.index("-o")
        words[at : at + 2] = ["-f", "dot", "-o", "-"]
    if words[0] == "plot":
        words[words.index("-o") + 1] = "-"
    capsys.readouterr()
    found = run(words)
    out, err = capsys.readouterr()
    assert found == code, err
    if words[0] == "draw":
        out = " ".join(re.findall(r'\blabel="([^"]*)"', out)).replace(r"\n", " ").replace(r"\l", " ")
    return re.sub(r"\s+", " ", out + err)


def test_every_command_of_the_page_is_in_a_row_or_an_exercise() -> None:
    everywhere = re.findall(r"`(netspec [^`]+)`", PAGE.partition("## Lecture 0")[2])
    assert sorted(set(everywhere)) == sorted({command for command, _ in ROWS})
    assert len(ROWS) > 150 and len(FILES) >= 8 and len(CONSOLES) >= len(FILES)


def cases() -> Iterator[Any]:
    """The rows; of blocks some are quick, networks and lists of all of them take seconds."""
    for i, row in enumerate(ROWS):
        marks = [] if " blocks/" in row[0] else [pytest.mark.slow]
        yield pytest.param(*row, marks=marks, id=f"{i}: {row[0][8:60]}")


KNOWN: dict[str, str] = {}
"""What the commands have printed: several rows are of one."""


@pytest.mark.parametrize("command, tokens", cases())
@pytest.mark.quick(8)
def test_a_row_gives_what_it_says(command: str, tokens: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert tokens, "a row says what comes out"
    KNOWN[command] = found = KNOWN.get(command) or printed(command, capsys)
    at = 0
    for token in tokens:
        place = re.search(rf"(?<![\w.,]){re.escape(token)}(?!\w|[.,]\d)", found[at:])
        assert place, f"{token} is not in the output after what stands before it"
        at += place.end()


def exercises() -> Iterator[Any]:
    """The commands of the exercises; one that runs a network takes seconds."""
    for command, expected in CONSOLES:
        marks = [pytest.mark.slow] if command.startswith("netspec run ") else []
        yield pytest.param(command, expected, marks=marks, id=command[8:70])


@pytest.mark.parametrize("command, expected", exercises())
@pytest.mark.quick(6)
def test_an_exercise_gives_what_it_says(
    command: str, expected: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, text in FILES.items():
        (folder / name).write_text(text, encoding="utf-8")
    found = printed(command, capsys, code=1 if "error[" in expected else 0)
    printed_there = re.sub(r"\s+", " ", expected)
    options = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
    assert doctest.OutputChecker().check_output(printed_there, found, options), f"{printed_there}\n---\n{found}"


@pytest.mark.parametrize("text", PYTHON)
@pytest.mark.slow
def test_python_gives_what_it_says(text: str) -> None:
    test = doctest.DocTestParser().get_doctest(text, {}, "lectures.md", str(DOCS / "lectures.md"), 0)
    assert doctest.DocTestRunner(optionflags=doctest.ELLIPSIS).run(test).failed == 0


def slugs(page: Path) -> set[str]:
    """The anchors of a page, as GitHub makes them of its headings."""
    found = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", text.lower()).replace(" ", "-") for text in found}


@pytest.mark.parametrize("page", sorted(DOCS.glob("*.md")), ids=lambda page: page.stem)
def test_every_link_inside_the_docs_leads_somewhere(page: Path) -> None:
    for name, anchor in re.findall(r"\]\(([\w./-]*\.md)?(?:#([\w%-]+))?\)", page.read_text(encoding="utf-8")):
        other = page.parent / name if name else page
        assert other.is_file(), f"{page.name}: {name}"
        assert not anchor or anchor in slugs(other), f"{page.name}: {name}#{anchor}"
