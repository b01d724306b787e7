"""What `netspec tune` found, as a table: a row for each change that was tried, and for all that is kept."""

from __future__ import annotations

from collections.abc import Sequence

from netspec.passes.places import Place
from netspec.reports.table import Cell, Column, Table, number
from netspec.running.tune import Ratio, Trial, Tuned

ALL = "all that is kept"


def _places(value: Cell) -> str:
    return f"{value:.3f}" if isinstance(value, float) else ""


COLUMNS = (
    Column("pass", "pass", wrap=False),
    Column("where", "where"),
    number("ratio", "ratio", _places),
    number("noise", "noise", _places),
    number("rounds", "rounds"),
    Column("kept", "kept", wrap=False),
    Column("why", "why", wrap=False),
)


def table_of_tuning(found: Tuned, said: Sequence[str], only: Sequence[str] = ()) -> Table:
    """A row for each trial in the order in which they were made; `said` are notes on how it was measured.

    `only` are the passes that might be tried, empty for all.
    """
    rows = [_row(trial) for trial in found.trials]
    if found.whole is not None:
        whole = found.whole
        seen = "slower" if whole.slower else "within the noise"
        why = "faster" if whole.faster else f"{seen}: nothing is kept"
        rows.append({"pass": ALL, "kept": bool(found.chosen), "why": why, **_ratio(whole)})
    meaning = (
        "ratio: of the latency to that of the network as it was kept up to there, the median of rounds in which both "
        "run; noise: how far it strays from 1 where both are the same network"
    )
    none = f"{' and '.join(only)} changes nothing in this network" if only else ""
    notes = [meaning] if rows else [none or "no pass of which a measurement decides changes this network"]
    return Table(COLUMNS, rows, notes=[*notes, *said], lead=2)


def _row(trial: Trial) -> dict[str, Cell]:
    change = trial.change
    found = "everywhere" if change.everywhere else f"{'' if change.adds else 'without '}{text_of(change.at)}"
    return {"pass": change.name, "where": found, "kept": trial.kept, "why": trial.why, **_ratio(trial.ratio)}


def _ratio(ratio: Ratio | None) -> dict[str, Cell]:
    return {} if ratio is None else {"ratio": ratio.value, "noise": ratio.noise, "rounds": ratio.rounds}


def text_of(at: Sequence[Place]) -> str:
    """Places in a line."""
    return ", ".join(path for place in at for path in place)
