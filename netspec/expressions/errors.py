"""The error of an expression: it knows characters of a text first, and their place once somebody knows that."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from netspec.diagnostics.errors import Hint, SemanticError, Span

At: TypeAlias = Callable[[int, int], Span]
"""The place of the characters from i to j of a text."""


class ExpressionError(SemanticError):
    """An error in an expression or a placeholder; `characters` are those of its text, None while they are unknown."""

    def __init__(
        self, code: str, message: str, help: str | Hint = "", characters: tuple[int, int] | None = None
    ) -> None:
        super().__init__(code, message, None, help)
        self.characters = characters

    def locate(self, characters: tuple[int, int]) -> None:
        """Gives the error its characters, if it has none."""
        self.characters = self.characters or characters

    def place(self, at: At) -> None:
        """Gives the error the place of its characters."""
        if self.span is None and self.characters is not None:
            self.span = at(*self.characters)
