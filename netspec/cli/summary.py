"""netspec summary"""

from __future__ import annotations

from typing import TypedDict, Unpack

import click

from netspec.analysis.measures import Measured
from netspec.cli.request import Request, names_in, spec_options
from netspec.cli.spec_command import SpecCommand
from netspec.cli.tables import columns_option, form_of, table_options, write_table
from netspec.ir.selection import frozen_nodes
from netspec.reports.summary import COLUMNS, columns_of, table
from netspec.reports.table import Form


class _Of(TypedDict):
    """Which graph is shown, and which of its steps are not trained."""

    training: bool
    freeze: tuple[str, ...]


@click.command(
    "summary",
    cls=SpecCommand,
    epilog="\b\nExamples:\n  netspec summary resnet50 --depth 1\n  netspec summary googlenet -f csv -o layers.csv\n"
    "  netspec summary resnet50 --depth 1 --columns depth,memory,receptive_field\n"
    "  netspec summary alexnet --columns +kernel,stride,pad,groups\n"
    "  netspec summary alexnet --depth 1 --freeze net.conv1..net.conv3",
)
@spec_options
@click.option("-d", "--depth", type=click.IntRange(1), help="Fold scopes that lie deeper.")
@columns_option(f"These after the step, or, as +NAMES, also these: {', '.join(COLUMNS)}.")
@table_options()
@click.option(
    "--freeze",
    multiple=True,
    callback=names_in,
    metavar="PATTERN",
    help="Count what is trained where these steps are not (`layer1`, `conv1..conv3`; commas between several).",
)
@click.option("--training", is_flag=True, help="With auxiliary heads and dropout.")
def command(
    request: Request, depth: int | None, columns: str | None, form: Form | None, output: str | None, **of: Unpack[_Of]
) -> int:
    """Print the layer table of SPEC: shapes, parameters, MACs, and any of the measures and attributes of layers."""
    chosen, kind = columns_of(columns), form_of(form, output)
    compiled = request.compile()
    graph = compiled.trained if of["training"] else compiled.inference
    measured = Measured(graph, trained=compiled.shown, frozen=frozen_nodes(graph, of["freeze"]))
    doc = "" if compiled.is_block else compiled.document.doc
    write_table(table(graph, depth, chosen, measured, kind not in ("csv", "json"), doc), kind, output)
    return 0
