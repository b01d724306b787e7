"""The configuration table with a row for each network and a column for each stage: Chatfield et al. 2014, Table 1."""

from __future__ import annotations

from dataclasses import replace

from netspec.reports.configuration.names import unique
from netspec.reports.stacked import Part, Stacked
from netspec.reports.table import Cell, Column, Table, shown


def transposed(table: Table) -> Table:
    """A table of stages by its columns: what follows in a stage at another size stands below in the same cell."""
    networks = table.columns[table.lead :]
    by_stage = table.lead > 1
    sizes: dict[str, Cell] = {"network": "output size"}
    rows: list[dict[str, Cell]] = [{"network": column.title} for column in networks]
    taken, columns = {"network"}, [Column("network", "network")]
    for row in table.rows:
        title = shown(row.get(table.columns[0].key))
        if title or len(columns) == 1:
            columns.append(Column(unique(title, taken), title))
        key = columns[-1].key
        for network, made in zip(networks, rows, strict=True):
            made[key] = _below(made.get(key), row.get(network.key))
        if by_stage:
            sizes[key] = _below(sizes.get(key), row.get("output") or None)
    return replace(table, columns=columns, rows=[*([sizes] if by_stage else []), *rows], lead=1)


def _below(above: Cell, cell: Cell) -> Cell:
    """Two cells as one of several lines; one alone as it is."""
    if above is None or cell is None:
        return cell if above is None else above
    return Stacked((*_parts(above), *_parts(cell)))


def _parts(cell: Cell) -> tuple[Part, ...]:
    return cell.parts if isinstance(cell, Stacked) else (Part((shown(cell),)),)
