"""The options of every command that prints a table, and how one is written."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Sequence
from typing import TypeVar

import click

from netspec.cli.options import Choice
from netspec.cli.output import colored, shown
from netspec.cli.output_file import OutputFile, suffix_of, write_result
from netspec.diagnostics.errors import UsageError
from netspec.diagnostics.streams import put
from netspec.files.kinds import check_suffix
from netspec.reports.table import FORMS, SUFFIXES, Form, Table

C = TypeVar("C", bound=Callable[..., object])

_TEXTS = (".", ".txt", ".text", ".log", ".out")
"""The suffixes of a text, which may have any other with -f text."""
_NAMES = {"text": "text", "md": "Markdown", "latex": "LaTeX"}


def table_options(forms: Sequence[Form] = FORMS) -> Callable[[C], C]:
    """`-f FORM` and `-o FILE`, as the arguments `form` and `output` of a command."""

    def add(command: C) -> C:
        kind = click.option(
            "-f", "--format", "form", type=Choice(forms), help="text by default, or what the suffix of -o says."
        )
        return kind(click.option("-o", "output", type=OutputFile(), help="Write there; - is stdout.")(command))

    return add


def columns_option(help: str) -> Callable[[C], C]:
    """`--columns NAMES`, which may be repeated, as one text or None: the argument `columns` of a command."""
    return click.option("--columns", metavar="NAMES", multiple=True, callback=_one_list, help=help)


def _one_list(ctx: click.Context, param: click.Parameter, values: Sequence[str]) -> str | None:
    """The lists of an option as one; its + is that of the first."""
    return ",".join([values[0], *(value.removeprefix("+") for value in values[1:])]) if values else None


def form_of(form: Form | None, output: str | None) -> Form:
    """The form of -f, else what the suffix of -o says, else text; raises UsageError where the two disagree."""
    suffix = f".{suffix_of(output)}"
    of_suffix = {own: f"-f {known}" for known, all_ in SUFFIXES.items() for own in all_}
    meant: Form = next((known for known, own in SUFFIXES.items() if suffix in own), "text")
    chosen = form or meant
    check_suffix(output, _NAMES.get(chosen, chosen.upper()), *SUFFIXES.get(chosen, ()), options=of_suffix)
    if form is None and suffix not in of_suffix and suffix not in _TEXTS and output != "-":
        known = ", ".join(["txt", *(own[0][1:] for own in SUFFIXES.values())])
        raise UsageError(f"{output}: the suffix '{suffix}' is not a form of tables", f"known: {known}; or add -f text")
    return chosen


def write_table(table: Table, form: Form, output: str | None = None) -> None:
    """A table to stdout or the file of -o; a text fits the terminal, and has its full width anywhere else."""
    stdout = output in (None, "-")
    width = shutil.get_terminal_size().columns if stdout and sys.stdout.isatty() else None
    color = stdout and form == "text" and colored(sys.stdout)
    text = table.render(form, width, color)
    if color:
        put(text)  # its texts are printable; what is not are its styles
    else:
        write_result(shown(text) if form == "text" else text, output)
