"""The notebook of the docs, run: each cell shows what it showed, the table, the picture, the error and the features."""

from __future__ import annotations

import importlib
import re
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parent.parent
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]


@pytest.fixture(scope="module")
def cells() -> list[tuple[Any, Any]]:
    """The code cells as they are kept, each beside what it shows today."""
    sys.path.insert(0, str(ROOT / "tools"))
    try:
        notebook = importlib.import_module("notebook")
    finally:
        sys.path.remove(str(ROOT / "tools"))
    kept = notebook.nbformat.read(notebook.NOTEBOOK, as_version=4)
    pairs = zip(kept.cells, notebook.executed().cells, strict=True)
    return [(then, now) for then, now in pairs if then.cell_type == "code"]


def shown(cell: Any, kind: str) -> str:
    return "\n".join(o.data[kind] for o in cell.outputs if kind in o.get("data", {}))


def test_each_cell_shows_what_it_showed(cells: list[tuple[Any, Any]]) -> None:
    for then, now in cells:
        for kind in ("text/plain", "text/html", "image/svg+xml"):
            assert shown(now, kind) == shown(then, kind), then.source
        assert [o.output_type for o in now.outputs] == [o.output_type for o in then.outputs], then.source
        assert len(now.outputs) <= 1, then.source


def test_the_notebook_names_no_place_of_a_machine() -> None:
    text = (ROOT / "docs" / "notebook.ipynb").read_text(encoding="utf-8")
    assert not re.search(r"/(home|root|work|tmp|Users)/", text) and str(ROOT) not in text


def test_the_table_the_picture_the_error_and_the_features_are_there(cells: list[tuple[Any, Any]]) -> None:
    found = [now for _, now in cells]
    first = shown(found[0], "text/html")
    assert first.count("<table") == first.count("<svg") == 1 and "6,998,552" in first
    assert sum(bool(shown(cell, "image/svg+xml")) for cell in found) >= 2
    errors = [o for cell in found for o in cell.outputs if o.output_type == "error"]
    assert [error.ename for error in errors] == ["SpecError"]
    said = re.sub(r"\x1b\[[0-9;]*m", "", errors[0].evalue)
    assert "mine.yaml:7:5: error[NS201]" in said and "^^^^^" in said and "did you mean 'bottleneck'?" in said
    features = next(cell for cell in found if "features(" in cell.source)
    assert "'layer4': (1, 2048, 7, 7)" in shown(features, "text/plain")
    assert "{'layer2': 8, 'layer3': 16, 'layer4': 32}" in shown(features, "text/plain")
