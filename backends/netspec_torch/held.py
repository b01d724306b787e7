"""Modules all of whose layers are frozen."""

from __future__ import annotations

from collections.abc import Collection, Iterable


def held(layers: Collection[str], frozen: Collection[str]) -> set[str]:
    """The frozen ones of a network's layers, and the modules around them that have no other."""
    return _above(frozen) - _above(layer for layer in layers if layer not in frozen)


def outermost(paths: Collection[str]) -> list[str]:
    """Those of these modules that lie in no other of them, in their order."""
    return [path for path in paths if not any(path[:i] in paths for i, c in enumerate(path) if c == ".")]


def _above(layers: Iterable[str]) -> set[str]:
    """The layers, and the paths that they are below."""
    return {path[:i] for path in layers for i, c in enumerate(f"{path}.") if c == "."}
