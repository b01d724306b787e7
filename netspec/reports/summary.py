"""The layer table, for people and as JSON or CSV."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import dataclass

from netspec.analysis.cost import FOOTER, Totals, activations, totals
from netspec.ir.graph import Graph, Node, Ref
from netspec.ir.scope_tree import Region, tree
from netspec.ops import Shape
from netspec.ops.base import show


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table: a node, or a scope that is folded."""

    path: str
    op: str
    shape: Shape
    params: int
    macs: int | None
    source: str
    depth: int
    memory: int
    """Bytes of what its nodes give, in float32 at batch 1."""


def rows(graph: Graph, depth: int | None = None) -> list[Row]:
    """The lines of the table in order; scopes deeper than `depth` are one line each, with their sums."""
    found: list[Row] = []
    seen: set[str] = set()

    def fresh(nodes: list[Node]) -> int:
        """Parameters that no line above has counted: shared weights count where they stand first."""
        new = [n for n in nodes if n.weights_at not in seen]
        seen.update(n.weights_at for n in new)
        return totals(new).params

    def walk(region: Region, level: int) -> None:
        for item in region.items:
            if isinstance(item, Node):
                found.append(
                    Row(
                        item.path,
                        item.op,
                        item.shape,
                        fresh([item]),
                        item.result.macs,
                        str(item.span or ""),
                        level,
                        activations([item]),
                    )
                )
            elif depth is not None and level >= depth:
                nodes = list(item.nodes())
                shape = graph.shape(item.outputs[-1] if item.outputs else Ref(nodes[-1].path))
                found.append(
                    Row(
                        item.path,
                        item.scope.block or item.scope.kind,
                        shape,
                        fresh(nodes),
                        totals(nodes).macs,
                        str(item.scope.span or ""),
                        level,
                        activations(nodes),
                    )
                )
            else:
                walk(item, level + 1)

    walk(tree(graph), 1)
    return found


def as_json(graph: Graph, depth: int | None = None) -> dict[str, object]:
    """The table as data."""
    all_ = totals(graph.nodes.values())
    return {
        "name": graph.name,
        "title": graph.title,
        "input": {n.path: list(n.shape) for n in graph.inputs},
        "outputs": {name: list(graph.shape(o.ref)) for name, o in graph.outputs.items()},
        "totals": {
            "params": all_.params,
            "macs": all_.macs,
            "running_statistics": all_.stats,
            "uncounted": list(all_.uncounted),
        },
        "layers": [
            {"path": r.path, "op": r.op, "shape": list(r.shape), "params": r.params, "macs": r.macs, "source": r.source}
            for r in rows(graph, depth)
        ],
    }


def to_json(graph: Graph, depth: int | None = None) -> str:
    """The table as JSON."""
    return json.dumps(as_json(graph, depth), indent=2)


def to_csv(graph: Graph, depth: int | None = None) -> str:
    """The table as CSV."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(("path", "op", "shape", "params", "macs", "source"))
    writer.writerows(
        (r.path, r.op, "x".join(map(str, r.shape)), r.params, "" if r.macs is None else r.macs, r.source)
        for r in rows(graph, depth)
    )
    return out.getvalue()


def footer(all_: Totals) -> str:
    """What the sums mean."""
    uncounted = f" Uncounted: {', '.join(all_.uncounted)}." if all_.uncounted else ""
    return f"{FOOTER} Running statistics apart: {all_.stats:,}.{uncounted}"


def to_text(graph: Graph, depth: int | None = None, color: bool = False, width: int | None = None) -> str:
    """The table for people."""
    from rich import box
    from rich.console import Console
    from rich.table import Table

    all_ = totals(graph.nodes.values())
    table = Table(title=graph.title or graph.name, box=box.SIMPLE_HEAD, title_justify="left", show_footer=True)
    table.add_column("step", footer="total", overflow="fold")
    table.add_column("op")
    table.add_column("shape", justify="right")
    table.add_column("params", justify="right", footer=f"{all_.params:,}")
    table.add_column("MACs", justify="right", footer=f"{all_.macs:,}")
    for r in rows(graph, depth):
        macs = "uncounted" if r.macs is None else f"{r.macs:,}" if r.macs else ""
        table.add_row(r.path, r.op, show(r.shape), f"{r.params:,}" if r.params else "", macs)
    out = io.StringIO()
    console = Console(
        file=out,
        force_terminal=color,
        no_color=not color,
        width=width or 140,
        highlight=False,
        markup=False,
        emoji=False,
    )
    console.print(table)
    lines = [line.rstrip() for line in out.getvalue().splitlines()]
    return "\n".join([*lines, footer(all_)])
