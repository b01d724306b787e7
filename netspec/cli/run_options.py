"""Sizes and devices as `netspec run` takes them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import click

from netspec.cli.options import Sizes
from netspec.diagnostics.errors import UsageError
from netspec.running.place import Place

NamedSize = tuple[str | None, list[int]]
"""The sizes of an input, whose name is None where they are for the only one."""


class NamedSizes(click.ParamType):  # type: ignore[type-arg, unused-ignore]
    """3x224x224, or images=1x3x224x224, with commas between several"""

    name = "[NAME=]DIMS"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> list[NamedSize]:
        """Of each the name, or None, and the sizes; fails for anything else."""
        parts = [part.rpartition("=") for part in str(value).split(",")]
        return [(n.strip() if equals else None, Sizes().convert(d.strip(), param, ctx)) for n, equals, d in parts]


class HeightWidth(Sizes):
    """640x480"""

    name = "HxW"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> list[int]:
        """The two sizes; fails for anything else."""
        if isinstance(value, list):
            return value
        found = super().convert(value, param, ctx)
        if len(found) != 2:
            self.fail(f"'{value}' is not a height and a width; write 224x224", param, ctx)
        return found


@dataclass(frozen=True, slots=True)
class GivenSizes:
    """What --input and --size say."""

    inputs: Sequence[NamedSize]
    image: list[int] | None
    pictures: bool = False
    """Whether images are run: without other sizes a network then has that of its published weights."""


class DeviceName(click.ParamType):  # type: ignore[type-arg, unused-ignore]
    """cpu, cuda, tensorrt, openvino, and behind a colon which one."""

    name = "DEVICE"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """The name as it is; fails for one that is none."""
        try:
            return Place(str(value)).device
        except UsageError as e:
            self.fail(f"{e.message}; {e.help}", param, ctx)
