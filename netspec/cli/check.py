"""netspec check"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import click

from netspec.check.many import Job, Outcome, outcome, plain_outcome
from netspec.check.printed import Held
from netspec.cli.options import Choice, error_option, jobs_option
from netspec.cli.output import printer, say, show_error
from netspec.cli.output_file import OutputFile
from netspec.cli.progress import Progress
from netspec.cli.tables import form_of, write_table
from netspec.diagnostics.errors import Diagnostic, Reporter, SpecError, UsageError
from netspec.elaborate.block_alone import no_block
from netspec.reports.facts import facts_table
from netspec.reports.table import FORMS as TABLE_FORMS
from netspec.reports.table import Form
from netspec.syntax.library import Found, find
from netspec.syntax.reader import read_document

FACT_CODES = ("NS501", "NS502", "NS503")
"""Errors after which the table of facts is whole: the networks are there to compare."""
FORMS = ("text", "json", "github", *(form for form in TABLE_FORMS if form not in ("text", "json")))


@click.command(
    "check",
    epilog="\b\nExamples:\n  netspec check specs/resnet.yaml\n  netspec check specs/ -j 4 --format github\n"
    "  netspec check --facts googlenet",
)
@click.argument("specs", nargs=-1, required=True, metavar="SPEC...")
@click.option("--variant", metavar="NAME", help="Only this variant; else all of them.")
@click.option("--facts", is_flag=True, help="Print what the papers print beside what was computed, with the verdict.")
@click.option(
    "-f",
    "--format",
    "style",
    type=Choice(FORMS),
    help="How diagnostics are printed: text, json or github; with --facts how its table is.",
)
@click.option("-o", "output", type=OutputFile(), help="With --facts: write the table there; - is stdout.")
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
@jobs_option
@error_option
@click.option("--strict", is_flag=True, help="Warnings are errors.")
@click.option("-q", "--quiet", is_flag=True, help="No warnings and no summary line.")
@click.pass_context
def command(ctx: click.Context, /, specs: tuple[str, ...], **options: Any) -> int:
    """Check specs: every variant, and the facts under `expect`.

    A SPEC is a path, a folder (every YAML file below it), - for stdin, or the name of a shipped spec. Diagnostics go to
    stderr, the table of --facts to stdout.
    """
    asked = _Asked(**options)
    form = asked.form()
    ctx.find_root().obj["style"] = "text" if asked.facts else asked.style or "text"
    done = _check(specs, asked, ctx.find_root().obj["max_errors"])
    whole = all(d.severity != "error" or d.code in FACT_CODES for d in done.reporter.diagnostics)
    code = _report(done, asked, ctx.find_root().obj["style"])
    if form is not None and whole and code in (0, SpecError.exit_code):
        write_table(facts_table(done.held), form, asked.output)
    return code


@dataclass(frozen=True, slots=True)
class _Asked:
    """What the options ask for."""

    variant: str | None
    facts: bool
    style: str | None
    output: str | None
    include: tuple[str, ...]
    max_nodes: int
    strict: bool
    quiet: bool
    jobs: int

    def form(self) -> Form | None:
        """The form of the table of facts; None without one; raises UsageError for options that exclude each other."""
        if self.facts and self.style == "github":
            raise UsageError("--facts prints a table", "-f text, md, csv, json, latex or html")
        given = next((form for form in TABLE_FORMS if form == self.style), None)
        if self.facts:
            return form_of(given, self.output)
        if given not in (None, "text", "json"):
            raise UsageError(f"-f {given} is a form of the table of --facts", "-f text, json or github")
        if self.output is not None:
            raise UsageError("-o goes with --facts", "diagnostics go to stderr")
        return None


@dataclass
class _Done:
    """What was found in all files."""

    reporter: Reporter = field(default_factory=lambda: Reporter(limit=sys.maxsize))
    held: list[Held] = field(default_factory=list)
    files: int = 0
    networks: int = 0
    stopped: bool = False
    """Whether a file has so many errors that checking it stopped."""
    unread: list[UsageError] = field(default_factory=list)


def _check(specs: tuple[str, ...], asked: _Asked, most: int) -> _Done:
    """Checks all files that the arguments name."""
    done = _Done()
    include = tuple(map(Path, asked.include))
    jobs = [
        Job(found, only if asked.variant is None else asked.variant, include, asked.max_nodes, most)
        for found, only in _files(specs, asked.variant, done.unread)
    ]
    with Progress(len(jobs), shown=not asked.quiet and asked.style in (None, "text")) as progress:
        found = _outcomes(jobs, asked.jobs, lambda job: progress.step(_named_by(job.spec)))
    for one in found:
        if one.unread is not None:
            done.unread.append(UsageError(*one.unread))
            continue
        done.files, done.networks = done.files + 1, done.networks + one.networks
        done.stopped = done.stopped or one.stopped
        done.held += one.held
        for diagnostic in one.diagnostics:
            done.reporter.report(diagnostic)
    return done


def _outcomes(jobs: Sequence[Job], processes: int, tick: Callable[[Job], None]) -> list[Outcome]:
    """What was found in each file, in their order."""
    if (count := min(processes, len(jobs))) > 1:
        from netspec.processes import Ended, in_processes

        outcomes: list[Outcome] = []
        for job, one in zip(jobs, in_processes(jobs, plain_outcome, count, tick), strict=True):
            if isinstance(one, Ended):
                error = one.error(_named_by(job.spec))
                one = Outcome(unread=(error.message, error.help))
            outcomes.append(one)
        return outcomes
    found = []
    for job in jobs:
        found.append(outcome(job))
        tick(job)
    return found


def _named_by(spec: Path | Found) -> str:
    return spec.argument or str(spec.path) if isinstance(spec, Found) else str(spec)


def _report(done: _Done, asked: _Asked, style: str) -> int:
    """Prints what was found to stderr; gives the exit code."""
    if asked.strict:
        done.reporter.strict()
    shown = [d for d in done.reporter.sorted() if d.severity == "error" or not asked.quiet]
    if style != "text":
        shown += [Diagnostic("usage", error.message, hint=error.help) for error in done.unread]
    if shown or style == "json":
        printer().print(shown, done.stopped)
    for error in done.unread if style == "text" else ():
        show_error(error)
    if done.unread:
        return UsageError.exit_code
    if done.reporter.failed:
        errors = sum(d.severity == "error" for d in shown)
        if style == "text" and not asked.quiet:
            say(f"{errors:,} error{'s' * (errors != 1)}{' or more' * done.stopped}")
        return SpecError.exit_code
    if not asked.quiet and style == "text" and not asked.facts:
        files, networks = done.files, done.networks
        say(f"ok: {files} file{'s' * (files != 1)}, {networks} network{'s' * (networks != 1)}")
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
    if found.block:
        found = _block_or_variant(found, found.block)
    if found.variant and variant is not None:
        raise UsageError(f"'{spec}' is a variant already", f"--variant goes with {found.path.stem}")
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
    unread += [
        UsageError(f"{p} is a link to a file that is not there", "remove the link, or write the file")
        for p in sorted(below)
        if not p.exists()
    ]
    files = sorted(path for path in below if path.is_file())
    if not files and not failed:
        raise UsageError(f"there is no YAML file below {folder}", "specs are .yaml or .yml")
    return files


def _block_or_variant(found: Found, block: str) -> Found:
    """A file with the one variant that is named, or all of it; raises UsageError where it has neither."""
    document = read_document(found, Reporter())
    if document is None:
        return found
    if block not in document.blocks and block not in document.variants:
        raise no_block(document, block)
    return found.among(document.blocks, document.variants)
