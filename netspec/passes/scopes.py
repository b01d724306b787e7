"""What becomes of the scopes of a graph when a pass rewrites its nodes."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace

from netspec.ir.graph import Ref, Scope, holders


def carried(scopes: Iterable[Scope], paths: Collection[str], source: Mapping[Ref, Ref]) -> list[Scope]:
    """The scopes that still hold one of the nodes at `paths`; they name what stands for a value now, or nothing."""
    held = holders(paths)

    def named(refs: Mapping[str, Ref]) -> dict[str, Ref]:
        found = {name: source.get(ref, ref) for name, ref in refs.items()}
        return {name: ref for name, ref in found.items() if ref.node in paths}

    return [replace(s, ins=named(s.ins), outs=named(s.outs)) for s in scopes if s.path in held]
