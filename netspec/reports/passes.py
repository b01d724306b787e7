"""What the passes of a network change: how often each, and its steps, work and weights before and after it."""

from __future__ import annotations

from netspec.analysis.cost import totals
from netspec.elaborate.compiled import Compiled
from netspec.ir.graph import Graph
from netspec.ir.module import Module
from netspec.passes import PASSES
from netspec.passes.base import Stage
from netspec.reports.table import Cell, Column, Table, number

MEASURES = {"steps": "steps", "macs": "MACs", "params": "parameters", "bytes": "bytes"}


def table_of_passes(compiled: Compiled) -> Table:
    """A row for each pass of the inference graph, in the order in which they run; bytes are those of its weights.

    Weights count once where layers share them, in float32, and with their running statistics.
    """
    always = [p for p in PASSES if p.stage is Stage.INFERENCE and not p.named]
    module, rows = Module(compiled.graph), list[dict[str, Cell]]()
    for p in [*always, *compiled.passes]:
        before, module = module, p(module)
        row: dict[str, Cell] = {"pass": p.name, "times": module.times if module is not before else 0}
        for side, graph in (("before", before.graph), ("after", module.graph)):
            row |= {f"{key}_{side}": value for key, value in _costs(graph).items()}
        rows.append(row)
    columns = [Column("pass", "pass", wrap=False), number("times", "times")]
    for key, title in MEASURES.items():
        columns += [number(f"{key}_{side}", f"{title} {side}") for side in ("before", "after")]
    return Table(columns, rows, title=f"passes of {compiled.name}", lead=1)


def _costs(graph: Graph) -> dict[str, int]:
    """The steps of a graph without its inputs, its multiply-accumulates at batch 1, and its weights."""
    found = totals(graph.nodes.values())
    steps = len(graph) - len(graph.inputs)
    return {"steps": steps, "macs": found.macs, "params": found.params, "bytes": 4 * (found.params + found.stats)}
