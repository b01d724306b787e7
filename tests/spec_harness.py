"""Specs with expectations in comments: `# E[NS402] text` on the line of a mistake, `# -> 8x4x4` for the output."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from netspec.check.check_file import check_file
from netspec.diagnostics.errors import Diagnostic, Reporter
from netspec.ops.base import show

EXPECTED = re.compile(r"# (E|W)\[(NS\d+)\](?: (.*))?$")
SHAPE = re.compile(r"# -> (\S+)")


@dataclass(frozen=True)
class Outcome:
    """What the compiler said of a spec."""

    found: list[Diagnostic]
    shape: str


def outcome(path: Path) -> Outcome:
    """Checks a file; the shape is that of the first output of its first network."""
    reporter = Reporter()
    networks = check_file(path, reporter)
    shape = ""
    if networks:
        graph = networks[0].inference
        shape = show(graph.shape(next(iter(graph.outputs.values())).ref))
    return Outcome(list(reporter.sorted()), shape)


def verify(path: Path) -> None:
    """Compares what the compiler says with what the comments expect: exactly those diagnostics, at those lines."""
    text = path.read_text(encoding="utf-8")
    expected, shape = [], ""
    for number, line in enumerate(text.split("\n"), 1):
        if found := EXPECTED.search(line):
            expected.append((number, found[2], (found[3] or "").strip()))
        if found := SHAPE.search(line):
            shape = found[1]
    result = outcome(path)
    errors = [d for d in result.found if d.severity == "error" or any(d.code == code for _, code, _ in expected)]
    lines = [(d.span.line if d.span else 0, d.code) for d in errors]
    said = "\n".join(f"{d} | {d.help}" for d in errors)
    assert lines == [(number, code) for number, code, _ in expected], f"{path.name}:\n{text}\n{said}"
    for d, (_, _, piece) in zip(errors, expected, strict=True):
        assert piece in d.message or piece in d.help, f"{path.name}: '{piece}' is not in: {d} | {d.help}"
    if shape:
        assert result.shape == shape, f"{path.name}: {result.shape}"
