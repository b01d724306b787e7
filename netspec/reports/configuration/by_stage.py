"""The configuration table with a column for each network: ResNet's Table 1, VGG's, DenseNet's."""

from __future__ import annotations

import re
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass, replace

from netspec.analysis.cost import totals
from netspec.analysis.depth import layers_deep
from netspec.ir.graph import Graph, Node
from netspec.ir.titles import both_ends
from netspec.ops import OPS
from netspec.reports.configuration.align import aligned
from netspec.reports.configuration.names import unique
from netspec.reports.configuration.notation import Cells, Notation, inferred, varying_args
from netspec.reports.configuration.series import size
from netspec.reports.configuration.stages import Line, Stage, by_size, stages_of
from netspec.reports.configuration.units import Unit, left_out, units_of
from netspec.reports.table import Cell, Column, Table

FIRST_STRIDE = "Where a stage makes maps smaller, the first of its repeated blocks has the stride."

# The sizes of more networks are said once each.
MOST_SIZES = 3
# So many layers that are left out are named.
MOST_LEFT_OUT = 8

Row = Sequence[Stage | None]
"""A stage in each of the networks."""


@dataclass(frozen=True, slots=True)
class View:
    """What of a network a table has, and how it writes it."""

    show: frozenset[str] = frozenset()
    """Ops that are shown though tables mostly leave them out, such as `relu`."""
    hide: frozenset[str] = frozenset()
    """Ops that are left out, such as `lrn`."""
    cells: Cells | None = None
    """The notation; None for what the layers suggest."""

    def shows(self, node: Node) -> bool:
        """Whether a node is a layer of the table."""
        return node.op not in self.hide and (node.op in self.show or OPS[node.op].is_tabulated)


def table_of_stages(graphs: Sequence[Graph], view: View, sizes: bool = False) -> Table:
    """A row for each stage and size of the map, or for each size alone, a column for each network, and their sums.

    Networks that have few stages in common are compared by size.
    """
    units = [units_of(graph, view.shows) for graph in graphs]
    every = [unit for own in units for unit in own]
    notation = Notation(view.cells or inferred(every), varying_args(every))
    stages = [stages_of(graph, own) for graph, own in zip(graphs, units, strict=True)]
    sizes = sizes or not _are_alike(stages)
    if sizes:
        stages = [by_size(own) for own in stages]
    keys = _keys(graphs)
    side_by_side = aligned(stages, _key_of)
    groups = _repeated(side_by_side, notation)
    rows = [row for group in groups for row in _rows_of(group, keys, notation, sizes)]
    counts = [totals(graph.nodes.values()) for graph in graphs]
    deep = [layers_deep(graph.nodes.values()) for graph in graphs]
    sums = (("depth", deep), ("MACs", [c.macs for c in counts]), ("parameters", [c.params for c in counts]))
    for what, values in sums:
        row = {"stage": what, "output": what if sizes else ""}
        rows.append({**row, **dict(zip(keys, values, strict=True))})
    titles = [graph.title or graph.name for graph in graphs]
    heads = [title if titles.count(title) == 1 else key for title, key in zip(titles, keys, strict=True)]
    lead = [Column("output", "output size", wrap=False)]
    lead = lead if sizes else [Column("stage", "stage"), *lead]
    columns = [*lead, *(Column(key, head) for key, head in zip(keys, heads, strict=True))]
    lines = [line for group in groups for stage in group if stage for line in stage.lines]
    silent = any(notation.leaves_out_strides(line.units) for line in lines)
    notes = [FIRST_STRIDE] * silent
    for graph, own in zip(graphs, units, strict=True):
        notes += left_out_note(graph, own, view, graph.name if len(graphs) > 1 else "")
    return Table(columns, rows, notes=notes, lead=len(lead))


