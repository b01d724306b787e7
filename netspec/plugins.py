"""Ops and backends from outside, found through entry points and imported only when asked for."""

from __future__ import annotations

from functools import lru_cache
from importlib.metadata import EntryPoint, entry_points

from netspec.diagnostics.errors import MissingError


@lru_cache(maxsize=1)
def load_ops() -> None:
    """Imports every module of the group `netspec.ops`, which registers its ops with `@op`; raises MissingError."""
    for point in _points("netspec.ops"):
        try:
            point.load()
        except (ImportError, TypeError) as e:  # @op refuses facts that do not fit
            raise MissingError(f"the ops of '{point.name}' cannot be imported: {e}") from None


@lru_cache
def load_lowerings(target: str) -> None:
    """Imports every module of the group `netspec.lowerings` that is for a backend, which registers rows for its ops."""
    for point in _points("netspec.lowerings"):
        if point.name == target:
            try:
                point.load()
            except (ImportError, ValueError) as e:  # a second row for an op is refused
                raise MissingError(f"the lowerings of '{point.value}' cannot be imported: {e}") from None


@lru_cache(maxsize=1)
def backends() -> dict[str, EntryPoint]:
    """The backends by name (group `netspec.backends`), not yet imported."""
    return {point.name: point for point in _points("netspec.backends")}


def _points(group: str) -> list[EntryPoint]:
    return list(entry_points(group=group))
