"""tests/good compiles to what its comments say; tests/bad gives exactly the diagnostics that stand on its lines."""

from __future__ import annotations

from pathlib import Path

import pytest
from spec_harness import verify

from netspec.check.check_file import check_file
from netspec.diagnostics.errors import Reporter

HERE = Path(__file__).parent


@pytest.mark.parametrize("path", sorted((HERE / "good").glob("*.yaml")), ids=lambda p: p.stem)
def test_good(path: Path) -> None:
    assert "# -> " in path.read_text(encoding="utf-8")
    verify(path)


@pytest.mark.parametrize("path", sorted((HERE / "bad").glob("*.yaml")), ids=lambda p: p.stem)
def test_bad(path: Path) -> None:
    assert "[NS" in path.read_text(encoding="utf-8")
    verify(path)


def test_the_same_finding_of_many_calls_is_said_once_with_its_way(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_text(
        "netspec: 1\nname: a\ninput: [3, 8, 8]\nblocks:\n  inner:\n    body: [conv: {out: 8, kernel: 99}]\n  outer:\n"
        "    body: [inner]\nbody:\n  - stage = outer:\n    repeat: 3\n",
        encoding="utf-8",
    )
    reporter = Reporter()
    check_file(path, reporter)
    (found,) = reporter.sorted()
    assert (found.code, found.span and found.span.line) == ("NS401", 6)
    assert [(f.block, f.span.line, f.path) for f in found.trace] == [
        ("inner", 8, "stage.0.inner"),
        ("outer", 10, "stage.0"),
    ]
