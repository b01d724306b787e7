"""What is asked of a configuration table, and the table: `netspec table`, and `Network.table` of Python."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import get_args

from netspec.diagnostics.errors import UsageError, did_you_mean
from netspec.elaborate.compiled import Compiled
from netspec.ir.graph import Graph
from netspec.ops import OPS, lookup
from netspec.passes.drop_heads import without_heads
from netspec.reports.configuration.by_row import table_of_blocks, table_of_layers
from netspec.reports.configuration.by_stage import View, table_of_stages
from netspec.reports.configuration.notation import Cells
from netspec.reports.configuration.transposed import transposed
from netspec.reports.table import Table

ROWS = ("stages", "sizes", "blocks", "layers")


@dataclass(frozen=True, slots=True)
class Asked:
    """What a row is, how cells are written, and which ops are shown."""

    rows: str = "stages"
    cells: Cells | None = None
    columns: str = ""
    show: Sequence[str] = ()
    hide: Sequence[str] = ()
    transpose: bool = False

    def check(self, count: int) -> None:
        """Raises UsageError for what is not there, or has no meaning for such rows of so many networks."""
        for value, known in ((self.rows, ROWS), (self.cells, get_args(Cells))):
            if value is not None and value not in known:
                raise UsageError(f"there is no '{value}' among {', '.join(known)}", did_you_mean(value, known))
        for name in (*self.show, *self.hide):
            if lookup(name) is None:
                help = did_you_mean(name, OPS, "`netspec list ops` shows them")
                raise UsageError(f"there is no op '{name[:80]}'", help)
        if self.rows not in ("blocks", "layers"):
            if self.columns:
                raise UsageError(
                    "--columns goes with --rows blocks or --rows layers", "leave out --columns, or ask for these rows"
                )
            return
        if self.transpose:
            raise UsageError(f"a table of {self.rows} has no --transpose", "leave out --rows")
        if count > 1:
            raise UsageError(f"a table of {self.rows} is of one network", "leave out --rows, or name one SPEC")
        if self.cells:
            raise UsageError(f"a table of {self.rows} has no --cells", "choose --columns")


def configuration_table(networks: Sequence[tuple[Compiled, str]], asked: Asked) -> Table:
    """The table of networks, each with what is said of its settings; raises UsageError."""
    asked.check(len(networks))
    view = View(frozenset(asked.show), frozenset(asked.hide), asked.cells)
    graphs = [_graph(network, own, asked.show) for network, own in networks]
    if asked.rows in ("blocks", "layers"):
        return (table_of_blocks if asked.rows == "blocks" else table_of_layers)(graphs[0], view, asked.columns)
    table = table_of_stages(graphs, view, asked.rows == "sizes")
    return transposed(table) if asked.transpose else table


def _graph(network: Compiled, own: str, show: Sequence[str]) -> Graph:
    """The graph that is run, or where what is shown is in training alone, such as dropout, that without heads."""
    graph = network.inference
    if any(OPS[name].only_in_training for name in show):
        graph = without_heads(network.trained)
    if own:
        graph.title = f"{graph.title or graph.name} ({own})"
    return graph