def left_out_note(graph: Graph, units: Sequence[Unit], view: View, of: str = "") -> list[str]:
    """What a table of a network says of layers with weights that stand in none of its rows, if there are any."""
    paths = [node.path for node in left_out(graph, units, view.shows)]
    more = f" and {len(paths) - MOST_LEFT_OUT} more" if len(paths) > MOST_LEFT_OUT else ""
    return [f"left out{of and f' of {of}'}: {', '.join(paths[:MOST_LEFT_OUT])}{more}"] if paths else []


def _key_of(stage: Stage) -> str:
    return stage.key


def _are_alike(stages: Sequence[Sequence[Stage]]) -> bool:
    """Whether each network has half of the stages of the first, or the other way round; heads are alike in most."""
    first, *others = ({stage.key for stage in own if stage.lines[0].size != (1, 1)} for own in stages)
    return all(2 * len(first & own) >= max(1, min(len(first), len(own))) or not first | own for own in others)


def _keys(graphs: Sequence[Graph]) -> list[str]:
    """A name for each column, numbered where one is named again."""
    taken = {"stage", "output"}
    return [unique(graph.name, taken) for graph in graphs]


def _repeated(rows: Sequence[Row], notation: Notation) -> list[Row]:
    """Rows of the same blocks at the same size as one, `cell_0 to cell_3`, whose titles, if any, differ in a number."""
    kinds = [[_kind_of(stage, notation) for stage in row] for row in rows]
    groups: list[list[Row]] = []
    for index, row in enumerate(rows):
        if index and all(map(_repeats, rows[index - 1], row, kinds[index - 1], kinds[index])):
            groups[-1].append(row)
        else:
            groups.append([row])
    return [[_joined([stage for stage in own if stage]) for own in zip(*group, strict=True)] for group in groups]


def _kind_of(stage: Stage | None, notation: Notation) -> Hashable:
    """What the blocks of a stage are, where it has one size and all are equal; else None, and a layer is no block."""
    if stage is None or len(stage.lines) > 1:
        return None
    units = stage.lines[0].units
    kinds = {notation.key(unit) for unit in units}
    return (stage.lines[0].size, *kinds) if len(kinds) == 1 and size(units[0].series) > 1 else None


def _repeats(before: Stage | None, stage: Stage | None, kind_before: Hashable, kind: Hashable) -> bool:
    if before is None or stage is None:
        return before is stage
    if (before.titled or stage.titled) and _without_numbers(before.last) != _without_numbers(stage.first):
        return False
    return kind is not None and kind == kind_before


def _without_numbers(label: str) -> str:
    return re.sub(r"\d+", "", label)


def _joined(stages: Sequence[Stage]) -> Stage | None:
    """Stages as one that is called by the first and the last."""
    if len(stages) < 2:
        return stages[0] if stages else None
    line = Line(stages[0].lines[0].size, tuple(unit for stage in stages for unit in stage.lines[0].units))
    return replace(stages[0], label=both_ends(stages[0].first, stages[-1].last), lines=(line,))


def _rows_of(group: Row, keys: Sequence[str], notation: Notation, sizes: bool) -> Iterator[dict[str, Cell]]:
    """The rows of one stage in all networks, a row for each of its sizes."""
    kind = _any_line if sizes else _kind_of_line
    label = next(stage for stage in group if stage is not None).label
    for lines in aligned([stage.lines if stage else () for stage in group], kind):
        after = ["x".join(map(str, line.size)) for line in lines if line]
        row: dict[str, Cell] = {"stage": label, "output": _sizes(after)}
        for key, line in zip(keys, lines, strict=True):
            row[key] = notation.cell(line.units) if line else None
        yield row
        label = ""


def _sizes(after: Sequence[str]) -> str:
    """The size that all networks have, or that of each; of many networks those that there are."""
    different = list(dict.fromkeys(after))
    return " / ".join(after if 1 < len(different) <= len(after) <= MOST_SIZES else different)


def _any_line(line: Line) -> str:
    return ""


def _kind_of_line(line: Line) -> str:
    """By what lines of one stage are compared: poolings with poolings."""
    return "pool" if all(unit.pools for unit in line.units) else "layers"
