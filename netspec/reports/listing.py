"""Lists of what there is - specs, blocks, ops, passes - as tables: `netspec list`, `netspec.list_specs`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from netspec import plugins
from netspec.analysis.measures import MEASURES
from netspec.diagnostics import suggest
from netspec.diagnostics.errors import Reporter, UsageError
from netspec.ops import OPS
from netspec.ops.aliases import meant_by
from netspec.ops.base import Param, show
from netspec.passes import NAMED
from netspec.reports.catalogue import Entry, counted, entries
from netspec.reports.columns import measure_column, named_columns, notes_of
from netspec.reports.table import Cell, Column, Table, number
from netspec.syntax.fact_places import TOPS
from netspec.syntax.library import block_libraries, specs_root
from netspec.syntax.meant import op_help
from netspec.syntax.reader import read_document
from netspec.syntax.results import reported

Row = Mapping[str, Cell]
"""What is said of one thing, by column."""


def listed(what: str, rows: list[Row], names: Sequence[str] = (), columns: str | None = None) -> Table:
    """A list of things, or of those that a name may mean, the nearest first; raises UsageError."""
    if names:
        rows = chosen(rows, " ".join(names), what)
    table = _table(rows, _columns(rows, columns, what))
    return replace(table, notes=[*table.notes, _counted(rows)]) if what == "specs" and not names else table


_PROSE = ("doc", "manual", "source", "uses")
"""What is searched for words, after names and titles: of specs the paper and the libraries, of others the manual."""


def chosen(rows: list[Row], name: str, what: str) -> list[Row]:
    """The rows that a name may mean, by their names, titles and libraries; raises UsageError where there is none."""
    if not suggest.key(name):
        raise UsageError(f"'{name[:80]}' has no letter or digit to search for", f"`netspec list {what}` shows them all")
    names = [str(row["name"]) for row in rows]
    said = [[str(row[key]) for key in ("title", "library") if row.get(key)] for row in rows]
    texts = [[own, *more] for own, more in zip(names, said, strict=True)]
    prose = [" ".join(str(row.get(key) or "") for key in _PROSE) for row in rows]
    ranks = [suggest.rank(name, *known) for known in zip(texts, prose, strict=True)]
    if what in ("ops", "blocks"):  # as other libraries call them
        meant = meant_by(name)
        ranks = [0 if meant is not None and own == meant.name else rank for own, rank in zip(names, ranks, strict=True)]
    found = sorted((rank, i) for i, rank in enumerate(ranks) if rank is not None)
    if not found:
        near = suggest.name(name, dict(zip(names, texts, strict=True)))
        help = f"did you mean '{near}'?" if near else ""
        if what in ("ops", "blocks"):
            help = str(op_help(name, names))
        help = help or f"`netspec list {what}` shows them all"
        raise UsageError(f"there is nothing like '{name[:80]}' among the {what}", help)
    return [rows[i] for _, i in found]


def specs() -> Iterator[Row]:
    """A row for every variant; the counts are those that its `expect` states and `netspec check` verifies."""
    for found in entries():
        yield {
            "name": found.name,
            "title": found.title,
            "year": found.year,
            "depth": found.measures["depth"],
            "params": found.params,
            "macs": found.macs,
            **_accuracy(found),
            "input": " + ".join(show(shape) for shape in found.inputs.values()),
            "source": found.source,
            "family": found.family,
            "alias": found.alias,
            "uses": ", ".join(found.uses),
            **{name: value for name, value in found.measures.items() if name not in _OF_EVERY_LIST},
        }


def _counted(rows: Sequence[Row]) -> str:
    """How many networks there are, next to how many names."""
    others = sum(bool(row["alias"]) for row in rows)
    more = f", and {others} other name{'s' * (others != 1)} of one" if others else ""
    return f"{counted((str(row['family']), str(row['alias'])) for row in rows)}{more}."


def _accuracy(found: Entry) -> Row:
    """Accuracies in percent, on the data of the first that is cited."""
    data = found.results[0].data if found.results else ""
    return {**{top: reported(found.results, top, data) for top in TOPS}, "data": data}


def blocks() -> Iterator[Row]:
    """A row for every block of the shipped libraries."""
    for path in block_libraries():
        document = read_document(path, Reporter())
        for block in document.blocks.values() if document is not None else ():
            yield {
                "name": block.name,
                "library": Path(path).relative_to(specs_root()).with_suffix("").as_posix(),
                "params": ", ".join(p.name for p in block.params),
                "doc": block.doc,
            }


def ops() -> Iterator[Row]:
    """A row for every primitive op, from the op table."""
    for name, error in sorted(plugins.load_ops().items()):
        yield {"name": name, "arguments": "", "manual": f"not usable: {error.message}"}
    for op in sorted(OPS.values(), key=lambda o: o.name):
        if op.name != "input":
            first, named = ([_written(p) for p in op.params if p.positional == by] for by in (True, False))
            yield {
                "name": op.name,
                "arguments": " ".join(first) + (f" | {' '.join(named)}" if named else ""),
                "manual": op.summary,
            }


def passes() -> Iterator[Row]:
    """A row for every pass that `--pass` and a variant may name, in the order in which they run."""
    for name in NAMED:
        yield {"name": name, "graph": NAMED[name].stage.value, "summary": NAMED[name].doc}


def _written(p: Param) -> str:
    """A parameter with its default: `stride=1`; `[size]` may be left out and has none."""
    if p.default is None:
        return f"[{p.name}]"
    return p.name if p.required else f"{p.name}={_plain(p.default)}"


def _plain(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


_OF_EVERY_LIST = ("depth", "params", "macs")
"""The measures that every list of specs has."""


def _columns(rows: Sequence[Row], asked: str | None, what: str) -> list[str]:
    """The columns of a list: those of every one, or those that are asked for; raises UsageError."""
    known = list(rows[0]) if rows else ["name"]
    usual = [key for key in known if key not in ("family", "alias", "uses", *MEASURES) or key in _OF_EVERY_LIST]
    return ["name", *named_columns(asked, known[1:], usual[1:], f"the list of {what}")] if asked else usual


def _table(rows: Sequence[Row], keys: Sequence[str]) -> Table:
    """Rows with some of their columns."""
    more = notes_of([key for key in keys if key not in _OF_EVERY_LIST])
    return Table([_column(key, rows) for key in keys], rows, notes=[*more, *_notes(keys)] if rows else ["nothing"])


def _column(key: str, rows: Sequence[Row]) -> Column:
    """A column of measures, of texts, or of years, which are names."""
    if key == "year":
        return number(key, key, _year)
    if key in MEASURES and not any(isinstance(row[key], str) for row in rows):  # `params` of blocks are names
        return measure_column(key)
    if key in TOPS:
        return number(key, key, _said)
    return Column(key, key, wrap=key not in ("name", "input"))


def _year(value: Cell) -> str:
    return str(value or "")


def _said(value: Cell) -> str:
    return "" if value is None else str(value)


def _notes(keys: Sequence[str]) -> list[str]:
    """What has to be known of the columns."""
    said = (
        "top1 and top5 are accuracies in percent on `data`, cited from papers under `results`: nothing verifies them."
    )
    return [said] if "top1" in keys else []
