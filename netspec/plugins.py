"""Ops and backends from outside: found through entry points, imported when asked for, named where they are at fault."""

from __future__ import annotations

import sys
import traceback
from functools import lru_cache
from importlib.metadata import EntryPoint, entry_points
from typing import NamedTuple

from netspec.diagnostics.errors import MissingError, NetspecError
from netspec.optional import OWN, importing

OPS, LOWERINGS, BACKENDS = GROUPS = ("netspec.ops", "netspec.lowerings", "netspec.backends")
"""The groups of entry points."""


def described(point: EntryPoint) -> str:
    """What an entry point names, and the distribution that brings it: `netspec_csv:BACKEND of netspec-csv 1.0`."""
    return f"{point.value} of {point.dist.name} {point.dist.version}" if point.dist is not None else point.value


def load(point: EntryPoint, who: str) -> object:
    """The object that an entry point names; raises MissingError, whatever goes wrong in the import."""
    try:
        with importing(who):
            return point.load()
    except (NetspecError, MemoryError):
        raise
    except (Exception, SystemExit) as e:  # noqa: BLE001 - the code of somebody else, which may raise anything
        why = str(e) if isinstance(e, ImportError) else f"{type(e).__name__}: {e}"
        raise MissingError(f"{who} ({described(point)}) cannot be imported: {why[:500]}") from e


@lru_cache(maxsize=1)
def load_ops() -> dict[str, MissingError]:
    """Imports every module of the group `netspec.ops`, which registers its ops with `@op`; gives what failed."""
    broken = {}
    for point in _points(OPS):
        try:
            load(point, f"the ops of '{point.name}'")
        except MissingError as e:
            broken[point.name] = e
    return broken


@lru_cache
def load_lowerings(target: str) -> tuple[MissingError, ...]:
    """Imports the modules of the group `netspec.lowerings` for a backend, which register rows; gives what failed."""
    broken = []
    for point in _points(LOWERINGS):
        if point.name == target:
            try:
                load(point, f"the lowerings for '{target}'")
            except MissingError as e:
                broken.append(e)
    return tuple(broken)


@lru_cache(maxsize=1)
def backends() -> dict[str, EntryPoint]:
    """The backends by name (group `netspec.backends`), not yet imported; one that has `rivals` is not used."""
    return {point.name: point for point in _points(BACKENDS)}


def rivals(name: str) -> list[EntryPoint]:
    """The entry points that give a backend of that name; one that is found twice, as on two paths, counts once."""
    return list({point.value: point for point in _points(BACKENDS) if point.name == name}.values())


def lowered() -> set[str]:
    """The names under which packages say that they have lowerings, not all of which need be of a backend."""
    return {point.name for point in _points(LOWERINGS)}


class Culprit(NamedTuple):
    """A plug-in in whose code an error arose, and where it did."""

    plugin: str
    file: str
    line: int
    function: str


def culprit(error: BaseException) -> Culprit | None:
    """The plug-in that an error came through on its way, at the innermost line of its code; None for our own bug."""
    found = None
    owners = {point.module.partition(".")[0]: point for group in GROUPS for point in _points(group)}
    for frame, line in traceback.walk_tb(error.__traceback__):
        package = str(frame.f_globals.get("__name__", "")).partition(".")[0]
        if package in owners and package not in OWN:
            code = frame.f_code
            found = Culprit(described(owners[package]), code.co_filename, line, code.co_name)
    return found


def _points(group: str) -> list[EntryPoint]:
    return list(_by_group(tuple(sys.path))[group])


@lru_cache(maxsize=1)
def _by_group(path: tuple[str, ...]) -> dict[str, list[EntryPoint]]:
    """The entry points of the packages on a path, whose files are read once for all groups."""
    found = entry_points()
    return {group: list(found.select(group=group)) for group in GROUPS}
