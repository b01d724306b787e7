"""`tools/dev compare`: a planted difference is found, grouped with its like, and expected where a rule covers it."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tools"))

from compare import Rule, Task, difference, report, run_all, shape  # noqa: E402 - a tool is no package

TASK = Task("json", "googlenet", "compile specs/googlenet.yaml --to json -o -")


def test_a_difference_is_the_lines_that_change(tmp_path: Path) -> None:
    assert difference(b"a\nb\nc", b"a\nx\nc", tmp_path) == ["-b", "+x"]
    long = b'{"a":1,"b":[' + b'"word",' * 500 + b'"c"]}'
    assert difference(long, long.replace(b'"c"', b'"d"'), tmp_path) == ['-"c"]}', '+"d"]}']


def test_differences_of_other_numbers_and_names_are_alike() -> None:
    assert shape(['-  "macs": 12,', "+ at a.yaml:3"]) == shape(['-  "macs": 7,', "+ at b.yaml:44"])
    assert shape(['-  "macs": 12,']) != shape(['-  "params": 12,'])


@pytest.mark.parametrize(
    ("rule", "covered"),
    [
        (Rule("all"), True),
        (Rule("kind", kinds=["json"], names=["google*"], lines=["^-.*old", "^[+].*new"]), True),
        (Rule("other kind", kinds=["svg"]), False),
        (Rule("other network", names=["resnet*"]), False),
        (Rule("a line of two", lines=["old"]), False),
    ],
    ids=lambda value: getattr(value, "reason", ""),
)
def test_a_rule_covers_what_it_names_alone(rule: Rule, covered: bool) -> None:
    assert rule.covers(TASK, ["-  old", "+  new"]) == covered


def test_a_planted_word_is_found(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Two trees of one source, of which one says another word; the two specs that hear it are one group."""
    trees = [tmp_path / name for name in ("base", "head")]
    for tree in trees:
        for name in ("netspec", "backends"):
            shutil.copytree(ROOT / name, tree / name, ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copy(ROOT / "pyproject.toml", tree)
        for name, op in (("a", "rleu"), ("b", "rule"), ("c", "relu")):
            (tree / f"{name}.yaml").write_text(
                f"netspec: 1\nname: t\ninput: [3, 8, 8]\nbody: [{op}]\n", encoding="utf-8"
            )
    for path in (trees[1] / "netspec").rglob("*.py"):
        path.write_text(path.read_text(encoding="utf-8").replace("there is no op", "there was no op"), encoding="utf-8")
    rows = [Task("errors", name, f"check {name}.yaml") for name in "abc"]
    outs = run_all(trees, rows, tmp_path, 2)
    assert report(rows, outs, [], tmp_path) == 2
    printed = capsys.readouterr().out
    assert "errors: 2 differ (a, b)" in printed and "+a.yaml:4:8: error[NS201]: there was no op" in printed
    assert report(rows, outs, [Rule("a word", lines=["there (is|was) no op"])], tmp_path) == 0
    assert "expected, a word: 2" in capsys.readouterr().out
