"""What a user chose to see."""

from __future__ import annotations

from dataclasses import dataclass

SHOWN = ("names", "shapes", "params", "macs", "rf", "memory", "notes")
HEATS = ("params", "macs", "rf", "memory")


@dataclass(frozen=True, slots=True)
class View:
    """Which scopes are open, what boxes say, and what colours them."""

    depth: int | None = None
    """Levels of scopes that are open; None is as many as fit a page."""
    collapse: tuple[str, ...] = ()
    """Scopes that stay closed: paths, blocks, patterns of paths."""
    expand: tuple[str, ...] = ()
    """Scopes that are opened wherever they lie; one named by its path stands apart from its repeats."""
    show: frozenset[str] = frozenset(("names", "shapes"))
    heat: str | None = None
    unfold: bool = False
    """Every node and every repeat for itself."""
    direct: bool = False
    """Concatenations as arrows, from each value that one joins to each step that reads it."""
