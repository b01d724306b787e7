"""Commands that take a spec: of an option that they do not have it is said how a param of the spec is set."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress

import click

from netspec.diagnostics.errors import NetspecError, Reporter
from netspec.files.pipes import STDIN
from netspec.syntax.library import find
from netspec.syntax.reader import read_document


class SpecCommand(click.Command):
    """A command with `spec_options`, which says of an unknown option how the param that was meant is set."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parses the arguments; an error takes along the help that belongs to it."""
        words = list(args)
        try:
            return super().parse_args(ctx, args)
        except click.UsageError as e:
            e.help = meant_param(e, words)  # type: ignore[attr-defined]
            raise


def meant_param(error: click.UsageError, words: Sequence[str]) -> str:
    """How to set the param that was meant, where an option or an argument reads as one; else nothing."""
    if isinstance(error, click.NoSuchOption):
        option = next((w for w in words if w.startswith("-") and w.partition("=")[0] == error.option_name), "")
        single = next((w for w in words if w[:1] == "-" and w[1:2] != "-" and error.option_name == w[:2]), "")
        option = option or single
        name, equals, value = option.lstrip("-").partition("=")
        name = name.replace("-", "_")
        if not equals and option in words[:-1]:
            value = words[words.index(option) + 1]
        known = _params(words)
        if name in known or (name.isidentifier() and len(name) > 1 and not known and not error.possibilities):
            return f"to set a param of the spec: -s {name}={value if value[:1] != '-' and value else 'VALUE'}"
        return f"params of the spec are set by -s: {', '.join(known)}" if known and not error.possibilities else ""
    said = error.format_message()
    stray = next((w for w in words if "=" in w and w.partition("=")[0].isidentifier() and w in said), "")
    return f"to set a param of the spec: -s {stray}" if stray else ""


def _params(words: Sequence[str]) -> list[str]:
    """The params of the first spec that is named; none of one that is read once, or cannot be read."""
    for word in words:
        if word.startswith("-") or word in STDIN:
            continue
        with suppress(NetspecError):
            found = find(word)
            document = read_document(found, Reporter()) if found.data is None else None
            return [p.name for p in document.params] if document is not None else []
    return []
