"""The shipped networks as rows of a table: what `netspec list specs` and the gallery show."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from netspec.analysis.cost import totals
from netspec.check.expect import stated
from netspec.diagnostics.errors import Reporter
from netspec.elaborate.compiled import compile_variant
from netspec.elaborate.document import inputs_of
from netspec.ops.base import Shape
from netspec.syntax.document import Document
from netspec.syntax.library import shipped
from netspec.syntax.reader import read_document
from netspec.syntax.results import Result

_YEAR = re.compile(r"\b(?:19|20)\d\d\b")


@dataclass(frozen=True, slots=True)
class Entry:
    """A variant of a shipped family."""

    name: str
    family: str
    title: str
    year: int | None
    params: int
    macs: int
    inputs: dict[str, Shape]
    source: str
    alias: str
    """The variant that it only names anew; empty for all others."""
    results: tuple[Result, ...]
    """Accuracies that papers report of it, which nobody verifies."""


def documents() -> Iterator[tuple[Path, Document]]:
    """The shipped families in the order of their papers, then of their names."""
    found = []
    for path in shipped():
        reporter = Reporter()
        document = read_document(path, reporter)
        reporter.check()
        assert document is not None
        found.append((year_of(document.source) or 0, path.name, path, document))
    for _, _, path, document in sorted(found, key=lambda item: item[:2]):
        yield path, document


def entries() -> Iterator[Entry]:
    """Every variant; counts are the exact facts of its `expect`, or counted where it states none."""
    for _, document in documents():
        for variant in document.variants or [None]:
            yield entry(document, variant)


def entry(document: Document, variant: str | None) -> Entry:
    """The row of one variant."""
    expect = document.expect_for(variant)
    params, macs = (stated(expect, what) for what in ("params", "macs"))
    if params is None or macs is None:
        counts = totals(compile_variant(document, variant).inference.nodes.values())
        params, macs = counts.params, counts.macs
    source = document.source_of(variant)
    own = document.variants[variant] if variant is not None else None
    return Entry(
        variant or document.name,
        document.path.stem,
        document.title_of(variant),
        year_of(source),
        params,
        macs or 0,
        inputs_of(document, variant),
        source,
        own.alias if own is not None else "",
        document.results_for(variant),
    )


def year_of(source: str) -> int | None:
    """The first year that a source names."""
    found = _YEAR.search(source)
    return int(found[0]) if found else None
