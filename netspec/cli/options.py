"""Options that several commands have."""

from __future__ import annotations

import os
from pathlib import Path

import click

from netspec.diagnostics.errors import SHOWN_ERRORS
from netspec.files.atomic import check_place


class Sizes(click.ParamType):  # type: ignore[type-arg, unused-ignore]
    """3x224x224"""

    name = "CxHxW"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> list[int]:
        """The sizes; fails for anything else."""
        parts = str(value).lower().split("x")
        if not all(p.isdigit() and p.isascii() and 0 < int(p) < 2**31 for p in parts if len(p) < 12) or any(
            len(p) > 11 for p in parts
        ):
            self.fail(f"'{value}' is not a size; write 3x224x224", param, ctx)
        return [int(p) for p in parts]


def _most(ctx: click.Context, param: click.Parameter, value: int) -> None:
    ctx.find_root().obj["max_errors"] = value


error_option = click.option(
    "--max-errors",
    metavar="N",
    type=click.IntRange(1),
    default=SHOWN_ERRORS,
    show_default=True,
    expose_value=False,
    callback=_most,
    help="Print at most so many errors and warnings.",
)
"""The option of every command that prints the errors of a spec."""

INPUT = click.option("--input", "input_size", type=Sizes(), help="Another input size, as 3x160x160.")


class OutputFile(click.ParamType):  # type: ignore[type-arg, unused-ignore]
    """A file to write, in a folder that is there; - is stdout where a command says so."""

    name = "FILE"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """The name as it is; fails for one that cannot be a file's, before any work is done."""
        text = str(value)
        if not text.strip():
            self.fail("an empty name is given", param, ctx)
        if text.endswith(("/", os.sep)):
            self.fail(f"'{text}' is the name of a folder; name a file in it", param, ctx)
        if text != "-":
            check_place(text)
        return text


def suffix_of(output: str | None) -> str:
    """The suffix of an output file in lower case, without its dot: `svg` of x.svg and of .svg alike."""
    return Path(output or "").name.rpartition(".")[2].lower() if "." in Path(output or "").name else ""
