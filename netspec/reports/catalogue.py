"""The shipped networks as rows of a table: what `netspec list specs` and the gallery show."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from netspec.analysis.measures import MEASURES, Measured, Number
from netspec.check.expect import stated
from netspec.diagnostics.errors import Reporter
from netspec.elaborate.compiled import compile_variant
from netspec.elaborate.document import inputs_of
from netspec.ops.base import Shape
from netspec.syntax.document import Document
from netspec.syntax.library import shipped, specs_root
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
    measures: Mapping[str, Number]
    """All measures of the network by name."""
    uses: tuple[str, ...]
    """The libraries and networks that its document uses: blocks/detection, vgg."""


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
    known = kept_measures()
    for _, document in documents():
        digest = digest_of(document)
        for variant in document.variants or [None]:
            yield entry(document, variant, known.get(_key(document, variant, digest)))


def entry(document: Document, variant: str | None, measures: Mapping[str, Number] | None = None) -> Entry:
    """The row of one variant, whose measures may be known already."""
    expect = document.expect_for(variant)
    measures = measures_of(document, variant) if measures is None else measures
    params, macs = (stated(expect, what) or measures[what] for what in ("params", "macs"))
    source = document.source_of(variant)
    own = document.variants[variant] if variant is not None else None
    return Entry(
        variant or document.name,
        document.path.stem,
        document.title_of(variant),
        year_of(source),
        int(params or 0),
        int(macs or 0),
        inputs_of(document, variant),
        source,
        own.alias if own is not None else "",
        document.results_for(variant),
        measures,
        uses_of(document),
    )


def uses_of(document: Document) -> tuple[str, ...]:
    """The shipped libraries and networks whose blocks a document may call."""
    homes = [used if isinstance(used, Document) else used.home for used in document.used.values()]
    return tuple(dict.fromkeys(home.path.relative_to(specs_root()).with_suffix("").as_posix() for home in homes))


def counted(named: Iterable[tuple[str, str]]) -> str:
    """How many networks and families there are, by the family and alias of each name: an alias is no network."""
    found = [family for family, alias in named if not alias]
    return f"{len(found)} networks of {len({*found})} families"


MEASURED = "measures.json"
"""The measures of all shipped networks, next to them: `netspec list specs` reads them and need not build any."""


def kept_measures() -> dict[str, Mapping[str, Number]]:
    """The measures that are kept, by the name of a network and the digest of the files that say what it is."""
    try:
        found: dict[str, Mapping[str, Number]] = json.loads((specs_root() / MEASURED).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}  # they are computed again, which takes a while
    return {key: measures for key, measures in found.items() if [*measures] == [*MEASURES]}


def measures_of(document: Document, variant: str | None) -> dict[str, Number]:
    """All measures of a network, which is built."""
    network = compile_variant(document, variant)
    whole = Measured(network.inference, trained=network.shown).whole
    return {name: measure.of(whole) for name, measure in MEASURES.items()}


def digest_of(document: Document) -> str:
    """A hash of what the networks of a document are built of: the document and all that it uses."""
    found: dict[Path, str] = {}
    todo = [document]
    while todo:
        one = todo.pop()
        if one.path not in found:
            found[one.path] = one.digest
            todo += [used if isinstance(used, Document) else used.home for used in one.used.values()]
    return hashlib.sha256(" ".join(sorted(found.values())).encode()).hexdigest()[:16]


def measured_text() -> str:
    """The file of kept measures, as it should be; all are measured, as the code that measures may be another one."""
    lines: dict[str, Mapping[str, Number]] = {}
    for _, document in documents():
        digest = digest_of(document)
        for variant in document.variants or [None]:
            key = _key(document, variant, digest)
            if key not in lines:
                lines[key] = measures_of(document, variant)
    return "{\n" + ",\n".join(f"{json.dumps(key)}: {json.dumps(found)}" for key, found in lines.items()) + "\n}\n"


def _key(document: Document, variant: str | None, digest: str) -> str:
    """What the measures of a variant are kept under: the name of what it only names anew, and its files."""
    own = document.variants[variant] if variant is not None else None
    return f"{own.alias or own.name if own is not None else document.name} {digest}"


def year_of(source: str) -> int | None:
    """The first year that a source names."""
    found = _YEAR.search(source)
    return int(found[0]) if found else None
