"""Options that several commands have."""

from __future__ import annotations

import click

from netspec.diagnostics.errors import SHOWN_ERRORS


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
