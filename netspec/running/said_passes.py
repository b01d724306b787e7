"""A network after the passes that a model file names: the values that it has are those that they leave."""

from __future__ import annotations

from collections.abc import Sequence

from netspec.diagnostics.errors import NetspecError
from netspec.elaborate.compiled import Compiled
from netspec.expressions.identifiers import clipped
from netspec.passes import NAMED
from netspec.passes.base import Stage
from netspec.passes.places import scopes_of

SHOWN = 3
"""How many of the names that are no passes of this network are said."""


def after_said(network: Compiled, passes: Sequence[str]) -> tuple[Compiled, str]:
    """The network after the passes, as `--pass` takes them, and what is odd in these; empty where nothing is.

    They are of a file that anybody may have written: what is no pass of this network is left out, and said.
    """
    places = scopes_of(network.graph.nodes)
    known, odd = list[str](), list[str]()
    for text in dict.fromkeys(passes):
        (known if _fits(text, places) else odd).append(text)
    try:
        found = network.after(known) if known else network
        _ = found.module
    except NetspecError:  # of a file of another network
        found, odd = network, [*passes]
    if not odd:
        return found, ""
    more = f" and {len(odd) - SHOWN:,} more" if len(odd) > SHOWN else ""
    listed = ", ".join(repr(clipped(text)) for text in odd[:SHOWN]) + more
    return found, f"says that it was written after {listed}, no passes of this network: values may differ by them"


def _fits(text: str, places: set[str]) -> bool:
    """Whether it is a pass for inference, everywhere or at a place of the network."""
    name, at, path = text.partition("@")
    found = NAMED.get(name)
    return found is not None and found.stage is Stage.INFERENCE and (not at or (found.placed and path in places))
