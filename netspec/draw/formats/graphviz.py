"""Graphviz, as pygraphviz brings it: quiet, and with one font for every machine."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from html import escape
from importlib.resources import files
from io import BytesIO
from typing import TYPE_CHECKING

from netspec.diagnostics.errors import MissingError
from netspec.files.parts import temporary_folder
from netspec.optional import importing

if TYPE_CHECKING:
    from PIL.ImageFont import FreeTypeFont

FONT_FILE = files("netspec.draw.formats") / "assets" / "Arimo-Regular.ttf"
FONTS = """<?xml version="1.0"?>
<!DOCTYPE fontconfig SYSTEM "urn:fontconfig:fonts.dtd">
<fontconfig>
  <dir>{folder}</dir>
  <cachedir>{folder}</cachedir>
  {system}
  <match target="pattern"><edit name="family" mode="prepend" binding="strong"><string>Arimo</string></edit></match>
</fontconfig>
"""
SYSTEM = '<include ignore_missing="yes">/etc/fonts/fonts.conf</include>'


def graphviz(dot: str, kind: str) -> bytes:
    """DOT as SVG, PNG or PDF, laid out by Graphviz's `dot`; raises MissingError without pygraphviz."""
    try:
        with importing(f"drawing {kind.upper()}", "pygraphviz"):
            import pygraphviz
    except MissingError as e:
        raise MissingError(str(e), f"{e.help}; these need nothing: -f html, -f mermaid, -f dot") from None
    # What is looked at without a page around it is white below.
    options = "" if kind == "svg" else "-Gbgcolor=white" + " -Gdpi=144" * (kind == "png")
    with _quiet(), _fonts(kind in ("png", "pdf") and any(map(_lacks, dot))):
        made = pygraphviz.AGraph(string=dot).draw(format=kind, prog="dot", args=options)
    assert isinstance(made, bytes)
    return made


# Cairo makes larger pictures smaller until they fit.
MOST_PIXELS = 32767


def shrunk(png: bytes) -> str:
    """Why a PNG is smaller than it was asked to be; empty if it is not."""
    width, height = (int.from_bytes(png[at : at + 4], "big") for at in (16, 20))
    return (
        f"a PNG has {MOST_PIXELS:,} pixels at most each way, so this one was made smaller"
        if (max(width, height) >= MOST_PIXELS)
        else ""
    )


def text_width(text: str, size: float) -> float | None:
    """The width of a text in points, as Graphviz measured it; None where another font has its letters."""
    return None if any(map(_lacks, text)) else _font().getlength(text) * size / 1000


@cache
def _font() -> FreeTypeFont:
    with importing("drawing SVG", "PIL", "draw"):
        from PIL import ImageFont

    return ImageFont.truetype(BytesIO(FONT_FILE.read_bytes()), 1000, layout_engine=ImageFont.Layout.BASIC)


@contextmanager
def _quiet() -> Iterator[None]:
    """Keeps what C libraries print on stderr (fontconfig, about files of the system's) from the user."""
    kept = os.dup(2)
    try:
        with open(os.devnull, "wb") as nowhere:
            os.dup2(nowhere.fileno(), 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)


@contextmanager
def _fonts(system: bool) -> Iterator[None]:
    """Measures texts in the font that is shipped, so that a picture has the same bytes whatever fonts a machine has.

    It has the widths of Helvetica and Arial, in which a reader's browser shows the text. With `system`, letters that
    it lacks come from the system's fonts. What a process used first stays: fontconfig reads its configuration once.
    """
    name, kept = "FONTCONFIG_FILE", os.environ.get("FONTCONFIG_FILE")
    os.environ[name] = _configuration(system)
    try:
        yield
    finally:
        if kept is None:
            del os.environ[name]
        else:
            os.environ[name] = kept


def _lacks(letter: str) -> bool:
    """Whether Arimo may lack a letter: it has the European scripts, Hebrew, punctuation and the signs of arithmetic."""
    return not ("\0" <= letter < "\u0600" or "\u1e00" <= letter < "\u2300")


@cache
def _configuration(system: bool) -> str:
    """A file for fontconfig next to the font, in a folder for its own files; both are kept until the process ends."""
    folder = temporary_folder()
    (folder / FONT_FILE.name).write_bytes(FONT_FILE.read_bytes())
    text = FONTS.format(folder=escape(str(folder)), system=SYSTEM if system else "")
    (folder / "fonts.conf").write_text(text, encoding="utf-8")
    return str(folder / "fonts.conf")
