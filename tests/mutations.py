"""Specs with one thing changed in their text: what the tests of error messages try on every shipped spec."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from netspec.check import check_file
from netspec.errors import Diagnostic, Reporter
from netspec.parse import Map, Scalar, Seq, Source, Tree, parse

HERE = Path(__file__).parent
GOOD = sorted((HERE / "good").glob("*.yaml"))
SHIPPED = sorted((HERE.parent / "specs").rglob("*.yaml"))


def tree_of(text: str) -> Map:
    """The located tree of a text."""
    tree = parse(Source("t.yaml", text), Reporter())
    assert tree is not None
    return tree


def scalars(tree: Tree) -> Iterator[Scalar]:
    """Every scalar below a tree that stands in one line, keys included."""
    if isinstance(tree, Scalar):
        if tree.span.line == tree.span.end_line and tree.span.col < tree.span.end_col:
            yield tree
    elif isinstance(tree, Seq):
        for item in tree.items:
            yield from scalars(item)
    else:
        for key, value in tree.entries:
            yield from scalars(key)
            yield from scalars(value)


def replaced(text: str, at: Scalar, new: str) -> str:
    """The text with another scalar, quoted, in the place of one."""
    lines = text.split("\n")
    line = lines[at.span.line - 1]
    lines[at.span.line - 1] = line[: at.span.col - 1] + json.dumps(new) + line[at.span.end_col - 1 :]
    return "\n".join(lines)


def found(text: str, folder: Path) -> list[Diagnostic]:
    """What `check` says of a text."""
    path = folder / "mutated.yaml"
    path.write_text(text, encoding="utf-8")
    reporter = Reporter()
    check_file(path, reporter)
    return list(reporter.sorted())


def errors(text: str, folder: Path) -> list[Diagnostic]:
    """The errors among them."""
    return [d for d in found(text, folder) if d.severity == "error"]
