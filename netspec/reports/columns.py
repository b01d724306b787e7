"""Columns of measures, and the choice of columns by name, for tables that have more of them than they show."""

from __future__ import annotations

from collections.abc import Sequence

from netspec.analysis.measures import MEASURES
from netspec.analysis.receptive_field import WHOLE_INPUT
from netspec.diagnostics.errors import UsageError
from netspec.reports.table import Cell, Column, digits, number, shown
from netspec.syntax.common_mistakes import meant_column

_TITLES = {"macs": "MACs", "params": "params", "receptive_field": "field", "intensity": "FLOP/B"}


def named_columns(asked: str, known: Sequence[str], usual: Sequence[str], of: str) -> list[str]:
    """The columns of `--columns NAMES`, after the usual ones where the list begins with +; raises UsageError."""
    names = [name.strip() for name in asked.removeprefix("+").split(",") if name.strip()]
    for name in names:
        if name not in known:
            near = meant_column(name, known)
            help_ = f"did you mean '{near}'?" if near else f"there are {', '.join(known)}"
            raise UsageError(f"{of} has no column '{name[:80]}'", help_)
    if not names:
        raise UsageError("--columns names no column", f"there are {', '.join(known)}")
    return list(dict.fromkeys([*(usual if asked.startswith("+") else ()), *names]))


def measure_title(name: str) -> str:
    """What a measure is called above its column, with the unit in which it is shown."""
    title = _TITLES.get(name, MEASURES[name].title)
    return f"{title} (MiB)" if MEASURES[name].unit == "B" else title


def measure_column(name: str) -> Column:
    """A column of a measure: bytes are shown in MiB, and nothing where it is 0, as most are of most steps."""
    if MEASURES[name].unit == "B":
        return number(name, measure_title(name), _mebibytes)
    return number(name, measure_title(name), {"macs": _uncounted, "receptive_field": _whole}.get(name, _count))


def notes_of(names: Sequence[str], more: str = "") -> list[str]:
    """What the measures among some columns are; `more` goes with how MACs and parameters are counted."""
    counted = "; ".join(text for name, text in _COUNTED.items() if name in names)
    notes = [" ".join(filter(None, [f"{counted[0].upper()}{counted[1:]}.", more]))] if counted else []
    return notes + [_definition(name) for name in names if name in MEASURES and name not in _COUNTED]


_COUNTED = {
    "macs": "MACs are multiply-accumulates of convolution and linear layers at batch 1, without bias",
    "params": "parameters include biases and the affine part of norms",
}


def _definition(name: str) -> str:
    """What a measure is, in a line."""
    return f"{measure_title(name)}: {MEASURES[name].doc.splitlines()[0]}"


def _count(value: Cell) -> str:
    return shown(value) if value else ""


def _uncounted(value: Cell) -> str:
    return "uncounted" if value is None else _count(value)


def _whole(value: Cell) -> str:
    return WHOLE_INPUT if value is None else _count(value)


def _mebibytes(value: Cell) -> str:
    return digits(value / 2**20) if isinstance(value, int) and value else ""
