"""Options that several commands have."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from netspec.diagnostics.errors import SHOWN_ERRORS
from netspec.files.atomic import check_place

F = TypeVar("F", bound=Callable[..., Any])


class Sizes(click.ParamType):  # type: ignore[type-arg, unused-ignore]
    """3x224x224"""

    name = "CxHxW"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> list[int]:
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

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
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


def spec_options(fn: F, input: Callable[[F], F] = INPUT) -> F:
    """Options that choose what is compiled; a command may have another --input."""
    for option in reversed(
        (
            click.argument("spec"),
            click.option("--variant", metavar="NAME", help="A variant of the spec; the first is the default."),
            click.option("-s", "--set", "settings", multiple=True, metavar="NAME=VALUE", help="Set a param."),
            input,
            click.option(
                "--pass",
                "passes",
                multiple=True,
                metavar="NAME",
                help="Run a pass, such as fold_batch_norm; `netspec list passes` shows them.",
            ),
            click.option(
                "-I",
                "include",
                multiple=True,
                metavar="DIR",
                type=click.Path(file_okay=False, exists=True),
                help="A folder in which `use: [./name]` looks too.",
            ),
            click.option(
                "--max-nodes",
                type=click.IntRange(1),
                default=100_000,
                show_default=True,
                help="The largest graph that is built.",
            ),
            error_option,
            click.option("--strict", is_flag=True, help="Warnings are errors."),
            click.option("-q", "--quiet", is_flag=True, help="No warnings and no summary line."),
        )
    ):
        fn = option(fn)
    return fn
