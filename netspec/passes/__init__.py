"""Passes, each in one file: in goes a module, a graph with its weights; out comes one that
computes the same, or says that it does not."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from netspec.diagnostics.errors import Reporter, Span, UsageError, did_you_mean
from netspec.ir.graph import Graph
from netspec.ir.module import Module
from netspec.ops import Shape
from netspec.passes import (
    add_softmax,
    concat_as_sum,
    drop_dead,
    drop_dropout,
    drop_heads,
    drop_identities,
    fc_to_conv,
    fill_blocks,
    fold_batch_norm,
    fold_scale,
    group_branches,
    hard_swish_as_mul,
    lrn_as_conv,
    merge_branches,
    merge_pads,
    merge_siblings,
    pool_first,
    share_duplicates,
    widen_groups,
    winograd,
)
from netspec.passes.base import Level, Pass, Stage
from netspec.passes.runtimes import costs, pays

PASSES: tuple[Pass, ...] = (
    fc_to_conv.fc_to_conv,
    drop_heads.drop_heads,
    drop_dropout.drop_dropout,
    drop_identities.drop_identities,
    drop_dead.drop_dead,
    share_duplicates.share_duplicates,
    merge_pads.merge_pads,
    fold_batch_norm.fold_batch_norm,
    fold_scale.fold_scale,
    merge_branches.merge_branches,
    group_branches.group_branches,
    pool_first.pool_first,
    merge_siblings.merge_siblings,
    concat_as_sum.concat_as_sum,
    lrn_as_conv.lrn_as_conv,
    hard_swish_as_mul.hard_swish_as_mul,
    fill_blocks.fill_blocks,
    widen_groups.widen_groups,
    winograd.winograd,
    add_softmax.add_softmax,
)
"""Every pass, in the order in which they run."""

NAMED: dict[str, Pass] = {p.name: p for p in PASSES if p.named}
"""What `--pass` and a variant's `passes` may name."""


def named(text: str) -> Pass:
    """The pass of a name, or of `NAME@PATH`, at the steps of a path alone; raises UsageError."""
    name, at, path = text.partition("@")
    if name not in NAMED:
        raise UsageError(f"there is no pass '{name}'", did_you_mean(name, NAMED))
    return NAMED[name].at([path]) if at else NAMED[name]


CHOSEN: dict[str, Pass] = {p.name: p for p in PASSES if p.placed}
"""Those of which a measurement decides: what `netspec tune` tries, and a profile may name."""


def of_level(level: Level, runtime: str = "", dtype: str = "float32", dynamic: bool = False) -> list[Pass]:
    """The passes that a level of optimisation has, in the order in which they run.

    Level 2 has for a runtime of the table of `runtimes` what pays there as well, and does not have what is slower;
    no level has what is not for networks that compute in `dtype`, or whose height and width are free (`dynamic`).
    """
    fitting = [p for p in PASSES if p.serves(dtype, dynamic)]
    if level < 2:
        return [p for p in fitting if 0 < p.level <= level]
    return [p for p in fitting if pays(runtime, p.name) or (p.level and not costs(runtime, p.name))]


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

    One that was made for a single network, as `tap` makes them, is before all others; one that is asked for at several
    places runs at all of them.
    """
    known = {p.name for p in PASSES}
    asked: dict[str, list[Pass]] = {}
    own: dict[Pass, None] = {}
    for p in passes:
        if p.name not in known:
            own[p] = None
        else:
            asked.setdefault(p.name, []).append(p)
    return [p for p in (*own, *(_joined(asked[p.name]) for p in PASSES if p.name in asked)) if p.stage is stage]


def _joined(same: Sequence[Pass]) -> Pass:
    """One pass at all the places of these, which are the same pass."""
    each = [p.only for p in same if p.only is not None]
    return replace(same[0], only=frozenset().union(*each) if len(each) == len(same) else None)


def apply(passes: Sequence[Pass], module: Module) -> Module:
    """The module after these passes, each proved; raises ShapeMismatch."""
    for p in passes:
        module = p(module)
    return module


def apply_and_tell(passes: Sequence[Pass], module: Module) -> tuple[Module, list[str]]:
    """The same, and which of the passes changed weights or left some out, as `--pass` takes them."""
    changing = []
    for p in passes:
        before, module = module, p(module)
        if module is not before and (module.computed != before.computed or _shapes(module) != _shapes(before)):
            changing += p.texts
    return module, changing


def _shapes(module: Module) -> dict[str, Shape]:
    return {key: shape for key, (shape, _, _) in module.graph.tensors().items()}


def inference(graph: Graph) -> Graph:
    """The graph that is run after training: no auxiliary heads, no dropout."""
    return apply([p for p in PASSES if p.stage is Stage.INFERENCE and not p.named], Module(graph)).graph
