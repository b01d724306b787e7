"""netspec table"""

from __future__ import annotations

from typing import get_args

import click

from netspec.cli.options import Choice
from netspec.cli.request import Request, names_in, requests_options
from netspec.cli.spec_command import SpecCommand
from netspec.cli.tables import columns_option, form_of, table_options, write_table
from netspec.reports.configuration.asked import ROWS, Asked, configuration_table
from netspec.reports.configuration.notation import CELLS, Cells
from netspec.reports.table import Form


@click.command(
    "table",
    cls=SpecCommand,
    epilog="\b\nExamples:\n  netspec table resnet18 resnet34 resnet50 resnet101 resnet152\n"
    "  netspec table vgg --all -f latex -o vgg.tex\n  netspec table densenet121 densenet264 --cells kernel\n"
    "  netspec table cnn_f cnn_m cnn_s --cells filters --transpose\n"
    "  netspec table mobilenet_v1 --rows layers\n"
    "  netspec table mobilenet_v2 --rows blocks --columns input,operator,t,c,n,s",
)
@requests_options
@click.option(
    "--rows",
    type=Choice(ROWS),
    default="stages",
    show_default=True,
    help="What a row is. With stages, or sizes of the map, a SPEC is a column; blocks and layers are of one SPEC.",
)
@click.option(
    "--cells",
    type=Choice(list(get_args(Cells))),
    help="How cells are written: " + "; ".join(f"{name}: {text}" for name, text in CELLS.items()) + ".",
)
@columns_option("Columns of blocks or layers; +NAMES adds some.")
@click.option("--show", multiple=True, callback=names_in, metavar="OP,...", help="Ops that tables leave out, as relu.")
@click.option(
    "--hide", multiple=True, callback=names_in, metavar="OP,...", help="Ops that this table leaves out, as lrn."
)
@click.option("--transpose", is_flag=True, help="A row for each SPEC, a column for each stage or size.")
@table_options()
def command(
    requests: tuple[Request, ...],
    rows: str,
    cells: Cells | None,
    columns: str | None,
    show: tuple[str, ...],
    hide: tuple[str, ...],
    transpose: bool,
    form: Form | None,
    output: str | None,
) -> int:
    """Print the configuration table of SPECs, as their papers have it.

    It has layers with weights and poolings, not auxiliary heads and shortcuts. Stages are called by their titles.
    """
    chosen = form_of(form, output)
    asked = Asked(rows, cells, columns or "", show, hide, transpose)
    asked.check(len(requests))
    networks = [(request.compile(), request.own) for request in requests]
    write_table(configuration_table(networks, asked), chosen, output)
    return 0
