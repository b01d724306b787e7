"""The located YAML tree: scalars, lists and mappings, each with its place."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TypeAlias

from netspec.diagnostics.errors import Span

INT = re.compile(r"[-+]?(0|[1-9][0-9]*)\Z")
FLOAT = re.compile(r"[-+]?((0|[1-9][0-9]*)(\.[0-9]*)?|\.[0-9]+)([eE][-+]?[0-9]+)?\Z")
ScalarValue: TypeAlias = bool | int | float | str | None
Plain: TypeAlias = "ScalarValue | list[Plain] | dict[str, Plain]"
_WORDS: dict[str, bool | None] = {"true": True, "false": False, "null": None, "~": None, "": None}


@dataclass(slots=True, eq=False)
class Scalar:
    """A scalar with its place; `plain` tells `3` from `"3"`."""

    text: str
    plain: bool
    span: Span

    @property
    def value(self) -> ScalarValue:
        """The value by the YAML 1.2 core schema with decimal numbers; a quoted scalar is a string."""
        if not self.plain:
            return self.text
        if self.text in _WORDS:
            return _WORDS[self.text]
        if INT.match(self.text):
            return int(self.text)
        if FLOAT.match(self.text):
            return float(self.text)
        return self.text

    def at(self, start: int, end: int) -> Span:
        """The place of characters of the text: exact in one line without escapes, else the whole scalar."""
        s = self.span
        if s.line != s.end_line:
            return s
        skip = 0 if self.plain else 1
        if s.end_col - s.col != len(self.text) + 2 * skip:
            columns = _columns(s, self.text)
            if columns is None:
                return s
            return Span(
                s.source,
                s.line,
                columns[min(start, len(columns) - 1)],
                s.line,
                columns[min(max(end, start + 1), len(columns) - 1)],
            )
        return Span(s.source, s.line, s.col + skip + start, s.line, s.col + skip + max(end, start + 1))


def _columns(span: Span, text: str) -> list[int] | None:
    """The column of each character of a quoted one-line scalar with escapes, and of its end."""
    written = span.source.line(span.line)[span.col - 1 : span.end_col - 1]
    if len(written) < 2:
        return None
    escape = re.compile(r"''|." if written[0] == "'" else r"\\x..|\\u.{4}|\\U.{8}|\\.|.", re.DOTALL)
    columns = [span.col + m.start() for m in escape.finditer(written, 1, len(written) - 1)]
    columns.append(span.end_col - 1)
    return columns if len(columns) == len(text) + 1 else None


@dataclass(frozen=True, slots=True, eq=False)
class Seq:
    """A list with its place."""

    items: tuple[Tree, ...]
    span: Span


@dataclass(frozen=True, slots=True, eq=False)
class Map:
    """A mapping with its place; keys are strings, each once."""

    entries: tuple[tuple[Scalar, Tree], ...]
    span: Span
    _index: dict[str, Tree] = field(default_factory=dict, init=False, repr=False)

    def get(self, key: str) -> Tree | None:
        """The value of a key, or None."""
        if not self._index:
            self._index.update((k.text, v) for k, v in self.entries)
        return self._index.get(key)

    def keys(self) -> list[str]:
        """The keys in source order."""
        return [k.text for k, _ in self.entries]


Tree: TypeAlias = Scalar | Seq | Map
