"""Names of columns, each once."""

from __future__ import annotations


def unique(name: str, taken: set[str]) -> str:
    """A name, numbered where it is taken already; it is taken then."""
    key, number = name, 1
    while key in taken:
        number += 1
        key = f"{name}_{number}"
    taken.add(key)
    return key
