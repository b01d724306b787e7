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
from dataclasses import dataclass, field, replace
from itertools import zip_longest
from textwrap import wrap
from typing import TYPE_CHECKING, Literal, TypeAlias

from netspec.diagnostics.text import printable
from netspec.optional import importing
from netspec.reports.latex import LatexColumn, latex_table, latex_text, stacked_latex
from netspec.reports.stacked import (
    Stacked,
    html_text,
    stacked_html,
    stacked_markdown,
)
from netspec.reports.text import Printer

if TYPE_CHECKING:
    from pandas import DataFrame

Cell: TypeAlias = str | int | float | bool | tuple[int | str, ...] | Stacked | None
"""A value: a text, a count, a measure, a shape `("N", 64, 56, 56)`, lines, or None where there is nothing to say."""

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


FOLDED = 19
"""How narrow a column of texts may become, with its padding."""


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
        case Stacked():
            return str(value)
        case _:
            return value


def digits(value: float, count: int = 3) -> str:
    """A measure to so many significant digits: 0.113, 2.58, 1,583; very small and very large ones with an exponent."""
    if value == 0 or not math.isfinite(value):
        return f"{value:g}"
    rounded = f"{value:.{count - 1}e}"  # 9.996 has the exponent of 10.0
    exponent = int(rounded.partition("e")[2])
    if not -6 <= exponent < 15:
        return rounded
    places = max(0, count - 1 - exponent)
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
    lead: int = 0
    """How many columns say what a row is; they stand in each part of a text that is cut where a terminal is narrow."""
    data: object = None
    """What JSON has in place of the list of rows; None for that list."""
    narrow: Sequence[Column] = ()
    """The columns of a text where the others do not fit a terminal side by side; each row has their cells too."""

    def render(self, form: Form = "text", width: int | None = None, color: bool = False) -> str:
        """The table in one of the forms; `width` is a terminal's, which a text fits."""
        if form == "text":
            return self._text(width, color)
        return {"md": self._markdown, "csv": self._csv, "json": self._json, "latex": self._latex, "html": self._html}[
            form
        ]()

    def __str__(self) -> str:
        return self.render()

    __repr__ = __str__
    """What the prompt of Python shows of a value."""

    def _repr_pretty_(self, printer: Printer, cycle: bool) -> None:
        """The table where a notebook or IPython shows the value of a line."""
        printer.text(str(self))

    def _repr_html_(self) -> str:
        """The table with its title and notes, for a notebook, which aligns on the right what says nothing else."""
        head = f"<b>{html_text(self.title)}</b>\n" if self.title else ""
        notes = "".join(f"<p>{html_text(note)}</p>\n" for note in self.notes)
        table = re.sub(r"<(t[dh])>", r'<\1 style="text-align: left;">', self._html())
        return f"{head}{table}\n{notes}"

    def to_dict(self) -> list[dict[str, object]]:
        """The rows, each as its values by column."""
        return [{c.key: _plain(row.get(c.key)) for c in self.columns} for row in self.rows]

    def to_pandas(self) -> DataFrame:
        """The rows as a DataFrame; raises MissingError without pandas."""
        with importing("a table as a DataFrame", "pandas"):
            from pandas import DataFrame

        return DataFrame(self.to_dict(), columns=[c.key for c in self.columns])

    def cells(self, row: Mapping[str, Cell]) -> list[str]:
        """A row as people read it, without characters that drive a terminal: styles are added to it."""
        return [printable((c.text or shown)(row.get(c.key))) for c in self.columns]

    def _csv(self) -> str:
        out = io.StringIO()
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow([_csv_cell(c.key) for c in self.columns])
        for row in self.rows:
            writer.writerow([_csv_cell(row.get(c.key)) for c in self.columns])
        return out.getvalue()

    def _json(self) -> str:
        return json.dumps(self.to_dict() if self.data is None else self.data, indent=1)

    def _text(self, width: int | None, color: bool) -> str:
        """Lines as wide as they need to be, or folded to a width; columns that do not fit beside others stand below."""
        if not self.rows and self.notes:
            return "\n".join(self.notes)
        if width is not None and self.narrow and sum(self._widths(False)) > width:
            return replace(self, columns=self.narrow, narrow=())._text(width, color)
        stacked = width is not None and sum(self._widths(False)) > width and any(map(self._stacks, self.rows))
        groups = self._columns_that_fit(width, stacked) if width else [self.columns]
        parts = [
            replace(self, columns=group, title="" if place else self.title)._lines_of_text(width, color, stacked)
            for place, group in enumerate(groups)
        ]
        printed = [printable(note) for note in self.notes]
        notes = [line for note in printed for line in (wrap(note, width) if width else [note])]
        return "\n".join([*(line for part in parts for line in part), *notes])

    def _widths(self, stacked: bool) -> list[int]:
        """How wide each column is with its padding."""
        sums = self.cells(self.footer) if self.footer else []
        rows = [
            [printable(c.title) for c in self.columns],
            sums,
            *map(self._stacked_cells if stacked else self.cells, self.rows),
        ]
        return [
            max(len(line) for row in rows if row for line in row[i].split("\n")) + 3 for i in range(len(self.columns))
        ]

    def _columns_that_fit(self, width: int, stacked: bool) -> list[Sequence[Column]]:
        """Columns in groups, each with those that say what a row is, as many as fit in a width.

        Where none says what a row is, the first does, and texts may be folded down to a few letters.
        """
        widths, count = self._widths(stacked), self.lead or 1
        if not self.lead:
            widths = [min(w, FOLDED) if c.wrap else w for w, c in zip(widths, self.columns, strict=True)]
        lead = [*self.columns[:count]]
        groups: list[list[Column]] = []
        left = 0
        for column, needed in zip(self.columns[count:], widths[count:], strict=True):
            if needed > left or not groups:
                groups.append([*lead])
                left = width - sum(widths[:count]) - 2
            groups[-1].append(column)
            left -= needed
        return [*(groups or [lead])]

    def _lines_of_text(self, width: int | None, color: bool, stacked: bool) -> list[str]:
        """The title, the head and the rows, with an empty line between cells of several lines."""
        from rich import box
        from rich.console import Console
        from rich.table import Table as RichTable

        table = RichTable(
            title=printable(self.title) or None,
            box=box.SIMPLE_HEAD,
            title_justify="left",
            show_footer=bool(self.footer),
        )
        sums = self.cells(self.footer) if self.footer else [""] * len(self.columns)
        widest = self._widths(stacked)
        for place, (column, total) in enumerate(zip(self.columns, sums, strict=True)):
            table.add_column(
                printable(column.title),
                justify="right" if column.right else "left",
                footer=total,
                overflow="fold",
                no_wrap=not column.wrap or width is None,
                min_width=None if column.wrap else widest[place] - 3,
            )
        for index, row in enumerate(self.rows):
            if stacked and index:
                table.add_row()
            table.add_row(*(self._stacked_cells(row) if stacked else self.cells(row)))
        out = io.StringIO()
        console = Console(
            file=out,
            force_terminal=color,
            force_jupyter=False,  # which would show the table, in place of writing it
            no_color=not color,
            width=width or sum(self._widths(False)) + len(self.title) + 8,
            highlight=False,
            markup=False,
            emoji=False,
        )
        console.print(table)
        lines_of_text = [line.rstrip() for line in out.getvalue().splitlines()]
        return lines_of_text[not self.title :]

    def _stacks(self, row: Mapping[str, Cell]) -> bool:
        return any(isinstance(row.get(c.key), Stacked) for c in self.columns)

    def _stacked_cells(self, row: Mapping[str, Cell]) -> list[str]:
        """A row whose cells have their lines below each other."""
        values = [row.get(c.key) for c in self.columns]
        return [
            printable("\n".join(value.stacked())) if isinstance(value, Stacked) else text
            for value, text in zip(values, self.cells(row), strict=True)
        ]

    def _written(self, text: Callable[[str], str], stacked: Callable[[Stacked], str]) -> list[list[str]]:
        """All cells below the head, as one form writes a text and a cell of several lines."""
        rows = (*self.rows, *([self.footer] if self.footer else ()))
        return [
            [
                stacked(value) if isinstance(value, Stacked) else text(shown_text)
                for value, shown_text in zip((row.get(c.key) for c in self.columns), self.cells(row), strict=True)
            ]
            for row in rows
        ]

    def _tabulated(self, kind: str, text: Callable[[str], str], stacked: Callable[[Stacked], str]) -> str:
        """The table in a format of the library `tabulate`."""
        with importing(f"a table as {kind}", "tabulate"):
            from tabulate import tabulate

        return tabulate(
            self._written(text, stacked),
            [text(c.title) for c in self.columns],
            tablefmt=kind,
            disable_numparse=True,
            colalign=["right" if c.right else "left" for c in self.columns] if self.rows or self.footer else None,
        )

    def _markdown(self) -> str:
        head = [f"**{_markdown_cell(self.title)}**", ""] if self.title else []
        notes = ["", *map(_markdown_cell, self.notes)] if self.notes else []
        table = self._tabulated("pipe", _markdown_cell, lambda cell: stacked_markdown(cell, _markdown_cell))
        return "\n".join([*head, table, *notes])

    def _latex(self) -> str:
        lines = self._written(latex_text, stacked_latex)
        widths = [width - 3 for width in self._widths(True)]
        columns = [
            LatexColumn(width, c.wrap and not any(isinstance(row.get(c.key), Stacked) for row in self.rows), c.right)
            for width, c in zip(widths, self.columns, strict=True)
        ]
        height = sum(max(len(cell.split("\n")) for cell in self._stacked_cells(row)) for row in self.rows)
        rows = [" & ".join(self._spanned(row, line)) for row, line in zip_longest(self.rows, lines)]
        return latex_table(columns, " & ".join(latex_text(c.title) for c in self.columns), rows, height)

    def _spanned(self, row: Mapping[str, Cell] | None, line: Sequence[str]) -> Sequence[str]:
        """The cells of a row; one over all columns but those that say what it is, where all are the same lines."""
        rest = [row.get(c.key) for c in self.columns[self.lead :]] if row is not None and self.lead else []
        if len(rest) < 2 or not isinstance(rest[0], Stacked) or any(value != rest[0] for value in rest):
            return line
        return [*line[: self.lead], rf"\multicolumn{{{len(rest)}}}{{c}}{{{line[-1]}}}"]

    def _html(self) -> str:
        table = self._tabulated("unsafehtml", html_text, stacked_html)
        return re.sub(r" +(?=</t[dh]>)", "", table)  # tabulate fills cells up with spaces


def _plain(value: Cell) -> object:
    """A value as JSON has it: of a cell of several lines the list of these."""
    return [part.line() for part in value.parts] if isinstance(value, Stacked) else value


_FORMULA = re.compile(r"(?![+-]?[\d.]+\Z)[=+\-@\t\n]")


def _csv_cell(value: Cell) -> Cell:
    """A value of CSV; before a text that a spreadsheet would run as a formula stands ' (OWASP, "CSV Injection")."""
    if not isinstance(value, (str, tuple, Stacked)):
        return value
    text = shown(value)
    text = text if text.isprintable() else re.sub(r"\r\n?", "\n", text)  # a reader takes a lone one for a line's end
    return f"'{text}" if _FORMULA.match(text) else text


_MARKUP = re.compile(r"[\\&`*\[\]<>|#~$]|(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])")


def _markdown_cell(text: str) -> str:
    """A text that Markdown shows as it is written: no mark-up, no cell that ends early."""
    return " ".join(_MARKUP.sub(r"\\\g<0>", text).split())
