"""Diagnostics as text with the line and a caret, as JSON, or as annotations of GitHub."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Sequence
from typing import IO

from netspec.diagnostics.errors import SHOWN_ERRORS, Diagnostic, more
from netspec.diagnostics.streams import tell
from netspec.diagnostics.text import MAX_MESSAGE, WIDTH, as_text, clip, printable

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
        self.width = shutil.get_terminal_size((WIDTH, 24)).columns if terminal else WIDTH

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
        """As text for the terminal."""
        return as_text(d, self.width, self.style)

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
