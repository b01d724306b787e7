"""Every code has an example that gives it, and docs/errors.md shows them."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from spec_harness import outcome

from netspec.diagnostics.codes import CODES

ROOT = Path(__file__).parent.parent


@pytest.mark.parametrize("code", [c for c in CODES if CODES[c].example])
def test_example_has_its_code(code: str, tmp_path: Path) -> None:
    path = tmp_path / "example.yaml"
    path.write_text(CODES[code].example, encoding="utf-8")
    found = outcome(path).found
    assert [d.code for d in found] == [code], [str(d) for d in found]
    assert found[0].span is not None


def test_every_code_in_the_source_is_in_the_table() -> None:
    used = set()
    for folder in ("netspec", "backends"):
        for file in (ROOT / folder).rglob("*.py"):
            if file.name != "codes.py":
                used |= set(re.findall(r'"(NS\d{3})"', file.read_text(encoding="utf-8")))
    assert used == set(CODES)


@pytest.mark.parametrize(
    "pages",
    [
        ["docs/language.md", "docs/errors.md", "docs/measures.md", "specs/netspec.schema.json"],
        pytest.param([], marks=pytest.mark.slow),
    ],
    ids=["quick", "all"],
)
def test_generated_pages_are_fresh(pages: list[str]) -> None:
    command = [sys.executable, ROOT / "tools" / "docs.py", "--check", *pages]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
