"""An error or warning as text: its line with a caret, the calls that led there, and help."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Sequence

from netspec.diagnostics.diagnostic import Diagnostic, Frame, Span

MAX_MESSAGE = 2000
MAX_FRAMES = 4
WIDTH = 120


def plain(name: str, text: str) -> str:
    """A text without a style."""
    return text


def counted(number: int, noun: str) -> str:
    """A number of things: 1 image, 2 images, 1,000 images."""
    return f"{number:,} {noun}{'s' * (number != 1)}"


def as_text(d: Diagnostic, width: int = WIDTH, style: Callable[[str, str], str] = plain) -> str:
    """`file:line:col: error[NS402]: ...` with the line, the calls that led there, and help."""
    where = f"{style('place', one_line(str(d.span)))}: " if d.span else ""
    message = clip(logged(d.message[: 2 * MAX_MESSAGE]), MAX_MESSAGE)
    lines = [f"{where}{style(d.severity, f'{d.severity}[{d.code}]')}: {message}"]
    if d.span is not None:
        lines += excerpt(d.span, width, style)
    lines += [f"   {line}" for line in calls(d.trace)]
    if d.help:
        lines.append(f"   {style('help', 'help')}: {clip(logged(d.help[: 2 * MAX_MESSAGE]), MAX_MESSAGE)}")
    return "\n".join(lines)


def excerpt(span: Span, width: int, style: Callable[[str, str], str]) -> list[str]:
    """The line of the file, with carets below the place."""
    line = span.source.line(span.line)
    if not line.strip():
        return []
    gutter = " " * len(str(span.line))
    end = span.end_col if span.end_line == span.line else len(line) + 1
    start, width = 0, max(20, width - len(gutter) - 6)
    if span.col > width - 10:
        start = span.col - width // 2
    shown = logged("|" + line[start : start + width].replace("\t", " "))[1:]
    before = _columns(line[start : span.col - 1])
    carets = max(1, min(_columns(line[span.col - 1 : min(end - 1, span.col + width)]), width - before))
    bar = style("gutter", "|")
    return [
        f"{gutter} {bar}",
        f"{style('gutter', str(span.line))} {bar} {shown}",
        f"{gutter} {bar} {' ' * before}{style('error', '^' * carets)}",
    ]


def calls(trace: Sequence[Frame]) -> list[str]:
    """`in bottleneck, called at specs/resnet.yaml:52:9 as layer1.0`; a long way is shortened in its middle."""
    lines = [f"in {f.block}, called at {one_line(str(f.span))}" + (f" as {f.path}" if f.path else "") for f in trace]
    if len(lines) > 2 * MAX_FRAMES:
        lines[MAX_FRAMES:-MAX_FRAMES] = [f"... {len(lines) - 2 * MAX_FRAMES} calls more"]
    return lines


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
