"""netspec summary"""

from __future__ import annotations

import shutil
import sys

import click

from netspec.cli.output import shown
from netspec.cli.output_file import OutputFile, write_result
from netspec.cli.request import Request, spec_options
from netspec.cli.spec_command import SpecCommand
from netspec.files.kinds import check_suffix
from netspec.reports.summary import to_csv, to_json, to_text


@click.command(
    "summary",
    cls=SpecCommand,
    epilog="\b\nExamples:\n  netspec summary resnet50 --depth 1\n  netspec summary googlenet -f csv -o layers.csv",
)
@spec_options
@click.option("-d", "--depth", type=click.IntRange(1), help="Fold scopes that lie deeper.")
@click.option("-f", "--format", "kind", type=click.Choice(["text", "json", "csv"]), default="text")
@click.option("--training", is_flag=True, help="With auxiliary heads and dropout.")
@click.option("-o", "output", type=OutputFile(), help="Write there; - is stdout.")
def command(request: Request, depth: int | None, kind: str, training: bool, output: str | None) -> int:
    """Print the layer table of SPEC: shapes, parameters, MACs."""
    own = {"json": (".json",), "csv": (".csv",)}
    check_suffix(output, "text" if kind == "text" else kind.upper(), *own.get(kind, ()))
    compiled = request.compile()
    graph = compiled.trained if training else compiled.inference
    if kind == "text":
        terminal = sys.stdout.isatty() and output in (None, "-")
        width = shutil.get_terminal_size().columns if terminal else 160
        write_result(shown(to_text(graph, depth, terminal, width)), output)
    else:
        write_result({"json": to_json, "csv": to_csv}[kind](graph, depth), output)
    return 0
