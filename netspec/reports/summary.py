"""The layer table: a line for each step, or for each scope that is folded, with its costs and what is asked for."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from netspec.analysis.cost import Totals, totals
from netspec.analysis.measures import MEASURES, Measured, Number, Part
from netspec.ir.graph import Graph, Node, Ref
from netspec.ir.scope_tree import Region, tree
from netspec.ir.titles import titles
from netspec.ops import Shape
from netspec.ops.base import show
from netspec.reports.attributes import ATTRIBUTES
from netspec.reports.columns import measure_column, named_columns, notes_of
from netspec.reports.table import Cell, Column, Table, number, shown


@dataclass(frozen=True, slots=True, eq=False)
class Row:
    """One line of the table: a node, or a scope that is folded."""

    path: str
    title: str
    """What its paper calls it, or else the step around it that has a title."""
    op: str
    shape: Shape
    params: int
    """Those that no line above has counted: shared weights count where they stand first."""
    trainable: int
    """Those of them that are not frozen."""
    macs: int | None
    source: str
    level: int
    part: Part
    entered: tuple[Ref, ...]
    """What it reads."""

    def measure(self, name: str) -> Number:
        """One of the measures of the step."""
        return self.params if name == "params" else self.macs if name == "macs" else MEASURES[name].of(self.part)


def rows(graph: Graph, depth: int | None = None, measured: Measured | None = None) -> list[Row]:
    """The lines of the table in order; scopes deeper than `depth` are one line each, with their sums."""
    measured = measured or Measured(graph)
    named = titles(graph)
    found: list[Row] = []
    seen: set[str] = set()

    def line(item: Node | Region, level: int, op: str, gives: Ref, source: object) -> None:
        nodes = [item] if isinstance(item, Node) else list(item.nodes())
        fresh = [node for node in nodes if node.weights_at not in seen]
        seen.update(node.weights_at for node in fresh)
        macs = item.result.macs if isinstance(item, Node) else totals(nodes).macs
        part = measured.part(item.path, nodes, gives)
        found.append(
            Row(
                item.path,
                _title_of(item.path, named),
                op,
                graph.shape(gives),
                totals(fresh).params,
                totals(_not_frozen(fresh, measured)).params,
                macs,
                str(source or ""),
                level,
                part,
                tuple(item.inputs),
            )
        )

    def walk(region: Region, level: int) -> None:
        for item in region.items:
            if isinstance(item, Node):
                line(item, level, item.op, Ref(item.path), item.span)
            elif depth is not None and level >= depth:
                last = item.outputs[-1] if item.outputs else Ref([*item.nodes()][-1].path)
                line(item, level, item.scope.block or item.scope.kind, last, item.scope.span)
            else:
                walk(item, level + 1)

    walk(tree(graph), 1)
    return found


def _not_frozen(nodes: Iterable[Node], measured: Measured) -> list[Node]:
    return [node for node in nodes if node.path not in measured.frozen]


def _title_of(path: str, named: Mapping[str, str]) -> str:
    """The title of a step, or of the innermost step around it that has one."""
    while path and path not in named:
        path = path.rpartition(".")[0]
    return named.get(path, "")


def as_json(
    graph: Graph, depth: int | None = None, columns: Sequence[str] = (), measured: Measured | None = None
) -> dict[str, object]:
    """The table as data: the keys of every table, and those that are asked for."""
    measured = measured or Measured(graph)
    all_ = totals(graph.nodes.values())
    more = [name for name in columns if name not in _ALWAYS]
    return {
        "name": graph.name,
        "title": graph.title,
        "input": {n.path: list(n.shape) for n in graph.inputs},
        "outputs": {name: list(graph.shape(o.ref)) for name, o in graph.outputs.items()},
        "totals": {
            "params": all_.params,
            "macs": all_.macs,
            **({TRAINABLE: totals(_not_frozen(graph.nodes.values(), measured)).params} if TRAINABLE in more else {}),
            "running_statistics": all_.stats,
            "uncounted": list(all_.uncounted),
            **{name: MEASURES[name].of(measured.whole) for name in more if name in MEASURES},
        },
        "layers": [
            {
                "path": r.path,
                "title": r.title,
                "op": r.op,
                "shape": list(r.shape),
                "params": r.params,
                "macs": r.macs,
                "source": r.source,
                **{name: _value(r, name) for name in more},
            }
            for r in rows(graph, depth, measured)
        ],
    }


def to_json(graph: Graph, depth: int | None = None) -> str:
    """The table as JSON."""
    return json.dumps(as_json(graph, depth), indent=1)


_ALWAYS = ("path", "title", "op", "shape", "params", "macs", "source")
"""The keys of every layer in JSON."""
_WRITTEN = ("op", "shape", "params", "macs", "source")
"""The columns of CSV after the step, where no others are asked for."""
_SHOWN = ("op", "shape", "params", "macs")
"""The columns that people see after the step."""
_OWN: Mapping[str, Callable[[Row], Cell]] = {
    "title": lambda row: row.title,
    "op": lambda row: row.op,
    "shape": lambda row: row.shape,
    "trainable": lambda row: row.trainable,
    "source": lambda row: row.source,
}
TRAINABLE = "trainable"
"""The parameters that are not frozen."""
COLUMNS = (*_OWN, *MEASURES, *ATTRIBUTES)
"""All columns next to the path of a step."""


def columns_of(asked: str | None) -> list[str] | None:
    """The columns of `--columns`, after those of every table where the list begins with +; raises UsageError."""
    if asked is None:
        return None
    return named_columns(asked, COLUMNS, _SHOWN, "a summary")


def table(
    graph: Graph,
    depth: int | None = None,
    columns: Sequence[str] | None = None,
    measured: Measured | None = None,
    people: bool = True,
    doc: str = "",
) -> Table:
    """The table with its sums; without `columns` those of every table, and for programs where each step is written.

    `doc` is what the spec says of the whole.
    """
    measured = measured or Measured(graph)
    found = rows(graph, depth, measured)
    usual = (*(["title"] if any(row.title for row in found) else []), *_SHOWN) if people else _WRITTEN
    chosen = [*(columns if columns is not None else usual)]
    more = [TRAINABLE] if measured.frozen and TRAINABLE not in chosen else []
    if more:
        chosen.insert(chosen.index("params") + 1 if "params" in chosen else len(chosen), TRAINABLE)
    lines: list[dict[str, Cell]] = [{"path": row.path, **{name: _value(row, name) for name in chosen}} for row in found]
    if people and "title" in chosen:
        for before, row, line in zip(found, found[1:], lines[1:], strict=False):
            line["title"] = row.title if row.title != before.title else ""
    all_ = totals(graph.nodes.values())
    trained = totals(_not_frozen(graph.nodes.values(), measured)).params
    sums: dict[str, Cell] = {
        name: trained if name == TRAINABLE else MEASURES[name].of(measured.whole)
        for name in chosen
        if name in MEASURES or name == TRAINABLE
    }
    return Table(
        [Column("path", "step"), *map(_column, chosen)],
        lines,
        graph.title or graph.name,
        {"path": "total", **sums} if sums else {},
        [
            *([doc] if doc else []),
            *notes_of(chosen, _apart(all_, chosen)),
            *_frozen_text(all_.params, trained, measured),
        ],
        data=as_json(graph, depth, [*(columns or ()), *more], measured) if not people else None,
    )


def _frozen_text(params: int, trained: int, measured: Measured) -> list[str]:
    """What is frozen, where that was asked for."""
    return [f"Frozen: {params - trained:,} parameters; trainable: {trained:,}."] if measured.frozen else []


def _apart(all_: Totals, names: Sequence[str]) -> str:
    """What the sums of parameters and MACs leave out."""
    said = [f"Running statistics apart: {all_.stats:,}."] if "params" in names else []
    said += [f"Uncounted: {', '.join(all_.uncounted)}."] if "macs" in names and all_.uncounted else []
    return " ".join(said)


def to_text(graph: Graph, depth: int | None = None, width: int | None = None) -> str:
    """The table for people."""
    return table(graph, depth).render("text", width)


def _value(row: Row, name: str) -> Cell:
    """What a column says of a step."""
    if name in _OWN:
        return _OWN[name](row)
    return row.measure(name) if name in MEASURES else ATTRIBUTES[name].of(row.part, row.entered)


def _column(name: str) -> Column:
    if name == TRAINABLE:
        return number(name, name, _trainable)
    if name == "shape":
        return Column(name, name, right=True, text=_shape)
    if name in _OWN:
        return Column(name, name, wrap=name != "op")
    if name in ATTRIBUTES:
        return Column(name, name, right=True, wrap=False)
    return measure_column(name)


def _trainable(value: Cell) -> str:
    return shown(value) if value else ""


def _shape(value: Cell) -> str:
    return show(value) if isinstance(value, tuple) else ""
