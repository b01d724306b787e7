"""netspec check"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import click

from netspec.check.check_file import check_file
from netspec.cli.options import error_option
from netspec.cli.output import printer, say, show_error
from netspec.diagnostics.errors import Diagnostic, Reporter, SpecError, UsageError, did_you_mean
from netspec.syntax.library import Found, find
from netspec.syntax.reader import read_document


@click.command(
    "check", epilog="\b\nExamples:\n  netspec check specs/resnet.yaml\n  netspec check specs/ --format github"
)
@click.argument("specs", nargs=-1, required=True, metavar="SPEC...")
@click.option("--variant", metavar="NAME", help="Only this variant; else all of them.")
@click.option(
    "-f",
    "--format",
    "style",
    type=click.Choice(["text", "json", "github"]),
    default="text",
    help="How diagnostics are printed.",
)
@click.option(
    "-I",
    "include",
    multiple=True,
    metavar="DIR",
    type=click.Path(file_okay=False, exists=True),
    help="A folder in which `use: [./name]` looks too.",
)
@click.option(
    "--max-nodes", type=click.IntRange(1), default=100_000, show_default=True, help="The largest graph that is built."
)
@error_option
@click.option("--strict", is_flag=True, help="Warnings are errors.")
@click.option("-q", "--quiet", is_flag=True, help="No warnings and no summary line.")
@click.pass_context
def command(
    ctx: click.Context,
    specs: tuple[str, ...],
    variant: str | None,
    style: str,
    include: tuple[str, ...],
    max_nodes: int,
    strict: bool,
    quiet: bool,
) -> int:
    """Check specs: every variant, and the facts under `expect`.

    A SPEC is a path, a folder (every YAML file below it), - for stdin, or the name of a shipped spec. Diagnostics go to
    stderr.
    """
    ctx.find_root().obj["style"] = style
    reporter = Reporter(limit=sys.maxsize)
    count = variants = 0
    stopped = False
    unread: list[UsageError] = []
    for found_file, only in _files(specs, variant, unread):
        own, chosen = Reporter(), only if variant is None else variant
        try:
            networks = check_file(found_file, own, tuple(map(Path, include)), chosen, max_nodes)
        except UsageError as e:
            unread.append(e)
            continue
        count, variants = count + 1, variants + len(networks)
        stopped = stopped or own.errors >= own.limit
        for found in (*own.diagnostics, *(d for network in networks for d in network.warnings)):
            reporter.report(found)
    if strict:
        reporter.strict()
    shown = [d for d in reporter.sorted() if d.severity == "error" or not quiet]
    if style != "text":
        shown += [Diagnostic("usage", str(error), hint=error.help) for error in unread]
    if shown or style == "json":
        printer().print(shown, stopped)
    for error in unread if style == "text" else ():
        show_error(error)
    if unread:
        return UsageError.exit_code
    if reporter.failed:
        errors = sum(d.severity == "error" for d in shown)
        if style == "text" and not quiet:
            say(f"{errors:,} error{'s' * (errors != 1)}{' or more' * stopped}")
        return SpecError.exit_code
    if not quiet and style == "text":
        say(f"ok: {count} file{'s' * (count != 1)}, {variants} network{'s' * (variants != 1)}")
    return 0


def _files(
    specs: tuple[str, ...], variant: str | None, unread: list[UsageError]
) -> list[tuple[Path | Found, str | None]]:
    """The files that arguments name; what names none goes to `unread`."""
    files: list[tuple[Path | Found, str | None]] = []
    for spec in specs:
        try:
            files += _named(spec, variant, unread)
        except UsageError as e:
            unread.append(e)
    return files


def _named(spec: str, variant: str | None, unread: list[UsageError]) -> list[tuple[Path | Found, str | None]]:
    """The files that one argument names; raises UsageError."""
    try:
        is_folder = bool(spec) and Path(spec).is_dir()
    except (OSError, ValueError):
        is_folder = False  # a name that no file can have: `find` says so
    if is_folder:
        return [(path, None) for path in _below(spec, unread)]
    found = find(spec)
    if found.variant and variant is not None:
        raise UsageError(f"'{spec}' is a variant already", f"--variant goes with {found.path.stem}")
    if found.block:
        _has_block(found, found.block)
    return [(found, found.variant)]


def _below(folder: str, unread: list[UsageError]) -> list[Path]:
    """The YAML files below a folder; what cannot be looked at goes to `unread`; raises UsageError if there is none."""
    failed: list[OSError] = []
    below = [
        Path(root, name)
        for root, _, names in os.walk(folder, onerror=failed.append)
        for name in names
        if name.endswith((".yaml", ".yml"))
    ]
    unread += [UsageError(f"{e.filename} cannot be read: {e.strerror or e}") for e in failed]
    unread += [UsageError(f"{p} is a link to a file that is not there") for p in sorted(below) if not p.exists()]
    files = sorted(path for path in below if path.is_file())
    if not files and not failed:
        raise UsageError(f"there is no YAML file below {folder}")
    return files


def _has_block(found: Found, block: str) -> None:
    """Raises UsageError where a file that can be read has no such block; its other blocks are checked with it."""
    document = read_document(found, Reporter())
    if document is not None and block not in document.blocks:
        raise UsageError(f"{document.argument} has no block '{block}'", did_you_mean(block, document.blocks))
