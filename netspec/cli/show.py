"""netspec show"""

from __future__ import annotations

import click

from netspec.cli.request import Request, spec_options
from netspec.cli.spec_command import SpecCommand
from netspec.cli.tables import form_of, table_options, write_table
from netspec.reports.interface import block_interface, interface
from netspec.reports.table import Form


@click.command(
    "show",
    cls=SpecCommand,
    epilog="\b\nExamples:\n  netspec show resnet50\n  netspec show blocks/residual\n"
    "  netspec show blocks/residual:bottleneck\n  netspec show googlenet -f json",
)
@spec_options
@table_options()
def command(request: Request, form: Form | None, output: str | None) -> int:
    """Print what SPEC offers: params with types, values and docs, inputs, outputs, variants, blocks, checkpoints."""
    found, document, reporter = request.read()
    if found.block:
        table = block_interface(document.blocks[found.block], request.compile())
    elif document.is_library:
        reporter.check()
        table = interface(document, None)
    else:
        table = interface(document, request.compile())
    write_table(table, form_of(form, output), output)
    return 0
