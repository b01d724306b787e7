"""What is said of an option that a command does not have: a param of the spec is set by -s."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress

import click

from netspec.diagnostics.errors import NetspecError, Reporter


def meant_param(error: click.ClickException, words: Sequence[str]) -> str:
    """How to set the param that was meant, where an option or an argument reads as one; else nothing."""
    ctx = getattr(error, "ctx", None)
    if ctx is None or not any(p.name == "settings" for p in ctx.command.params):
        return ""
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
    from netspec.files.pipes import STDIN
    from netspec.syntax.library import find
    from netspec.syntax.reader import read_document

    for word in words[1:]:
        if word.startswith("-") or word in STDIN:
            continue
        with suppress(NetspecError):
            found = find(word)
            document = read_document(found, Reporter()) if found.data is None else None
            return [p.name for p in document.params] if document is not None else []
    return []
