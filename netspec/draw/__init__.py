"""Pictures: graph -> a picture without a layout -> DOT, Mermaid -> SVG, PNG, PDF."""

from netspec.draw.dot import to_dot
from netspec.draw.picture import picture
from netspec.draw.render import FORMATS, draw
from netspec.draw.view import HEATS, SHOWN, View

__all__ = ["FORMATS", "HEATS", "SHOWN", "View", "draw", "picture", "to_dot"]
