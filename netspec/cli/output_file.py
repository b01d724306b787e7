"""The file of -o, which is named before any work is done, and a text that is written to it."""

from __future__ import annotations

import os
from pathlib import Path

import click

from netspec.diagnostics.streams import put
from netspec.diagnostics.text import printable
from netspec.files.atomic import check_writable, write_text


class OutputFile(click.ParamType):  # type: ignore[type-arg, unused-ignore]
    """A file to write, in a folder that is there; - is stdout, or refused where a file alone can be written."""

    name = "FILE"

    def __init__(self, folder: bool = False, stdout: bool = True) -> None:
        self.folder, self.stdout = folder, stdout

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """The name as it is; fails for one that cannot be a file's, before any work is done."""
        text = str(value)
        if not text.strip():
            self.fail("an empty name is given", param, ctx)
        if text == "-" and not self.stdout:
            self.fail("'-' is stdout, and this goes to a file; name one", param, ctx)
        if self.folder and (os.path.isdir(text) or text.rstrip("/" + os.sep) and text.endswith(("/", os.sep))):
            return text
        if text.endswith(("/", os.sep)):
            self.fail(f"'{text}' is the name of a folder; name a file in it", param, ctx)
        if text != "-":
            check_writable(text)
        return text


def suffix_of(output: str | None) -> str:
    """The suffix of an output file in lower case, without its dot: `svg` of x.svg and of .svg alike."""
    return Path(output or "").name.rpartition(".")[2].lower() if "." in Path(output or "").name else ""


def write_result(text: str, output: str | None) -> None:
    """A text to the file of -o, or to stdout, where control characters are escaped."""
    if output in (None, "-"):
        put(printable(text))
    else:
        write_text(Path(str(output)), text if text.endswith("\n") else text + "\n")
