"""A picture as a value: shown in a notebook, or saved."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import TypedDict

from netspec.diagnostics.errors import UsageError, check_options, did_you_mean
from netspec.draw.formats.render import TEXTS
from netspec.draw.model import SHOWN, View
from netspec.draw.numbers import heat_of
from netspec.files.atomic import write_bytes

HEIGHT = 640
"""Pixels of a page within a notebook, which scrolls in it."""


class ViewOptions(TypedDict, total=False):
    """What of a network is drawn, as the options of `netspec draw` say it."""

    depth: int | None
    collapse: Sequence[str]
    expand: Sequence[str]
    show: Collection[str]
    heat: str | None
    unfold: bool
    direct: bool


def view_of(options: ViewOptions) -> View:
    """The view with these options; raises UsageError for one, or for a value, that there is not."""
    check_options(options, ViewOptions.__annotations__, "a picture")
    depth, heat, show = options.get("depth"), options.get("heat"), options.get("show", View().show)
    if depth is not None and depth < 1:
        raise UsageError(f"depth is {depth}, and at least 1", "depth=1 shows the outermost blocks")
    for part in show:
        if part not in SHOWN:
            raise UsageError(f"there is no '{part}' to show", did_you_mean(part, SHOWN))
    kind, numbers = heat_of(heat) if heat is not None else (None, None)
    return View(
        depth,
        _names(options, "collapse"),
        _names(options, "expand"),
        frozenset(show),
        kind,
        options.get("unfold", False),
        options.get("direct", False),
        numbers,
    )


def _names(options: Mapping[str, object], key: str) -> tuple[str, ...]:
    found = options.get(key, ())
    return (found,) if isinstance(found, str) else tuple(map(str, found if isinstance(found, Collection) else ()))


@dataclass(frozen=True, slots=True)
class Drawing:
    """A picture in one of the formats of `netspec draw`."""

    name: str
    kind: str
    data: bytes

    def __repr__(self) -> str:
        return f"<picture of {self.name} as {self.kind}, {len(self.data):,} bytes>"

    def __str__(self) -> str:
        return self.data.decode() if self.kind in TEXTS else repr(self)

    def save(self, path: str | Path) -> Path:
        """Writes the file; raises OSError."""
        return write_bytes(path, self.data)

    def _repr_svg_(self) -> str | None:
        return str(self) if self.kind == "svg" else None

    def _repr_png_(self) -> bytes | None:
        return self.data if self.kind == "png" else None

    def _repr_html_(self) -> str | None:
        """A page stands in a frame, so that its script and its colours are its own."""
        if self.kind != "html":
            return None
        return f'<iframe srcdoc="{escape(str(self))}" style="width: 100%; height: {HEIGHT}px; border: 0"></iframe>'
