"""netspec schema"""

from __future__ import annotations

import json

import click

from netspec.cli.output_file import OutputFile, write_result
from netspec.files.kinds import check_suffix
from netspec.passes.runtimes import MEASURED
from netspec.plugins import load_ops
from netspec.syntax.profile_reader import profile_schema
from netspec.syntax.schema import published


@click.command(
    "schema",
    epilog="\b\nExample:\n  netspec schema -o netspec.schema.json\n"
    "  # yaml-language-server: $schema=netspec.schema.json   (a comment of a spec)",
)
@click.option("--profile", is_flag=True, help="That of the profiles that `netspec tune` writes.")
@click.option("-o", "output", type=OutputFile(), help="Write there; - is stdout.")
def command(profile: bool, output: str | None) -> int:
    """Print the JSON Schema of specs: completion and checks in editors."""
    check_suffix(output, "JSON", ".json")
    if profile:
        write_result(json.dumps(profile_schema(MEASURED), indent=1), output)
        return 0
    for error in load_ops().values():
        raise error
    write_result(published().rstrip(), output)
    return 0
