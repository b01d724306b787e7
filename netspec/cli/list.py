"""netspec list"""

from __future__ import annotations

from collections.abc import Iterator

import click

from netspec import plugins
from netspec.analysis.measures import MEASURES
from netspec.backend import get
from netspec.cli.compile import command as compile_command
from netspec.cli.options import Choice
from netspec.cli.tables import columns_option, form_of, table_options, write_table
from netspec.cli.targets import TargetCommand, declared
from netspec.diagnostics.errors import NetspecError
from netspec.reports.listing import Row, blocks, listed, ops, passes, specs
from netspec.reports.table import Form


@click.command(
    "list",
    epilog="\b\nExamples:\n  netspec list specs\n  netspec list specs VGG16\n  netspec list ops\n"
    "  netspec list specs -f json\n  netspec list specs resnet --columns depth,memory,receptive_field",
)
@click.argument("what", type=Choice(["specs", "blocks", "ops", "passes", "backends"]), default="specs")
@click.argument("names", nargs=-1, metavar="[NAME]...")
@columns_option(
    f"These after the name, or, as +NAMES, also these; of specs family, alias, uses, {', '.join(MEASURES)} too."
)
@table_options()
def command(what: str, names: tuple[str, ...], columns: str | None, form: Form | None, output: str | None) -> int:
    """List the shipped specs (every variant), blocks, ops, passes or backends.

    With a NAME, as it is spelled anywhere, those that it may mean, the nearest first.
    """
    rows = list({"specs": specs, "blocks": blocks, "ops": ops, "passes": passes, "backends": backends}[what]())
    write_table(listed(what, rows, names, columns), form_of(form, output), output)
    return 0


def backends() -> Iterator[Row]:
    """A row for every backend that is registered."""
    assert isinstance(compile_command, TargetCommand)
    for name in sorted(plugins.backends()):
        try:
            backend = get(name)
            declared(backend, compile_command.taken)
            yield {"name": name, "summary": backend.summary, "suffix": backend.suffix}
        except NetspecError as e:
            yield {"name": name, "summary": f"not usable: {e.message}", "suffix": ""}
