"""What papers print beside what was computed, as a table: `netspec check --facts`, and of one step `explain`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from netspec.check.printed import VERDICTS, Held
from netspec.reports.table import Cell, Column, Table, number


def facts_table(held: Sequence[Held]) -> Table:
    """One row for each printed number: what it is of, as printed and as computed, the verdict, where it is printed."""
    columns = (
        Column("row", "row"),
        Column("printed", "printed", right=True, wrap=False),
        number("computed", "computed"),
        Column("verdict", "verdict", wrap=False),
        Column("source", "source"),
        Column("reason", "reason"),
    )
    rows = [_row(one) for one in held]
    return Table(columns, rows, notes=[counts(held)])


def counts(held: Sequence[Held]) -> str:
    """How many printed numbers there are, by verdict."""
    if not held:
        return "no printed numbers"
    found = Counter(one.verdict for one in held)
    by_verdict = ", ".join(f"{found[verdict]} {verdict}" for verdict in VERDICTS if found[verdict])
    return f"{len(held)} printed number{'s' * (len(held) != 1)}: {by_verdict}"


def _row(one: Held) -> dict[str, Cell]:
    return {
        "row": one.row,
        "printed": one.printed,
        "computed": one.computed,
        "verdict": one.verdict,
        "source": one.source,
        "reason": why(one),
    }


def why(one: Held) -> str:
    """What a misprint should be with what shows it, or why a number cannot be reproduced; and how the paper counts."""
    return "; ".join(part for part in (": ".join(part for part in (one.true, one.reason) if part), one.counted) if part)


def of_step(held: Sequence[Held], path: str) -> list[str]:
    """What is printed of a step, a line for each number."""
    lines = []
    for one in held:
        if one.step == path:
            computed = f"{one.computed:,}" if not isinstance(one.computed, str) else one.computed
            said = "; ".join(part for part in (one.source, why(one)) if part)
            lines.append(f"printed: {one.measure} {one.printed}, {one.verdict}: {computed} ({said})")
    return lines
