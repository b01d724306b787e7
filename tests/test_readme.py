"""The README's tour runs as written, in the order written, in an empty folder.

A fence `yaml` whose first line is `# NAME.yaml` is a file of the tour. In a fence `console` a line `$ COMMAND` is run,
and what follows is what it prints: `...` stands for anything, and a number of milliseconds for any number.
"""

from __future__ import annotations

import doctest
import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
FENCE = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@dataclass
class Command:
    """A line `$ ...` and the lines below it."""

    text: str
    expected: str


def steps() -> list[tuple[str, str] | Command]:
    """The tour: files (name, text) and commands, in order."""
    found: list[tuple[str, str] | Command] = []
    for kind, body in FENCE.findall(README):
        name = re.match(r"# (\w+\.yaml)\n", body)
        if kind == "yaml" and name:
            found.append((name[1], body))
        elif kind == "console":
            for part in re.split(r"^\$ ", body, flags=re.MULTILINE)[1:]:
                text, _, expected = part.partition("\n")
                found.append(Command(text, expected))
    return found


def comparable(text: str) -> str:
    """What is printed, without times and without what the machine's font library may say."""
    text = re.sub(r"^Fontconfig .*\n", "", text, flags=re.MULTILINE)
    return re.sub(r"\d+(\.\d+)? ms", "0 ms", text)


@pytest.mark.slow
def test_the_tour_runs_as_written(tmp_path: Path) -> None:
    path = os.pathsep.join((str(Path(sys.executable).parent), os.environ["PATH"]))
    env = {**os.environ, "PATH": path, "NO_COLOR": "1", "COLUMNS": "100"}
    tour = [step for step in steps() if not (isinstance(step, Command) and step.text.startswith(OUTSIDE))]
    assert sum(isinstance(step, Command) for step in tour) >= 8
    for step in tour:
        if not isinstance(step, Command):
            (tmp_path / step[0]).write_text(step[1], encoding="utf-8")
            continue
        done = subprocess.run(
            step.text,
            shell=True,
            cwd=tmp_path,
            env=env,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=300,
        )
        code = 1 if "error[" in step.expected else 0
        assert done.returncode == code, f"$ {step.text}\n{done.stdout}"
        flags = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
        same = doctest.OutputChecker().check_output(comparable(step.expected), comparable(done.stdout), flags)
        assert same, f"$ {step.text}\nthe README says:\n{step.expected}\nit prints:\n{done.stdout}"


# Commands of a checkout; the suite itself is run by one of them.
OUTSIDE = ("tools/", "git ", "cd ", "pip ")


def test_what_the_readme_names_is_there() -> None:
    links = re.findall(r"\]\((?!https?:)([^)#]+)", README)
    paths = [*links, *(c.text.split()[0] for c in steps() if isinstance(c, Command) and c.text.startswith("tools/"))]
    assert paths
    for path in paths:
        assert (ROOT / path).exists(), path


IMAGES = ROOT / "docs" / "img"
FAMILIES = {f"gallery/{path.stem}.svg" for path in (ROOT / "specs").glob("*.yaml")}
PLOTS = {"figures/accuracy.svg", "figures/macs.svg", "figures/pareto.svg"}


@pytest.mark.parametrize(
    ("kind", "names"),
    [
        ("draw", {str(path.relative_to(IMAGES)) for path in IMAGES.rglob("*.svg")} - FAMILIES - PLOTS),
        ("plot", PLOTS),
        ("gallery", FAMILIES),
    ],
)
@pytest.mark.slow
def test_the_pictures_are_fresh(kind: str, names: set[str], tmp_path: Path) -> None:
    """Those of the README and of all pages; the figures of single blocks are the golden pictures."""
    pytest.importorskip("pygraphviz")
    subprocess.run([sys.executable, str(ROOT / "tools" / "pictures.py"), str(tmp_path), kind], check=True, timeout=300)
    assert names == {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*.svg")}
    for name in sorted(names):
        assert (tmp_path / name).read_bytes() == (IMAGES / name).read_bytes(), f"{name}: run tools/dev pictures"


@pytest.mark.parametrize("page", sorted((ROOT / "docs").glob("*.md")), ids=lambda path: path.stem)
def test_the_pictures_that_a_page_shows_are_there(page: Path) -> None:
    shown = re.findall(r"!\[[^\]]*\]\((?!https?:)([^)]+)\)", page.read_text(encoding="utf-8"))
    assert [path for path in shown if not (page.parent / path).exists()] == []
