"""What a run gave, as text: the largest of a vector of classes, a summary of everything else."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import SupportsFloat

import numpy as np

from netspec.diagnostics.errors import DataError
from netspec.diagnostics.text import clip, one_line, printable
from netspec.running.ports import Value, dims, name_of

TOP, ROWS, FIRST = 5, 4, 6
"""How many classes, images of a batch or elements of a sequence, and values are printed."""

RANKED = ("uint8", "int8", "uint16", "int16")
"""Integers that a quantised classifier gives; wider ones are indices and counts."""


@dataclass(frozen=True, slots=True)
class Style:
    """How rankings are printed."""

    batch: int
    """What the first dimension of a vector of classes is."""
    softmax: bool | None = None
    """None: where the values are not probabilities already."""
    labels: Sequence[str] = ()
    source: str = ""
    """What --labels said; empty for labels that came with the weights, which are used where they fit."""
    top: int = TOP
    """How many classes of each image."""


def check_labels(outputs: Mapping[str, Value], style: Style) -> None:
    """Raises DataError where no output has as many classes as there are labels."""
    counts = {name: rows.shape[1] for name, value in outputs.items() if (rows := classes(value, style)) is not None}
    if style.labels and style.source and len(style.labels) not in counts.values():
        had = ", ".join(f"'{name}' has {count} classes" for name, count in counts.items())
        raise DataError(
            "NS701",
            f"--labels {style.source} has {len(style.labels):,} names, {had or 'no output is a vector of classes'}",
            "one name a line, in the order of the classes" if had else "leave it out",
        )


def show(outputs: Mapping[str, Value], style: Style) -> list[str]:
    """The lines of all outputs; raises DataError where no output has as many classes as there are labels."""
    check_labels(outputs, style)
    lines = []
    for name, value in outputs.items():
        lines.append(f"output {one_line(name)}: {describe(value)}")
        lines += [f"  {line}" for line in _value(value, style)]
    return lines


def describe(value: Value) -> str:
    """Shape and type: `1x1000 float32`, `a sequence of 3`."""
    if value is None:
        return "nothing (an empty optional)"
    if isinstance(value, Mapping):
        return f"a map of {len(value)}"
    if isinstance(value, list):
        return f"a sequence of {len(value)}"
    return f"{dims(value.shape)} {name_of(value.dtype)}"


def classes(value: Value, style: Style) -> np.ndarray | None:
    """A result as rows of classes: (N, C), (N, C, 1, 1), or C alone where there are C labels; else None."""
    if not isinstance(value, np.ndarray) or not (_is_float(value) or value.dtype.name in RANKED):
        return None
    if value.ndim == 1 and len(value) > 1 and len(value) == len(style.labels):
        return value.reshape(1, -1)
    if value.ndim < 2 or value.shape[1] < 2 or value.size != np.prod(value.shape[:2]):
        return None
    if value.shape[0] not in (1, style.batch):  # rows of something else: boxes, tokens
        return None
    return value.reshape(value.shape[:2])


def _value(value: Value, style: Style) -> Iterator[str]:
    if value is None:
        return
    if isinstance(value, Mapping):
        pairs = [f"{_one(k)}: {_one(v)}" for k, v in list(value.items())[:FIRST]]
        yield ", ".join(pairs) + (f", {len(value) - FIRST} more" if len(value) > FIRST else "")
    elif isinstance(value, list):
        for i, item in enumerate(value[:ROWS]):
            yield f"[{i}] {describe(item)}"
            yield from (f"  {line}" for line in _value(item, style))
        if len(value) > ROWS:
            yield f"... {len(value) - ROWS} more"
    elif (rows := classes(value, style)) is not None and len(rows):
        softmax = by_softmax(rows, style)
        for i, row in enumerate(rows[:ROWS]):
            said = _ranking(row, style, softmax)
            yield f"[{i}] {said}" if len(rows) > 1 else said
        if len(rows) > ROWS:
            yield f"... {len(rows) - ROWS} more"
    else:
        yield summary(value)


def _ranking(row: np.ndarray, style: Style, softmax: bool) -> str:
    """`top 5 by softmax: 285 Egyptian cat (0.71), ...`"""
    found = ranked(row, style)
    names = [f"{one.number} {printable(clip(one.label, 60))}" if one.label else f"{one.number}" for one in found]
    said = ", ".join(f"{name} ({one.score(softmax):.4g})" for name, one in zip(names, found, strict=True))
    return f"top {len(found)}{' by softmax' if softmax and np.isfinite(row).all() else ''}: {said}"


@dataclass(frozen=True, slots=True)
class Ranked:
    """A class that is among the most likely ones."""

    number: int
    label: str
    """Empty where nothing names it."""
    value: float
    probability: float
    """By softmax over the vector; the value itself where the vector is not finite."""

    def score(self, softmax: bool) -> float:
        """Its probability, or the value itself."""
        return self.probability if softmax else self.value


def by_softmax(rows: np.ndarray, style: Style) -> bool:
    """Whether the scores of an output are softmax probabilities, for all its vectors alike.

    Unless it is asked for, where some value of a float is not from 0 to 1, as all are of what has a softmax already.
    """
    known = rows[np.isfinite(rows).all(axis=1)]
    beyond = bool(known.size) and not (0 <= known.min() and known.max() <= 1)
    return _is_float(rows) and beyond if style.softmax is None else style.softmax


def ranked(row: np.ndarray, style: Style) -> list[Ranked]:
    """The most likely classes of a vector."""
    values = row.astype(np.float64)
    chances = values
    if np.isfinite(values).all():
        chances = np.exp(values - values.max())
        chances /= chances.sum()
    labels = style.labels if len(style.labels) == len(row) else ()
    largest = map(int, np.argsort(-values, kind="stable")[: style.top])
    return [Ranked(i, labels[i] if labels else "", float(values[i]), float(chances[i])) for i in largest]


def summary(value: np.ndarray) -> str:
    """One line on an array: its least, largest, mean and first values."""
    if not value.size:
        return "empty"
    first = ", ".join(_one(v) for v in value.flat[:FIRST]) + (", ..." if value.size > FIRST else "")
    if value.size == 1:
        return first
    if name_of(value.dtype) == "string":
        return f"first {first}"
    if value.dtype.kind == "b":
        return f"{np.count_nonzero(value):,} of {value.size:,} are true; first {first}"
    if value.dtype.kind == "c":
        return f"first {first}"
    wide = value if value.dtype.kind in "iu" else value.astype(np.float64)
    kept = wide[np.isfinite(wide)]
    odd = f"; {value.size - kept.size:,} not finite" if kept.size < value.size else ""
    if not kept.size:
        return f"first {first}{odd}"
    mean = kept.mean(dtype=np.float64)
    return f"min {_one(kept.min())}, max {_one(kept.max())}, mean {mean:.4g}; first {first}{odd}"


def _one(value: object) -> str:
    """One value."""
    if isinstance(value, (str, bytes)):
        return printable(repr(clip(value if isinstance(value, str) else value.decode("utf-8", "replace"), 60)))
    if isinstance(value, (bool, np.bool_)):
        return "true" if value else "false"
    if isinstance(value, (int, np.integer)):
        return str(int(value))
    if isinstance(value, np.ndarray):
        return _one(value.item()) if value.size == 1 else describe(value)
    if isinstance(value, (complex, np.complexfloating)):
        return f"{value:.4g}"
    assert isinstance(value, SupportsFloat)
    return str(int(float(value))) if "int" in type(value).__name__ else f"{float(value):.4g}"


def finite(value: Value | float) -> bool:
    """Whether a result holds neither infinite values nor NaN."""
    if isinstance(value, Mapping):
        return all(finite(v) for v in value.values())
    if isinstance(value, list):
        return all(finite(v) for v in value)
    if isinstance(value, float):
        return bool(np.isfinite(value))
    if not isinstance(value, np.ndarray) or not (_is_float(value) or value.dtype.kind == "c"):
        return True
    return bool(np.isfinite(value if value.dtype.kind in "fc" else value.astype(np.float32)).all())


def _is_float(value: np.ndarray) -> bool:
    return value.dtype.kind == "f" or "float" in value.dtype.name
