"""Times of runs as tables: a row for each way to run a network, or for each part of one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from netspec.analysis.cost import totals
from netspec.ir.graph import Graph, Node
from netspec.reports.table import Cell, Column, Form, Table, digits, number
from netspec.running.measure import Times


@dataclass(frozen=True, slots=True)
class Run:
    """How a network was run, and what was measured."""

    network: str
    target: str
    provider: str
    batch: int
    threads: int
    times: Times
    macs: int | None = None
    """Multiply-accumulates of the network as its spec has it, for one of a batch; None where they are not known."""
    peak: float | None = None
    """Multiply-accumulates in a second of a product of matrices, run the same way."""
    memory: int | None = None
    """Bytes of resident memory that it added at its peak."""

    @property
    def rate(self) -> float | None:
        """Multiply-accumulates in a second, by the median."""
        return None if self.macs is None else self.macs * self.batch / self.times.median * 1000


@dataclass(frozen=True, slots=True)
class NotRun:
    """A way in which a network was not run, and why."""

    network: str
    target: str
    batch: int | None
    """None where it is that of a file."""
    threads: int
    why: str


def _milliseconds(value: Cell) -> str:
    return digits(value) if isinstance(value, float) else "-"


def _percent(value: Cell) -> str:
    return f"{100 * value:.1f}%" if isinstance(value, float) else ""


def _megabytes(value: Cell) -> str:
    return f"{value / 1e6:,.0f} MB" if isinstance(value, int) else ""


def _giga(value: Cell) -> str:
    return digits(value / 1e9) if isinstance(value, float) else ""


COLUMNS = (
    Column("network", "network", wrap=False),
    Column("target", "target", wrap=False),
    Column("provider", "ran on"),
    number("batch", "batch"),
    Column("threads", "threads", right=True, wrap=False),
    number("median_ms", "median ms"),
    number("low_ms", "25%"),
    number("high_ms", "75%"),
    number("per_second", "per second"),
    number("macs_per_second", "GMAC/s", _giga),
    number("share_of_peak", "of peak", _percent),
    number("memory", "memory", _megabytes),
)


WHY = Column("why", "why")
"""What other forms say below the table, of a row that was not run."""


def table_of_runs(runs: Sequence[Run | NotRun], said: Sequence[str], form: Form = "text") -> Table:
    """A row for each way; `said` are notes on the machine and on how it was measured."""
    rows, notes = list[dict[str, Cell]](), list[str]()
    beyond = False
    for run in runs:
        if isinstance(run, NotRun):
            row: dict[str, Cell] = {"network": run.network, "target": run.target, "provider": "not run"}
            rows.append(row | {"batch": run.batch, "threads": run.threads or "all", "why": run.why})
            notes.append(f"{run.target} was not run: {run.why}")
            continue
        low, high = run.times.quartiles
        share = run.rate / run.peak if run.rate is not None and run.peak else None
        beyond = beyond or (share is not None and share > 1)
        rows.append(
            {
                "network": run.network,
                "target": run.target,
                "provider": run.provider,
                "batch": run.batch,
                "threads": run.threads or "all",
                "median_ms": run.times.median,
                "low_ms": low,
                "high_ms": high,
                "per_second": run.batch / run.times.median * 1000,
                "macs_per_second": run.rate,
                "share_of_peak": share,
                "memory": run.memory,
            }
        )
    if beyond:
        notes.append(BEYOND)
    columns = (*COLUMNS, WHY) if form in ("csv", "json") else COLUMNS
    return Table(columns, rows, notes=[*dict.fromkeys(notes), *said], lead=2)


BEYOND = (
    "above 100% of peak: MACs are those of the spec, of which passes or an algorithm such as Winograd's leave fewer; "
    "or the product of matrices was slow, as while the machine does something else"
)
PARTS = (
    Column("part", "part", wrap=False),
    number("ms", "ms", _milliseconds),
    number("share_of_time", "of time", _percent),
    number("macs", "MACs"),
    number("share_of_macs", "of MACs", _percent),
    number("macs_per_second", "GMAC/s", _giga),
)
OUTSIDE = "(outside of the steps)"


def table_of_parts(graph: Graph, spent: Mapping[str, float], depth: int, batch: int, said: Sequence[str]) -> Table:
    """A row for each part of a network down to a depth of scopes, with its share of the time and of the MACs.

    A part in which no step was seen has no time: it was fused into another, or a profiler does not show it.
    """
    nodes: dict[str, list[Node]] = {}
    for node in graph.nodes.values():
        if node.op != "input":
            nodes.setdefault(part_of(graph, node.path, depth), []).append(node)
    times = dict[str, float | None].fromkeys(nodes)
    for path, measured in spent.items():
        step = step_in(graph, path)
        part = part_of(graph, step, depth) if step else OUTSIDE
        times[part] = (times.get(part) or 0.0) + measured
    macs = {part: totals(held).macs for part, held in nodes.items()}
    all_macs, all_ms = sum(macs.values()), sum(ms for ms in times.values() if ms is not None)
    rows: list[dict[str, Cell]] = []
    for part, ms in times.items():
        count = macs.get(part)
        row: dict[str, Cell] = {"part": part, "ms": ms, "macs": count}
        row["share_of_time"] = ms / all_ms if all_ms and ms is not None else None
        row["share_of_macs"] = count / all_macs if count and all_macs else None
        row["macs_per_second"] = count * batch / ms * 1000 if count and ms else None
        rows.append(row)
    footer: dict[str, Cell] = {"part": "all", "ms": all_ms, "macs": all_macs}
    unseen = ["-: not measured, as what is fused into another step, or what the library's profile does not show"]
    notes = [*said, *(unseen if None in times.values() else [])]
    return Table(PARTS, rows, footer=footer, notes=notes, lead=1)


def step_in(graph: Graph, path: str) -> str:
    """The step or scope of the graph that a measured name means; an output means its step; empty for no step."""
    if path in graph.nodes or path in graph.scopes:
        return path
    return str(graph.outputs[path].ref.node) if path in graph.outputs else ""


def part_of(graph: Graph, path: str, depth: int) -> str:
    """The step, or the scope around it at a depth, that a path belongs to."""
    ends = [i for i, c in enumerate(path) if c == "."]
    return path[: ends[depth - 1]] if len(ends) >= depth else path
