"""Pictures: in goes a graph; out come a picture without a layout, and this as SVG, PNG, PDF, DOT, Mermaid or HTML."""

from netspec.draw.beside import beside
from netspec.draw.diff import difference
from netspec.draw.formats.dot import to_dot
from netspec.draw.formats.render import FORMATS, draw, render
from netspec.draw.model import SHOWN, View
from netspec.draw.numbers import HEATS
from netspec.draw.picture import picture

__all__ = ["FORMATS", "HEATS", "SHOWN", "View", "beside", "difference", "draw", "picture", "render", "to_dot"]
