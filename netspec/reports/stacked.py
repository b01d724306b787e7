"""A cell of several lines, as the papers stack layers in their tables, and how each form of a table writes it."""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

_SIGN = re.compile(
    r"(?P<name>(?<!\S)[^\s_]*_\S*)|(?P<times>(?:(?<=\d)|(?<=\b[A-Z]))x(?=\d)|(?<!\S)x(?= \d))|(?<=\d)\^(?P<power>-?\d+)"
)
"""The sign in `3x3`, `Nx64x7x7` and ` x 4`, and the exponent in `3.6x10^9`; none in a name, `resnext50_32x4d`."""


def signed(text: str, escape: Callable[[str], str], times: str, power: tuple[str, str]) -> str:
    """A text with the sign of multiplication of some mark-up, exponents between its two marks, and all else escaped."""
    parts, end = [], 0
    for found in _SIGN.finditer(text):
        sign = times if found["times"] else escape(found[0])
        parts += [escape(text[end : found.start()]), found["power"].join(power) if found["power"] else sign]
        end = found.end()
    return "".join([*parts, escape(text[end:])])


@dataclass(frozen=True, slots=True)
class Part:
    """A line of a cell; or several in brackets, and what stands after these: `[1x1, 64; 3x3, 64] x 3`."""

    lines: tuple[str, ...]
    after: str = ""

    @property
    def bracketed(self) -> bool:
        """Whether brackets hold its lines together."""
        return len(self.lines) > 1 or bool(self.after)

    def line(self) -> str:
        """All of it in one line."""
        inside = "; ".join(self.lines)
        return f"[{inside}]{self.after}" if self.bracketed else f"{inside}{self.after}"

    def stacked(self) -> list[str]:
        """Its lines one below the other, in tall brackets."""
        if len(self.lines) < 2:
            return [self.line()]
        width, last = max(map(len, self.lines)), len(self.lines) - 1
        edges = [("\u23a1", "\u23a4"), *[("\u23a2", "\u23a5")] * (last - 1), ("\u23a3", "\u23a6")]
        lines = [f"{left}{line:<{width}}{right}" for (left, right), line in zip(edges, self.lines, strict=True)]
        lines[last // 2] += self.after
        return lines


@dataclass(frozen=True, slots=True)
class Stacked:
    """The lines and brackets of a cell, from top to bottom."""

    parts: tuple[Part, ...]

    def __str__(self) -> str:
        return "; ".join(part.line() for part in self.parts)

    def stacked(self) -> list[str]:
        """As a terminal has it that is too narrow for one line."""
        return [line for part in self.parts for line in part.stacked()]


def stacked_markdown(cell: Stacked, escape: Callable[[str], str]) -> str:
    """A cell whose lines are broken by `<br>`, the one mark-up that a cell of Markdown has for it."""
    return "<br>".join(
        f"{escape('[')}{'<br>'.join(map(escape, p.lines))}{escape(']' + p.after)}" if p.bracketed else escape(p.line())
        for p in cell.parts
    )


_BRACKET = "display:inline-block;vertical-align:middle;border:solid;border-width:0 1px;border-radius:6px;padding:0 6px"


def stacked_html(cell: Stacked) -> str:
    """A cell whose brackets are the edges of a box."""
    return "<br>".join(
        f'<span style="{_BRACKET}">{_rows_of_html(p.lines)}</span>{_rows_of_html([p.after])}'
        if p.bracketed
        else _rows_of_html([p.line()])
        for p in cell.parts
    )


def _rows_of_html(lines: Sequence[str]) -> str:
    return "<br>".join(map(html_text, lines))


def html_text(text: str) -> str:
    """A text without mark-up of its own, with the sign of multiplication and exponents where papers have them."""
    return signed(text, html.escape, "\u00d7", ("<sup>", "</sup>"))
