"""Graphviz, as pygraphviz brings it: in a process of its own, and with one font for every machine."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import weakref
from collections.abc import Mapping
from contextlib import suppress
from functools import cache
from html import escape
from importlib.resources import files
from io import BytesIO
from threading import Lock, Timer
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
    """DOT as SVG, PNG or PDF, laid out by Graphviz's `dot`; raises MissingError where it is absent or crashes."""
    try:
        with importing(f"drawing {kind.upper()}", "pygraphviz"):
            import pygraphviz  # noqa: F401
    except MissingError as e:
        raise MissingError(e.message, f"{e.help}; these need nothing: -f html, -f mermaid, -f dot") from None
    # What is looked at without a page around it is white below.
    options = "" if kind == "svg" else "-Gbgcolor=white" + " -Gdpi=144" * (kind == "png")
    system = kind in ("png", "pdf") and any(map(_lacks, dot))
    request = {"dot": dot, "kind": kind, "args": options}
    with _LOCK:
        for _ in range(2):  # what crashes after many pictures is drawn by a new process
            made = None
            try:
                made = _process(os.getpid(), system).answer(request)
            finally:
                if made is None:  # also when interrupted: its answer would be the next request's
                    _process.cache_clear()
            if made is not None:
                return made
    raise MissingError("Graphviz crashed on this picture", LESS)


_LOCK = Lock()
SECONDS = 300
"""How long Graphviz may take over a picture: there are graphs that it does not lay out in a day."""
LESS = "draw it less deep, or with -f html, -f mermaid or -f dot"


class _Process:
    """Graphviz in another process, which keeps the fonts that it began with.

    Its C code reads texts of specs: what goes wrong there must not take this process along.
    """

    def __init__(self, fonts: str) -> None:
        # -P: the folder of the user, which may have a file pygraphviz.py, is searched as far as this process does it.
        command = [sys.executable, "-P", str(files("netspec.draw.formats") / "layout_process.py")]
        environment = {**os.environ, "FONTCONFIG_FILE": fonts, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment
        )
        weakref.finalize(self, _end, self.process)

    def answer(self, request: Mapping[str, str]) -> bytes | None:
        """What Graphviz made; None where its process has ended; raises MissingError where it takes too long."""
        slow: list[bool] = []

        def give_up() -> None:
            slow.append(True)
            self.process.kill()

        timer = Timer(SECONDS, give_up)
        timer.daemon = True
        timer.start()
        try:
            made = self._answer(request)
        finally:
            timer.cancel()
        if slow:
            raise MissingError(f"Graphviz took more than {SECONDS:g} seconds over this picture", LESS)
        return made

    def _answer(self, request: Mapping[str, str]) -> bytes | None:
        to, of = self.process.stdin, self.process.stdout
        assert to is not None and of is not None
        with suppress(OSError):
            to.write(json.dumps(request).encode() + b"\n")
            to.flush()
            length = of.readline()
            made = of.read(int(length)) if length.endswith(b"\n") else b""
            return made if length and len(made) == int(length) else None
        return None


def _end(process: subprocess.Popen[bytes]) -> None:
    """Ends a process that waits for a request, or is at work on one that nobody waits for."""
    process.kill()
    process.communicate()


@cache
def _process(pid: int, system: bool) -> _Process:
    """The process for the pictures of this one (a fork of it needs its own), with the system's fonts or without."""
    return _Process(_configuration(system))


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


def _lacks(letter: str) -> bool:
    """Whether Arimo may lack a letter: it has the European scripts, Hebrew, punctuation and the signs of arithmetic."""
    return not ("\0" <= letter < "\u0600" or "\u1e00" <= letter < "\u2300")


@cache
def _configuration(system: bool) -> str:
    """A file for fontconfig next to the font, in a folder for its own files; both are kept until the process ends.

    Texts are measured in the font that is shipped, so that a picture has the same bytes whatever fonts a machine has;
    it has the widths of Helvetica and Arial, in which a reader's browser shows the text. With `system`, letters that it
    lacks come from the system's fonts. (Fontconfig reads its configuration once in a process.)
    """
    folder = temporary_folder()
    (folder / FONT_FILE.name).write_bytes(FONT_FILE.read_bytes())
    text = FONTS.format(folder=escape(str(folder)), system=SYSTEM if system else "")
    (folder / "fonts.conf").write_text(text, encoding="utf-8")
    return str(folder / "fonts.conf")
