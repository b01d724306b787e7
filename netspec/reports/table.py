"""A table of results, and its forms: text that fits a terminal, Markdown, LaTeX, HTML, CSV and JSON.

Every command that prints a table makes one of these; what a cell holds is a value, and each form writes it its own way.
"""

from __future__ import annotations

import csv
import io
import json
import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from netspec.optional import importing

Cell: TypeAlias = str | int | float | bool | tuple[int | str, ...] | None
"""A value: a text, a count, a measure, a shape `("N", 64, 56, 56)`, or None where there is nothing to say."""

Form: TypeAlias = Literal["text", "md", "csv", "json", "latex", "html"]
FORMS: tuple[Form, ...] = ("text", "md", "csv", "json", "latex", "html")
SUFFIXES: Mapping[Form, tuple[str, ...]] = {
    "md": (".md", ".markdown"),
    "csv": (".csv",),
    "json": (".json",),
    "latex": (".tex",),
    "html": (".html", ".htm"),
}
"""The suffixes of a file in each form; a text may have any."""


@dataclass(frozen=True, slots=True)
class Column:
    """What a column is called, by key in CSV and JSON and by title for people, and how its values are shown to them."""

    key: str
    title: str
    right: bool = False
    """Whether it is aligned on the right, as numbers are."""
    text: Callable[[Cell], str] | None = None
    """How people read a value; None for the rule of its type."""
    wrap: bool = True
    """Whether its texts may be broken over lines where a terminal is narrow."""


def shown(value: Cell) -> str:
    """A value as people read it: 6,998,552, 64x56x56, 0.113, yes; nothing for None."""
    match value:
        case None:
            return ""
        case bool():
            return "yes" if value else "no"
        case int():
            return f"{value:,}"
        case float():
            return digits(value)
        case tuple():
            return "x".join(map(str, value))
        case _:
            return value


def digits(value: float, count: int = 3) -> str:
    """A measure to so many significant digits, without an exponent: 0.113, 2.58, 1,580."""
    if value == 0 or not math.isfinite(value):
        return f"{value:g}"
    places = max(0, count - 1 - math.floor(math.log10(abs(value))))
    return f"{value:,.{places}f}"


def number(key: str, title: str, text: Callable[[Cell], str] | None = None) -> Column:
    """A column of numbers."""
    return Column(key, title, right=True, text=text, wrap=False)


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of values below columns; a last row of sums, and what is said below, where there are any."""

    columns: Sequence[Column]
    rows: Sequence[Mapping[str, Cell]]
    title: str = ""
    footer: Mapping[str, Cell] = field(default_factory=dict)
    notes: Sequence[str] = ()
    data: object = None
    """What JSON has in place of the list of rows; None for that list."""

    def render(self, form: Form = "text", width: int | None = None, color: bool = False) -> str:
        """The table in one of the forms; `width` is a terminal's, which a text fits."""
        if form == "text":
            return self._text(width, color)
        return {"md": self._markdown, "csv": self._csv, "json": self._json, "latex": self._latex, "html": self._html}[
            form
        ]()

    def cells(self, row: Mapping[str, Cell]) -> list[str]:
        """A row as people read it."""
        return [(c.text or shown)(row.get(c.key)) for c in self.columns]

    def _lines(self) -> list[list[str]]:
        return [self.cells(row) for row in (*self.rows, *([self.footer] if self.footer else ()))]

    def _csv(self) -> str:
        out = io.StringIO()
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow([c.key for c in self.columns])
        for row in self.rows:
            values = (row.get(c.key) for c in self.columns)
            writer.writerow(["x".join(map(str, v)) if isinstance(v, tuple) else v for v in values])
        return out.getvalue()

    def _json(self) -> str:
        rows = [{c.key: row.get(c.key) for c in self.columns} for row in self.rows]
        return json.dumps(rows if self.data is None else self.data, indent=1)

    def _text(self, width: int | None, color: bool) -> str:
        """Lines as wide as they need to be, or folded to a width."""
        from rich import box
        from rich.console import Console
        from rich.table import Table as RichTable

        table = RichTable(
            title=self.title or None, box=box.SIMPLE_HEAD, title_justify="left", show_footer=bool(self.footer)
        )
        sums = self.cells(self.footer) if self.footer else [""] * len(self.columns)
        for column, total in zip(self.columns, sums, strict=True):
            table.add_column(
                column.title,
                justify="right" if column.right else "left",
                footer=total,
                overflow="fold",
                no_wrap=not column.wrap or width is None,
            )
        lines = [self.cells(row) for row in self.rows]
        for line in lines:
            table.add_row(*line)
        natural = sum(max((len(line[i]) for line in (*lines, sums)), default=0) + 4 for i in range(len(self.columns)))
        out = io.StringIO()
        console = Console(
            file=out,
            force_terminal=color,
            no_color=not color,
            width=width or natural + sum(len(c.title) for c in self.columns) + len(self.title) + 8,
            highlight=False,
            markup=False,
            emoji=False,
        )
        console.print(table)
        lines_of_text = [line.rstrip() for line in out.getvalue().splitlines()]
        return "\n".join([*lines_of_text[not self.title :], *self.notes])

    def _tabulated(self, kind: str, cell: Callable[[str], str]) -> str:
        """The table in a format of the library `tabulate`, of cells that are escaped here or there."""
        with importing(f"a table as {kind}", "tabulate"):
            from tabulate import tabulate

        return tabulate(
            [[cell(text) for text in line] for line in self._lines()],
            [cell(c.title) for c in self.columns],
            tablefmt=kind,
            disable_numparse=True,
            colalign=["right" if c.right else "left" for c in self.columns] if self.rows or self.footer else None,
        )

    def _markdown(self) -> str:
        head = [f"**{_markdown_cell(self.title)}**", ""] if self.title else []
        notes = ["", *map(_markdown_cell, self.notes)] if self.notes else []
        return "\n".join([*head, self._tabulated("pipe", _markdown_cell), *notes])

    def _latex(self) -> str:
        return self._tabulated("latex_booktabs", str)

    def _html(self) -> str:
        return self._tabulated("html", str)


_MARKUP = re.compile(r"[\\&`*\[\]<>|#~]|(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])")


def _markdown_cell(text: str) -> str:
    """A text that Markdown shows as it is written: no mark-up, no cell that ends early."""
    return " ".join(_MARKUP.sub(r"\\\g<0>", text).split())
