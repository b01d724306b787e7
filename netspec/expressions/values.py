"""What an expression gives: the types of values, and their names in messages."""

from __future__ import annotations

from typing import TypeAlias


class Opaque:
    """A value that expressions hand on and never look into, as the blocks of elaboration are."""


Number: TypeAlias = "int | float"
Value: TypeAlias = "bool | int | float | str | list[Value] | Opaque | None"


def kind(value: Value) -> str:
    """A value's type in words."""
    if isinstance(value, bool):
        return "a bool"
    if isinstance(value, int):
        return "an integer"
    if isinstance(value, float):
        return "a number"
    if isinstance(value, str):
        return "a string"
    return "a list" if isinstance(value, list) else "a block"
