"""Options that several commands have."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import click

from netspec.diagnostics.errors import SHOWN_ERRORS, did_you_mean
from netspec.elaborate.configuration import InputSize


class Choice(click.Choice):  # type: ignore[type-arg, unused-ignore]
    """One of several words; of another the one that is near is said."""

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """The word; fails for another."""
        try:
            return str(super().convert(value, param, ctx))
        except click.BadParameter as e:
            near = str(did_you_mean(str(value), [str(known) for known in self.choices], " "))
            self.fail(f"{e.message} {near}".rstrip(), param, ctx)


class Finite(click.FloatRange):
    """A number within bounds; NaN, which click's own lets through, is none."""

    def convert(self, value: float, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """The number; fails for another."""
        number = float(super().convert(value, param, ctx))
        if number != number:
            self.fail(f"'{value}' is not a number", param, ctx)
        return number


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


class InputSizes(click.ParamType):  # type: ignore[type-arg, unused-ignore]
    """3x224x224, or of several inputs by name: left=1x64x64,right=1x64x64"""

    name = "[NAME=]CxHxW"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> InputSize:
        """The sizes, by the name of the input where there are names; fails for anything else."""
        named = [part.partition("=") for part in str(value).split(",")]
        if not any(equals for _, equals, _ in named):
            return Sizes().convert(value, param, ctx)
        if not all(name.strip() for name, _, _ in named) or len({name.strip() for name, _, _ in named}) < len(named):
            self.fail(f"'{value}' is no size for each name; write left=1x64x64,right=1x64x64", param, ctx)
        return {name.strip(): Sizes().convert(size.strip(), param, ctx) for name, _, size in named}


def is_given(name: str) -> bool:
    """Whether the command line has an option, by the name of its argument, and it is not its default alone."""
    return click.get_current_context().get_parameter_source(name) is click.core.ParameterSource.COMMANDLINE


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


def _one_size(ctx: click.Context, param: click.Parameter, given: Sequence[InputSize]) -> InputSize | None:
    """The size of the input, or those of inputs by name, of as many options as name them."""
    if len(given) < 2:
        return given[0] if given else None
    named = [(name, size) for one in given if isinstance(one, Mapping) for name, size in one.items()]
    if not all(isinstance(one, Mapping) for one in given) or len(dict(named)) < len(named):
        message = "an input has two sizes; those of several have names, --input left=1x64x64 --input right=1x64x64"
        raise click.BadParameter(message, ctx, param)
    return dict(named)


INPUT = click.option(
    "--input",
    "input_size",
    type=InputSizes(),
    multiple=True,
    callback=_one_size,
    help="Another input size, as 3x160x160; of several inputs by name, as image=3x160x160; repeatable.",
)

MOST_PROCESSES = 60
"""Windows waits for 63 at most."""

jobs_option = click.option(
    "-j",
    "--jobs",
    type=click.IntRange(1, MOST_PROCESSES),
    default=1,
    show_default=True,
    metavar="N",
    help="Work on the specs in so many processes.",
)
"""The option of commands that take many specs, each by itself."""
