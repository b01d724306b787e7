"""What is generated of docs/tables.md: below each line `    netspec table ...` the table that it prints."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

from click.testing import CliRunner

from netspec.cli.main import cli

DOCS = Path(__file__).parent.parent / "docs"

COMMAND = re.compile(r"^    netspec (table [^\n]*)\n\n(<!-- table -->\n).*?(<!-- /table -->)", re.MULTILINE | re.DOTALL)


def page() -> str:
    """docs/tables.md with its tables."""
    return COMMAND.sub(_with_table, (DOCS / "tables.md").read_text(encoding="utf-8"))


def _with_table(found: re.Match[str]) -> str:
    done = CliRunner().invoke(cli, [*shlex.split(found[1]), "-f", "md"])
    if done.exit_code:
        raise SystemExit(f"netspec {found[1]}: {done.output}")
    return f"    netspec {found[1]}\n\n{found[2]}{done.stdout.rstrip()}\n{found[3]}"
