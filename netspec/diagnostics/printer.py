"""Diagnostics as text with the line and a caret, as JSON, or as annotations of GitHub."""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
import unicodedata
from collections.abc import Sequence
from typing import IO

from netspec.diagnostics.errors import SHOWN_ERRORS, Diagnostic, Frame, Span, more
from netspec.diagnostics.streams import tell

MAX_MESSAGE = 2000
MAX_FRAMES = 4
_STYLES = {"error": "1;31", "warning": "1;33", "note": "1;36", "place": "1", "gutter": "34", "help": "36"}


class Printer:
    """Prints diagnostics to a stream; `color` is auto, always or never."""

    def __init__(
        self, format: str = "text", color: str = "auto", stream: IO[str] | None = None, most: int = SHOWN_ERRORS
    ) -> None:
        self.format, self.most = format, most
        self.stream = stream or sys.stderr
        terminal = self.stream.isatty()
        self.color = color == "always" or (color == "auto" and terminal and not os.environ.get("NO_COLOR"))
        self.width = shutil.get_terminal_size((120, 24)).columns if terminal else 120

    def print(self, found: Sequence[Diagnostic], stopped: bool = False) -> None:
        """Prints errors and warnings in their order, `most` of them, errors first, and how many are left.

        `stopped` says that there may be more, which were not looked for.
        """
        shown = list(found)
        if len(shown) > self.most:
            kept = set(sorted(range(len(found)), key=lambda i: found[i].severity != "error")[: self.most])
            shown = [d for i, d in enumerate(found) if i in kept]
        rest = more(len(found), len(shown), stopped)
        if rest and self.format != "text":
            shown.append(Diagnostic("", rest, severity="note"))
        if self.format == "json":
            self.write(json.dumps([as_json(d) for d in shown], indent=2))
        for d in shown if self.format != "json" else ():
            self.write(self.github(d) if self.format == "github" else self.text(d))
        if rest and self.format == "text":
            self.write(rest)

    def write(self, text: str) -> None:
        """Writes a line; characters that the stream cannot hold are escaped."""
        tell(text, self.stream)

    def style(self, name: str, text: str) -> str:
        return f"\x1b[{_STYLES[name]}m{text}\x1b[0m" if self.color else text

    def text(self, d: Diagnostic) -> str:
        """`file:line:col: error[NS402]: ...` with the line, the calls that led there, and help."""
        where = f"{self.style('place', one_line(str(d.span)))}: " if d.span else ""
        message = clip(logged(d.message[: 2 * MAX_MESSAGE]), MAX_MESSAGE)
        lines = [f"{where}{self.style(d.severity, f'{d.severity}[{d.code}]')}: {message}"]
        if d.span is not None:
            lines += self.excerpt(d.span)
        lines += [f"   {line}" for line in calls(d.trace)]
        if d.help:
            lines.append(f"   {self.style('help', 'help')}: {clip(logged(d.help[: 2 * MAX_MESSAGE]), MAX_MESSAGE)}")
        return "\n".join(lines)

    def excerpt(self, span: Span) -> list[str]:
        """The line of the file, with carets below the place."""
        line = span.source.line(span.line)
        if not line.strip():
            return []
        gutter = " " * len(str(span.line))
        end = span.end_col if span.end_line == span.line else len(line) + 1
        start, width = 0, max(20, self.width - len(gutter) - 6)
        if span.col > width - 10:
            start = span.col - width // 2
        shown = logged("|" + line[start : start + width].replace("\t", " "))[1:]
        before = _columns(line[start : span.col - 1])
        carets = max(1, min(_columns(line[span.col - 1 : min(end - 1, span.col + width)]), width - before))
        bar = self.style("gutter", "|")
        return [
            f"{gutter} {bar}",
            f"{self.style('gutter', str(span.line))} {bar} {shown}",
            f"{gutter} {bar} {' ' * before}{self.style('error', '^' * carets)}",
        ]

    def github(self, d: Diagnostic) -> str:
        """A workflow command, which GitHub shows at the line."""

        def escape(text: str, more: str = "") -> str:
            for char in "%\r\n" + more:
                text = text.replace(char, f"%{ord(char):02X}")
            return text

        place = (
            f" file={escape(d.span.file, ':,')},line={d.span.line},col={d.span.col},title={d.code}"
            if d.span
            else f" title={d.code}"
        )
        text = d.message + (f"\nhelp: {d.help}" if d.help else "")
        command = "notice" if d.severity == "note" else d.severity
        return f"::{command}{place}::{escape(clip(printable(text), MAX_MESSAGE))}"


def calls(trace: Sequence[Frame]) -> list[str]:
    """`in bottleneck, called at specs/resnet.yaml:52:9 as layer1.0`; a long way is shortened in its middle."""
    lines = [f"in {f.block}, called at {one_line(str(f.span))}" + (f" as {f.path}" if f.path else "") for f in trace]
    if len(lines) > 2 * MAX_FRAMES:
        lines[MAX_FRAMES:-MAX_FRAMES] = [f"... {len(lines) - 2 * MAX_FRAMES} calls more"]
    return lines


def as_json(d: Diagnostic) -> dict[str, object]:
    """A diagnostic as JSON."""
    span = d.span
    place = (
        {
            "file": span.file,
            "line": span.line,
            "column": span.col,
            "end_line": span.end_line,
            "end_column": span.end_col,
        }
        if span
        else {}
    )
    return {
        "code": d.code,
        "severity": d.severity,
        "message": clip(d.message, MAX_MESSAGE),
        **place,
        "help": d.help,
        "trace": [
            {"block": f.block, "path": f.path, "file": f.span.file, "line": f.span.line, "column": f.span.col}
            for f in d.trace
        ],
    }


def one_line(text: str) -> str:
    """The text for a place within a line, line breaks escaped too: the name of a file may hold them."""
    return logged(printable(text).replace("\n", "\\n"))


def printable(text: str) -> str:
    """The text with control characters escaped, so that a file cannot drive the terminal."""

    def escaped(found: re.Match[str]) -> str:
        return "".join(repr(c)[1:-1] if unicodedata.category(c).startswith("C") else c for c in found[0])

    return re.sub(r"[^\n\x20-\x7e]+", escaped, text)


def logged(text: str) -> str:
    """The text, printable, without commands of GitHub's logs: `##[` anywhere, `::` at the beginning of a line."""
    return re.sub(r"^([^\S\n]*)(?=::)|(?<=##)(?=\[)", r"\g<1>\\", printable(text), flags=re.MULTILINE)


def clip(text: str, limit: int) -> str:
    """The text, cut where it is too long."""
    return text if len(text) <= limit else text[: limit - 3] + "..."


def _columns(text: str) -> int:
    """The width of a text on the terminal."""
    return sum(2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)
