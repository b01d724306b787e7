"""The shipped specs as texts: their size, and that every number in them is verified."""

from __future__ import annotations

import json
import random
import re
from pathlib import Path

import pytest
import yaml

from netspec.check.check_file import check_file
from netspec.cli.main import run
from netspec.diagnostics.errors import Diagnostic, Reporter

SPECS = Path(__file__).parent.parent / "specs"
FAMILIES = sorted(SPECS.glob("*.yaml"))
# exact facts: a count, or the sizes of a shape
FACT = re.compile(r"(?:\b(?:params|macs|train_params|value): |^ *- |\[)(\d{2,})\b(?!.*within)")
WIDTH = re.compile(r"(?:conv\w*|linear|unit|module|fire|basic_conv): (?:\{out: |\[|)(\d{2,})\b")


@pytest.mark.parametrize("path", [*FAMILIES, *SPECS.glob("blocks/*.yaml")], ids=lambda p: p.stem)
def test_a_spec_reads_like_a_table(path: Path) -> None:
    lines = path.read_text(encoding="utf-8").splitlines()
    assert max(map(len, without_facts(lines))) <= 140 and max(map(len, lines)) <= 160  # a URL is one word
    assert path.parent.name == "blocks" or len(without_facts(lines)) <= 125
    assert any(re.match(r"source: .*(\d{4}|no year)", line) for line in lines) or path.stem == "common"


def test_readme_and_gallery_count_the_same_networks() -> None:
    texts = [(SPECS.parent / page).read_text(encoding="utf-8") for page in ("README.md", "docs/gallery.md")]
    assert len({re.findall(r"[0-9]+ networks of [0-9]+ families", text)[0] for text in texts}) == 1


def test_another_name_is_no_network(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "net.yaml"
    text = "netspec: 1\nname: net\ninput: [3, 8, 8]\nvariants: {a: {}, b: {of: a}}\nbody: [conv: [8, 1]]\n"
    path.write_text(text, encoding="utf-8")
    assert run(["check", str(path)]) == 0
    assert "1 file, 1 network\n" in capsys.readouterr().err


@pytest.mark.slow
def test_every_page_counts_the_networks_that_are_shipped(capsys: pytest.CaptureFixture[str]) -> None:
    """A variant that says `of` and a title alone is another name for a network, and no network."""
    root = SPECS.parent
    networks = 0
    for path in FAMILIES:
        variants = yaml.safe_load(path.read_text(encoding="utf-8")).get("variants") or {"": {}}
        networks += sum(not ("of" in given and {*given} <= {"of", "title"}) for given in map(dict, variants.values()))
    said = f"{networks} networks of {len(FAMILIES)} families"
    assert said in (root / "README.md").read_text(encoding="utf-8")
    assert said in (root / "docs" / "gallery.md").read_text(encoding="utf-8")
    assert run(["list", "specs", "--columns", "title"]) == 0
    assert said in capsys.readouterr().out


def without_facts(lines: list[str]) -> list[str]:
    """The lines of a spec but for `expect`, `results` and the published `weights` under `checkpoints`."""
    found: list[str] = []
    inside: int | None = None
    for line in lines:
        indent = len(line) - len(line.lstrip())
        if inside is None or (line.strip() and indent <= inside):
            inside = indent if re.match(r" *(expect|results):|    (weights|preprocess|labels):", line) else None
        if inside is None:
            found.append(line)
    return found


def changed(path: Path, number: int, start: int, end: int, folder: Path) -> list[Diagnostic]:
    """The diagnostics in a copy of a spec in which the last digit between two places of a line is another."""
    lines = path.read_text(encoding="utf-8").splitlines()
    line = lines[number]
    lines[number] = line[: end - 1] + str((int(line[end - 1]) + 1) % 10) + line[end:]
    copy = folder / path.name
    copy.write_text("\n".join(lines) + "\n", encoding="utf-8")
    reporter = Reporter()
    check_file(copy, reporter)
    return [d for d in reporter.sorted() if d.severity == "error"]


def places(path: Path, pattern: re.Pattern[str], facts: bool) -> list[tuple[int, int, int]]:
    """Where numbers stand that a pattern matches, in facts or outside of them: line, start, end."""
    found, inside, depth = [], False, 0
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines()):
        code = line.partition("#")[0]
        indent = len(code) - len(code.lstrip())
        if code.strip() and inside and indent <= depth:
            inside = False
        start = re.match(r" *expect:", code)
        if start and not inside:
            inside, depth = True, indent
        if inside == facts and "expect: {" not in code:
            unquoted = re.sub(r'"[^"]*"', lambda m: "x" * len(m[0]), code)
            found += [(number, m.start(1), m.end(1)) for m in pattern.finditer(unquoted)]
    return found


@pytest.mark.slow
@pytest.mark.parametrize("path", FAMILIES, ids=lambda p: p.stem)
def test_a_changed_digit_in_a_fact_fails_at_its_line(path: Path, tmp_path: Path) -> None:
    number, start, end = random.Random(path.stem).choice(places(path, FACT, facts=True))
    errors = changed(path, number, start, end, tmp_path)
    assert number + 1 in [d.span.line for d in errors if d.span], (path.name, number + 1, [d.message for d in errors])


@pytest.mark.slow
@pytest.mark.parametrize("path", FAMILIES, ids=lambda p: p.stem)
def test_a_changed_width_fails(path: Path, tmp_path: Path) -> None:
    widths = places(path, WIDTH, facts=False)
    if not widths:
        pytest.skip("its widths are params, or in a library")
    number, start, end = random.Random(path.stem).choice(widths)
    assert changed(path, number, start, end, tmp_path), (path.name, number + 1)


def test_the_table_of_parity_has_every_checkpoint() -> None:
    targets = json.loads((SPECS.parent / "tests" / "data" / "targets.json").read_text(encoding="utf-8"))["targets"]
    table = (SPECS.parent / "docs" / "parity.md").read_text(encoding="utf-8")
    shown = re.findall(r"^\| `(\w+)` \| (\S+) \|", table.partition("<!-- /parity -->")[0], re.MULTILINE)
    assert shown == [(t["variant"], t["checkpoint"]) for t in targets if "checkpoint" in t]
