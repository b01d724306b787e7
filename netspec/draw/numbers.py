"""Numbers of any meaning by path, out of a file, that colour a picture: measured times, sparsities, errors."""

from __future__ import annotations

import csv
import io
import json
import math
import sys
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from netspec.diagnostics.errors import DataError, UsageError, did_you_mean
from netspec.files.pipes import check_file, is_read
from netspec.ir.graph import Graph
from netspec.ir.selection import step_help

HEATS = ("params", "macs", "rf", "activations")
"""What of a graph boxes may be coloured by."""
SUFFIXES = (".json", ".csv")
FORM = "such a file is JSON, {PATH: NUMBER}, or CSV, a line PATH,NUMBER for each step"
LARGEST = 64 * 2**20
"""Bytes of a file of numbers."""


@dataclass(frozen=True, slots=True)
class Numbers:
    """Numbers by the path of a step, or of a scope: that of a scope counts where all of it is one box."""

    source: str
    by_path: Mapping[str, float] = field(hash=False)

    def of(self, paths: Collection[str], scopes: Mapping[str, frozenset[str]]) -> float:
        """The sum of what lies within some steps, by the steps that each scope of the numbers has."""
        inside = set(paths)
        steps = sum(self.by_path.get(path, 0.0) for path in inside)
        return steps + sum(self.by_path[scope] for scope, held in scopes.items() if held <= inside)

    def scopes(self, graph: Graph) -> dict[str, frozenset[str]]:
        """The steps in each scope that has a number; raises DataError for a path that the graph does not have."""
        found: dict[str, frozenset[str]] = {}
        for path in self.by_path:
            if path in graph.nodes:
                continue
            held = frozenset(str(node) for node in graph.nodes if node.startswith(f"{path}."))
            if not held:
                message = f"{self.source} has a number for '{path[:80]}', and '{graph.name}' has no such step"
                raise DataError("NS701", message, step_help(path[:200], graph))
            found[path] = held
        return found


def heat_of(text: str) -> tuple[str, Numbers | None]:
    """What boxes are coloured by, one of HEATS or `numbers`, and those of a file; raises UsageError, DataError."""
    if text in HEATS:
        return text, None
    if text.lower().endswith(SUFFIXES):
        check_file(text)
        return "numbers", read_numbers(Path(text))
    raise UsageError(
        f"there is no '{text}' to colour by",
        did_you_mean(text, HEATS, f"known: {', '.join(HEATS)}, or a {' or '.join(SUFFIXES)} file"),
    )


def read_numbers(path: Path) -> Numbers:
    """Reads JSON, `{"3a.conv": 1.5}`, or CSV, lines `3a.conv,1.5`; raises UsageError, DataError.

    In CSV the first column is the path and the second the number; a first line without a number is a heading, an empty
    cell is not a number, and what stands in parentheses is of no step.
    """
    try:
        is_read(path)
        if path.stat().st_size > LARGEST:
            raise DataError("NS701", f"{path} has more than {LARGEST >> 20} MB, too many for numbers by path", FORM)
        text = path.read_text(encoding="utf-8-sig")
    except OSError as e:
        raise UsageError(f"{path} cannot be read: {e.strerror}") from None
    except UnicodeDecodeError:
        raise DataError("NS701", f"{path} is not a text in UTF-8", FORM) from None
    pairs = _of_json(path, text) if text.lstrip()[:1] in ("{", "[") else _of_csv(path, text)
    found: dict[str, float] = {}
    for name, value in pairs:
        if not math.isfinite(value) or value < 0:
            raise DataError(
                "NS701",
                f"{path}: the number of '{name[:80]}' is {value:g}, expected one from 0 on",
                "leave the step out where it has none",
            )
        if name in found:
            raise DataError("NS701", f"{path} has two numbers for '{name[:80]}'", "leave out one of the two")
        found[name] = value
    if not found:
        raise DataError("NS701", f"{path} has no numbers", 'write {"PATH": NUMBER, ...}, or lines PATH,NUMBER')
    return Numbers(path.name, found)


def _of_json(path: Path, text: str) -> Iterator[tuple[str, float]]:
    try:
        loaded = json.loads(text, object_pairs_hook=lambda pairs: pairs)
    except (ValueError, RecursionError) as e:
        raise DataError("NS701", f"{path} is not JSON: {str(e)[:200]}", FORM) from None
    if not text.lstrip().startswith("{"):
        raise DataError("NS701", f"{path} is a list, expected a mapping of numbers by path", FORM)
    for name, value in loaded:
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise DataError("NS701", f"{path}: the value of '{name[:80]}' is not a number", FORM)
        yield name, _float(path, name, value)


def _of_csv(path: Path, text: str) -> Iterator[tuple[str, float]]:
    for line, row in enumerate(csv.reader(io.StringIO(text)), 1):
        if not row or row[0].startswith("("):
            continue
        if len(row) < 2:
            raise DataError("NS701", f"{path}:{line}: expected PATH,NUMBER, got '{row[0][:80]}'", FORM)
        if not row[1].strip():  # of a step that was not measured, as bench writes one that a library fused with another
            continue
        try:
            yield row[0], float(row[1])
        except ValueError:
            if line > 1:
                raise DataError("NS701", f"{path}:{line}: '{row[1][:80]}' is not a number", FORM) from None


def _float(path: Path, name: str, value: int | float) -> float:
    try:
        return float(value)
    except OverflowError:
        raise DataError(
            "NS701", f"{path}: the number of '{name[:80]}' is too large", f"the largest is {sys.float_info.max:g}"
        ) from None
