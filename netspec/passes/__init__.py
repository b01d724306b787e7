"""Passes, each in one file: in goes a module, a graph with its weights; out comes one that
computes the same, or says that it does not."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from netspec.diagnostics.errors import Reporter, Span, UsageError, did_you_mean
from netspec.ir.graph import Graph
from netspec.ir.module import Module
from netspec.passes.base import REGISTERED, Pass, Stage

# The files of the passes, in the order in which they run.
from netspec.passes import fc_to_conv, drop_heads, drop_dropout, fold_batch_norm, add_softmax  # noqa: F401, E402  isort: skip

PASSES: tuple[Pass, ...] = tuple(REGISTERED)
"""Every pass, in the order in which they run."""

NAMED: dict[str, Pass] = {p.name: p for p in PASSES if p.named}
"""What `--pass` and a variant's `passes` may name."""


def named(name: str) -> Pass:
    """The pass of that name; raises UsageError."""
    if name not in NAMED:
        raise UsageError(f"there is no pass '{name}'", did_you_mean(name, NAMED))
    return NAMED[name]


def resolve(names: Iterable[tuple[str, Span]], reporter: Reporter) -> list[Pass]:
    """The passes that a spec names, each with its place; an unknown one is reported."""
    passes = []
    for name, place in names:
        if name in NAMED:
            passes.append(NAMED[name])
        else:
            reporter.error("NS202", f"there is no pass '{name}'", place, did_you_mean(name, NAMED))
    return passes


def of_stage(passes: Iterable[Pass], stage: Stage) -> list[Pass]:
    """Those of these passes that take the graph of a stage, once each, in the order in which they run.

    One that was made for a single network, as `tap` makes them, is before all others.
    """
    asked = [p for p in dict.fromkeys(passes) if p.stage is stage]
    return [p for p in asked if p not in PASSES] + [p for p in PASSES if p in asked]


def apply(passes: Sequence[Pass], module: Module) -> Module:
    """The module after these passes, each proved; raises ShapeMismatch."""
    for p in passes:
        module = p(module)
    return module


def inference(graph: Graph) -> Graph:
    """The graph that is run after training: no auxiliary heads, no dropout."""
    return apply([p for p in PASSES if p.stage is Stage.INFERENCE and not p.named], Module(graph)).graph
