"""Where a network does not fit an input: the switch of its spec, such as `aux`, without whose part it does."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import replace

from netspec.diagnostics.errors import NetspecError, SpecError
from netspec.syntax.ast import Literal
from netspec.syntax.document import Document

DOES_NOT_FIT = "NS401"
MOST = 4
"""Switches that are tried."""


def with_switch(
    error: SpecError, document: Document, given: Collection[str], build: Callable[[str], object]
) -> SpecError:
    """The same errors, with the switch in their help; themselves where none helps. `build` builds without a part."""
    if {d.code for d in error.diagnostics if d.severity == "error"} != {DOES_NOT_FIT}:
        return error
    on = [p.name for p in document.params if isinstance(p.default, Literal) and p.default.value is True]
    for name in [name for name in on if name not in given][:MOST]:
        try:
            build(name)
        except NetspecError:
            continue
        text = f"; or `-s {name}=false`: without that part it fits"
        return SpecError(replace(d, hint=f"{d.help}{text}") if d.code == DOES_NOT_FIT else d for d in error.diagnostics)
    return error
