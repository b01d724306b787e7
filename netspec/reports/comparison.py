"""Networks or blocks next to each other: measures of each, and their ratios to those of the first."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from netspec.analysis.measures import MEASURES, Measured, Number
from netspec.analysis.receptive_field import WHOLE_INPUT
from netspec.ir.graph import Graph
from netspec.reports.columns import measure_title, named_columns, notes_of
from netspec.reports.table import Cell, Column, Table, digits, number, shown

SHOWN = ("params", "macs", "depth", "memory", "receptive_field")
"""The measures that are compared where no others are asked for."""


def columns_of(asked: str | None) -> Sequence[str]:
    """The measures of `--columns`, after the usual ones where the list begins with +; raises UsageError."""
    return SHOWN if asked is None else named_columns(asked, [*MEASURES], SHOWN, "a comparison")


@dataclass(frozen=True, slots=True)
class Compared:
    """One of the networks: what it is called in the table, its inference graph, and the graph that is trained."""

    name: str
    graph: Graph
    trained: Graph


def comparison(networks: Sequence[Compared], names: Sequence[str], people: bool = True) -> Table:
    """A row for each network with some measures, by name, and their ratios to those of the first network.

    People read a ratio in brackets behind its measure, to three digits; programs in a column of its own.
    """
    columns = [Column("network", "network"), Column("input", "input", right=True, wrap=False)]
    for name in names:
        columns.append(number(name, measure_title(name)))
        columns += [] if people else [number(f"{name}_ratio", "ratio")]
    measured = [_measured(network, names) for network in networks]
    rows = [
        {"network": network.name, "input": _entering(network.graph), **dict(_cells(found, measured[0], people))}
        for network, found in zip(networks, measured, strict=True)
    ]
    return Table(columns, rows, lead=1, notes=["In brackets are ratios to the first row.", *notes_of(names)])


def _measured(network: Compared, names: Sequence[str]) -> dict[str, Number]:
    whole = Measured(network.graph, trained=network.trained).whole
    return {name: MEASURES[name].of(whole) for name in names}


def _cells(found: Mapping[str, Number], first: Mapping[str, Number], people: bool) -> Iterator[tuple[str, Cell]]:
    """The measures of one network with their ratios."""
    for name, value in found.items():
        of = first[name]
        ratio = None if value is None or not of else value / of
        if people:
            yield name, _said(name, value) + (f" ({digits(ratio)})" if ratio is not None else "")
        else:
            yield name, value
            yield f"{name}_ratio", ratio


def _said(name: str, value: Number) -> str:
    """A measure as people read it, bytes in MiB; there is none of a receptive field that is the whole input."""
    if value is None:
        return {"receptive_field": WHOLE_INPUT, "macs": "uncounted"}.get(name, "")
    return digits(value / 2**20) if MEASURES[name].unit == "B" else shown(value)


def _entering(graph: Graph) -> Cell:
    """The sizes that enter a network, without the batch: of several inputs, one after the other."""
    sizes = [node.shape[1:] for node in graph.inputs]
    return sizes[0] if len(sizes) == 1 else " + ".join("x".join(map(str, size)) for size in sizes)
