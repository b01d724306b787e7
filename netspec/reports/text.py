"""A text that a notebook shows as its lines, not as a literal."""

from __future__ import annotations

from typing import Protocol


class Printer(Protocol):
    """What IPython prints with."""

    def text(self, text: str) -> None:
        """Prints a text."""


class Text(str):
    """Lines of text, which are also what the console of Python shows of them."""

    __slots__ = ()

    def __repr__(self) -> str:
        return str(self)

    def _repr_pretty_(self, printer: Printer, cycle: bool) -> None:
        printer.text(str(self))
