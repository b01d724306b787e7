"""What comparisons of targets gave, as a table: a row for each output, and the step where a difference begins."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from netspec.diagnostics.errors import Span
from netspec.ir.graph import Graph
from netspec.reports.table import Cell, Column, Form, Table, number
from netspec.running.own_errors import ROUNDS
from netspec.running.verify import Culprit, Verdict


@dataclass(frozen=True, slots=True)
class NotRun:
    """A comparison that was not made, and why."""

    a: str
    b: str
    why: str


def _tolerance(value: Cell) -> str:
    return f"{value:g}" if isinstance(value, float) else ""


COLUMNS = (
    Column("a", "", wrap=False),
    Column("b", "against", wrap=False),
    Column("output", "output"),
    Column("result", "", wrap=False),
    number("absolute", "absolute"),
    number("relative", "relative"),
    number("tolerance", "tolerance", _tolerance),
    number("compared", "values"),
    number("of", "of"),
)
OF_STEP = (
    Column("step", "first step that differs"),
    Column("op", "op"),
    Column("place", "place"),
    Column("called_at", "called at"),
    number("step_absolute", "absolute"),
    number("step_relative", "relative"),
    number("entering", "entering"),
    number("own", "by itself"),
    Column("why", "why"),
)
NOTE = Column("note", "note")
"""What other forms say below the table, of a row."""
SATURATES = "was calibrated: inputs beyond its ranges saturate, as random ones may"


def table_of_verdicts(
    verdicts: Sequence[Verdict | NotRun], graph: Graph, said: Sequence[str], form: Form, saturating: Sequence[str] = ()
) -> Table:
    """The table; as text the steps are notes below it, else columns, and where no notes stand below it those too.

    `said` are notes on weights and inputs; `saturating` are what was calibrated with inputs other than these.
    """
    rows, notes = list[dict[str, Cell]](), list[str]()
    for verdict in verdicts:
        if isinstance(verdict, NotRun):
            rows.append({"a": verdict.a, "b": verdict.b, "result": "not run", "why": verdict.why})
            notes.append(f"{verdict.b} was not run: {verdict.why}")
            continue
        rows += _rows(verdict, graph, [f"{name} {SATURATES}" for name in saturating if name in (verdict.a, verdict.b)])
        notes += _notes(verdict, graph)
    if any(isinstance(verdict, Verdict) and verdict.noisy for verdict in verdicts):
        notes.append("of int8 relative is rms(a - b) / rms(a), of root mean squares: 0.1 is a signal to noise of 20 dB")
    meaning = (
        "absolute: max|a - b|; relative: max|a - b| / max|a|, which is to be within the tolerance; "
        "values: of those between the steps, so many were compared."
    )
    if saturating:
        given = "`--calibrate FOLDER|FILE.npz` gives those that it was calibrated with"
        said = [*said, f"{', '.join(saturating)} {SATURATES}; {given}"]
    columns = COLUMNS if form == "text" else (*COLUMNS, *OF_STEP)
    columns = (*columns, NOTE) if form in ("csv", "json") else columns
    return Table(columns, rows, notes=[*notes, meaning, *said], lead=3)


def _rows(verdict: Verdict, graph: Graph, more: Sequence[str]) -> list[dict[str, Cell]]:
    """A row for each output; `more` is said of all of them."""
    rows = list[dict[str, Cell]]()
    culprit = verdict.culprit
    for name, found in verdict.outputs.items():
        differs = verdict.exceeds(name)
        row: dict[str, Cell] = {"a": verdict.a, "b": verdict.b, "output": name, "why": found.why or None}
        below = culprit is not None and culprit.node.path in graph.above([graph.outputs[name].ref.node])
        row |= {
            "result": "differs" if differs else "differs inside" if below else "same",
            "tolerance": verdict.allowed(name),
        }
        row["note"] = "; ".join([*_little(verdict, name), *_rounded(verdict, name), *_grown(verdict), *more]) or None
        row |= {"absolute": found.absolute, "relative": found.relative}
        if verdict.compared:
            row |= {"compared": verdict.compared, "of": verdict.of}
        if culprit is not None and below:
            row |= _step(culprit, graph)
        rows.append(row)
    return rows


def _little(verdict: Verdict, name: str) -> list[str]:
    """That agreement of an output says little, where it does."""
    return [f"{verdict.weak[name]}: that they agree says little"] if name in verdict.weak else []


def _rounded(verdict: Verdict, name: str) -> list[str]:
    """That an output may differ by more than the tolerance, where rounding decides."""
    rounding = verdict.roundings.get(name, 0.0)
    if verdict.allowed(name) <= verdict.tolerance:
        return []
    return [f"PyTorch's own float32 is {rounding:.2g} off float64 in {name}: up to {ROUNDS} times that is rounding"]


def _grown(verdict: Verdict) -> list[str]:
    """What is beyond the tolerance and is of no step: rounding, or noise, which has grown on its way."""
    if not verdict.grown:
        return []
    first, most = verdict.grown[0][0], max(d.relative for _, d in verdict.grown)
    many = f"{len(verdict.grown):,} value{'s' * (len(verdict.grown) > 1)} between the steps"
    where = f"{many}, the first at {first}, {'is' if len(verdict.grown) == 1 else 'are'} off by up to {most:.2g}"
    kind = "noise" if verdict.noisy else "rounding"
    return [f"{where}, and no step by itself, given what enters it: {kind} that has grown"]


def _step(culprit: Culprit, graph: Graph) -> dict[str, Cell]:
    node = culprit.node
    return {
        "step": str(node.path),
        "op": node.op,
        "place": place(node.span),
        "called_at": ", ".join(calls(graph, node.path)) or None,
        "step_absolute": culprit.difference.absolute,
        "step_relative": culprit.difference.relative,
        "entering": culprit.entering,
        "own": culprit.own.error.relative if culprit.own is not None else None,
    }


def _notes(verdict: Verdict, graph: Graph) -> list[str]:
    said = [text for name in verdict.outputs for text in (*_little(verdict, name), *_rounded(verdict, name))]
    found = [f"{verdict.a} against {verdict.b}: {text}" for text in (*said, *_grown(verdict))]
    seen = f"{verdict.compared:,} of {verdict.of:,} values were compared"
    if not verdict.differs:
        return found
    if verdict.culprit is None and verdict.grown:
        return [*found, f"{verdict.b}: no step is named; {seen}"]
    if verdict.culprit is None:
        why = "the inputs or outputs are in another order, or what a runtime fuses differs"
        if not verdict.compared:
            why = "none has the name of a step, so only outputs were"
        return [*found, f"{verdict.b}: no value between the steps differs; {seen}: {why}"]
    node, by = verdict.culprit.node, verdict.culprit.difference
    above = f", called at {', '.join(at)}" if (at := calls(graph, node.path)) else ""
    amount = by.why or f"absolute error {by.absolute:.3g}, relative {by.relative:.3g}"
    found.append(f"{verdict.b} first differs at {node.path} ({node.op}), {place(node.span)}{above}")
    own = verdict.culprit.own
    alone = f", {own.error.relative:.3g} by itself, in {verdict.culprit.side}" if own is not None else ""
    found.append(f"  {amount}{alone}; what enters it is within {verdict.culprit.entering:.2g}; {seen}")
    if verdict.culprit.unseen:
        shown = [*verdict.culprit.unseen]
        listed = ", ".join(shown[-6:])
        found.append(f"  or at a step before it that has no value to compare: {listed}{' and more' * (len(shown) > 6)}")
    return found


def place(span: Span | None) -> str:
    """The file and line of a step."""
    return f"{span.file}:{span.line}" if span is not None else "(no place)"


def calls(graph: Graph, path: str) -> list[str]:
    """Where the blocks that hold a step are called, from the network inwards, each line once."""
    found = [path[:i] for i, c in enumerate(path) if c == "."]
    scopes = [graph.scopes[p] for p in found if p in graph.scopes]
    return list(dict.fromkeys(place(s.span) for s in scopes if s.kind == "block" and s.span is not None))
