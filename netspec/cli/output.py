"""What a command prints: results on stdout, all else on stderr, and both as a terminal or a log may have it."""

from __future__ import annotations

import sys
from typing import IO

import click

from netspec.diagnostics.errors import SHOWN_ERRORS, DataError, Diagnostic, NetspecError, SpecError, TooManyErrors
from netspec.diagnostics.printer import Printer
from netspec.diagnostics.streams import put, tell
from netspec.diagnostics.text import logged


def printer() -> Printer:
    """The printer of diagnostics that the options ask for."""
    options = click.get_current_context().find_root().obj
    return Printer(options.get("style", "text"), options.get("color", "auto"), most=options["max_errors"])


def colored(stream: IO[str]) -> bool:
    """Whether what is written to a stream has colours: those of --color, else a terminal's without NO_COLOR."""
    ctx = click.get_current_context(silent=True)
    options = ctx.find_root().obj if ctx is not None else {}
    return Printer(color=options.get("color", "auto"), stream=stream).color


def shown(text: str) -> str:
    """A text as a terminal or the log of a workflow may have it."""
    return logged(text)


def say(text: str) -> None:
    """A line on stderr, where progress and summaries go."""
    tell(shown(text))


def out(text: str) -> None:
    """A result on stdout, as people read it."""
    put(shown(text))


def size(number: float) -> str:
    """Bytes as people read them."""
    for unit in ("B", "KB", "MB", "GB"):
        if number < 1000 or unit == "GB":
            return f"{number:.0f} {unit}" if unit == "B" else f"{number:.1f} {unit}"
        number /= 1000
    raise AssertionError


def show_error(error: NetspecError) -> None:
    """Prints an error on stderr as the command line's options ask for."""
    ctx = click.get_current_context(silent=True)
    options = ctx.find_root().obj if ctx is not None and ctx.find_root().obj else {}
    options = {**options, **error.options}
    printer = Printer(
        options.get("style", "text"),
        options.get("color", _color()),
        most=options.get("max_errors", SHOWN_ERRORS),
    )
    if isinstance(error, SpecError):
        printer.print(error.diagnostics, isinstance(error, TooManyErrors))
    elif isinstance(error, DataError):
        printer.print([Diagnostic(error.code, error.message, hint=error.help)])
    else:
        printer.write(f"{printer.style('error', 'error')}: {logged(error.message)}")
        if error.help:
            printer.write(f"   {printer.style('help', 'help')}: {logged(error.help)}")


def _color() -> str:
    """The colour that was asked for, when the context is gone already."""
    args = sys.argv
    return args[args.index("--color") + 1] if "--color" in args[:-1] else "auto"
