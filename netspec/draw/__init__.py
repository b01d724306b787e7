"""Pictures: graph -> a layout-free picture -> DOT -> SVG, PNG, PDF."""

from netspec.draw.dot import to_dot
from netspec.draw.picture import picture
from netspec.draw.render import FORMATS, draw

__all__ = ["FORMATS", "draw", "picture", "to_dot"]
