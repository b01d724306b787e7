"""netspec table"""

from __future__ import annotations

from collections.abc import Sequence
from typing import get_args

import click

from netspec.cli.request import Request, requests_options
from netspec.cli.spec_command import SpecCommand
from netspec.cli.tables import form_of, table_options, write_table
from netspec.diagnostics.errors import UsageError, did_you_mean
from netspec.ir.graph import Graph
from netspec.ops import OPS, lookup
from netspec.passes.drop_heads import without_heads
from netspec.reports.configuration.by_row import table_of_blocks, table_of_layers
from netspec.reports.configuration.by_stage import View, table_of_stages
from netspec.reports.configuration.notation import CELLS, Cells
from netspec.reports.table import Form

ROWS = ("stages", "sizes", "blocks", "layers")


def _names(ctx: click.Context, param: click.Parameter, values: Sequence[str]) -> tuple[str, ...]:
    """Names between commas, of an option that may be repeated."""
    return tuple(name.strip() for value in values for name in value.split(",") if name.strip())


@click.command(
    "table",
    cls=SpecCommand,
    epilog="\b\nExamples:\n  netspec table resnet18 resnet34 resnet50 resnet101 resnet152\n"
    "  netspec table vgg --all -f latex -o vgg.tex\n  netspec table densenet121 densenet264 --cells kernel\n"
    "  netspec table mobilenet_v1 --rows layers\n"
    "  netspec table mobilenet_v2 --rows blocks --columns input,operator,t,c,n,s",
)
@requests_options
@click.option(
    "--rows",
    type=click.Choice(ROWS),
    default="stages",
    show_default=True,
    help="What a row is. With stages, or sizes of the map, a SPEC is a column; blocks and layers are of one SPEC.",
)
@click.option(
    "--cells",
    type=click.Choice(list(get_args(Cells))),
    help="How cells are written: " + "; ".join(f"{name}: {text}" for name, text in CELLS.items()) + ".",
)
@click.option("--columns", default="", metavar="NAMES", help="Columns of blocks or layers; +NAMES adds some.")
@click.option("--show", multiple=True, callback=_names, metavar="OP,...", help="Ops that tables leave out, as relu.")
@click.option(
    "--hide", multiple=True, callback=_names, metavar="OP,...", help="Ops that this table leaves out, as lrn."
)
@table_options()
def command(
    requests: tuple[Request, ...],
    rows: str,
    cells: Cells | None,
    columns: str,
    show: tuple[str, ...],
    hide: tuple[str, ...],
    form: Form | None,
    output: str | None,
) -> int:
    """Print the configuration table of SPECs, as their papers have it.

    It has layers with weights and poolings, not auxiliary heads and shortcuts. Stages are called by their titles.
    """
    chosen = form_of(form, output)
    view = View(_ops(show), _ops(hide), cells)
    if rows in ("blocks", "layers"):
        if len(requests) > 1:
            raise UsageError(f"a table of {rows} is of one network", "leave out --rows, or name one SPEC")
        if cells:
            raise UsageError(f"a table of {rows} has no --cells", "choose --columns")
        make = table_of_blocks if rows == "blocks" else table_of_layers
        table = make(_graph(requests[0], show), view, columns)
    elif columns:
        raise UsageError("--columns goes with --rows blocks or --rows layers")
    else:
        table = table_of_stages([_graph(request, show) for request in requests], view, rows == "sizes")
    write_table(table, chosen, output)
    return 0


def _graph(request: Request, show: Sequence[str]) -> Graph:
    """The graph that is run, or where what is shown is in training alone, such as dropout, that without heads."""
    compiled = request.compile()
    if any(OPS[name].only_in_training for name in show):
        graph = without_heads(compiled.trained)
    else:
        graph = compiled.inference
    if request.own:
        graph.title = f"{graph.title or graph.name} ({request.own})"
    return graph


def _ops(names: Sequence[str]) -> frozenset[str]:
    """Names of ops; raises UsageError for another."""
    for name in names:
        if lookup(name) is None:
            raise UsageError(
                f"there is no op '{name[:80]}'", did_you_mean(name, OPS) or "`netspec list ops` shows them"
            )
    return frozenset(names)
