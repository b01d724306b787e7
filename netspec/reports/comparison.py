"""Networks or blocks next to each other: measures of each, and their ratios to those of the first."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from netspec.analysis.cost import FOOTER
from netspec.analysis.measures import MEASURES, Measure, Measured, Number
from netspec.ir.graph import Graph
from netspec.reports.table import Cell, Column, Table, number, shown


@dataclass(frozen=True, slots=True)
class Compared:
    """One of the networks: what it is called in the table, its inference graph, and the graph that is trained."""

    name: str
    graph: Graph
    trained: Graph


def comparison(networks: Sequence[Compared], names: Sequence[str]) -> Table:
    """A row for each network with some measures, by name, each with the ratio to that of the first network."""
    measures = [MEASURES[name] for name in names]
    columns = [Column("network", "network"), Column("input", "input", right=True, wrap=False)]
    for measure in measures:
        unit = f" ({measure.unit})" if measure.unit == "B" else ""
        text = _field if measure.name == "receptive_field" else None
        columns += [number(measure.name, measure.title + unit, text), number(f"{measure.name}_ratio", "ratio")]
    first: dict[str, Number] = {}
    rows = [dict(_row(network, measures, first)) for network in networks]
    return Table(columns, rows, notes=[f"Ratios are to the first row. {FOOTER}"])


def _row(network: Compared, measures: Sequence[Measure], first: dict[str, Number]) -> Iterator[tuple[str, Cell]]:
    """The cells of one network; the first one leaves its numbers in `first`."""
    yield "network", network.name
    yield "input", _entering(network.graph)
    whole = Measured(network.graph, trained=network.trained).whole
    for measure in measures:
        found = measure.of(whole)
        yield measure.name, found
        yield f"{measure.name}_ratio", _ratio(found, first.setdefault(measure.name, found))


def _entering(graph: Graph) -> Cell:
    """The sizes that enter a network, without the batch: of several inputs, one after the other."""
    sizes = [node.shape[1:] for node in graph.inputs]
    return sizes[0] if len(sizes) == 1 else " + ".join("x".join(map(str, size)) for size in sizes)


def _ratio(found: Number, first: Number) -> float | None:
    return None if found is None or not first else found / first


def _field(value: Cell) -> str:
    """A receptive field; there is no number where it is the whole input."""
    return "all" if value is None else shown(value)
