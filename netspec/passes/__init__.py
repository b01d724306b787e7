"""Passes: in goes a graph; out comes another with the same outputs, each pass one file."""

from __future__ import annotations

from collections.abc import Callable

from netspec.ir.graph import Graph
from netspec.passes.drop_dropout import drop_dropout
from netspec.passes.drop_heads import drop_heads
from netspec.passes.fc_to_conv import fc_to_conv

Pass = Callable[[Graph], Graph]

INFERENCE: tuple[Pass, ...] = (drop_heads, drop_dropout)
"""What makes the inference graph of a training graph, in order."""

NAMED: dict[str, Pass] = {"fc_to_conv": fc_to_conv}
"""What a variant may ask for under `passes`."""


def inference(graph: Graph) -> Graph:
    """The graph that is run after training: no auxiliary heads, no dropout."""
    for rewrite in INFERENCE:
        graph = rewrite(graph).check()
    return graph
