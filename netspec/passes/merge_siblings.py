"""Merges 1x1 convolutions of one value into one, whose result is split.

They are one matrix product with more rows, as the reductions of a module of GoogLeNet (Szegedy et al. 2015, figure
2b). Whether one product and a split are faster than several depends on the runtime.
Case 1: 1x1 convolutions without groups that read the same value with the same stride and padding.
Case 2: where the same elementwise step alone follows each of them, it comes before the split, and runs once.
Left alone: layers that share weights, and values that a block gives by name.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

from netspec.ir.graph import Graph, Node, Ref
from netspec.ir.module import Module, Weight
from netspec.ops import OPS, Tensor
from netspec.passes.base import Stage, graph_pass, within
from netspec.passes.merging import joined, weight_of
from netspec.passes.rewriter import free_path, kept_values, new_node, readers, rewrite, sharing, steps_of


@dataclass(frozen=True, slots=True)
class Siblings:
    """Convolutions of one value, and the steps that follow each of them alike; none where there are no such."""

    convs: Sequence[Node]
    steps: Sequence[Node]


@graph_pass(stage=Stage.INFERENCE, named=True, placed=True)
def merge_siblings(module: Module, only: Collection[str] | None = None) -> Module:
    """Merges 1x1 convolutions that read one value into one convolution, and splits what it gives."""
    before: dict[str, list[Node]] = {}
    weights: dict[str, dict[str, Weight]] = {}
    parts: dict[str, Ref] = {}
    groups = _found(module.graph, only)
    for group in groups:
        made = _merged(module.graph, group)
        before[group.convs[0].path] = made
        weights[made[0].path] = {
            "weight": joined([weight_of(module, conv) for conv in group.convs], 0),
            "bias": joined([weight_of(module, conv, "bias") for conv in group.convs], 0),
        }
        parts |= {conv.path: Ref(made[0].path) for conv in group.convs if group.steps}
        parts |= {last.path: Ref(made[-1].path, part) for part, last in enumerate(group.steps or group.convs)}

    def visit(node: Node, operands: Sequence[Tensor]) -> Node | Ref:
        return parts.get(node.path, node)

    return rewrite(module, visit, weights=weights, before=before, times=sum(len(group.convs) for group in groups))


def _found(graph: Graph, only: Collection[str] | None) -> list[Siblings]:
    """The convolutions that are merged."""
    reading, kept, owners = readers(graph), kept_values(graph), sharing(graph)
    named = {ref for scope in graph.scopes.values() for ref in scope.outs.values()}
    alike: dict[tuple[object, ...], list[Node]] = {}
    for node in graph.nodes.values():
        a = node.attrs
        if node.op != "conv" or a["kernel"] != (1, 1) or a["groups"] != 1 or owners[node.weights_at] > 1:
            continue
        if Ref(node.path) not in named and within(node.path, only):
            alike.setdefault((node.inputs, a["stride"], a["pad"]), []).append(node)
    return [Siblings(convs, _steps(convs, reading, kept)) for convs in alike.values() if len(convs) > 1]


def _steps(convs: Sequence[Node], reading: Mapping[Ref, Sequence[Node]], kept: Collection[Ref]) -> list[Node]:
    """The elementwise steps that follow each convolution alike, where each alone reads its value."""
    steps: list[Node] = []
    for conv in convs:
        read = reading.get(Ref(conv.path), ())
        if len(read) != 1 or Ref(conv.path) in kept or Ref(read[0].path) in kept:
            return []
        steps.append(read[0])
    op = OPS[steps[0].op]
    same = all((step.op, step.attrs) == (steps[0].op, steps[0].attrs) for step in steps)
    elementwise = op.arity == 1 and op.same_when_flattened and not op.weights
    return steps if same and elementwise else []


def _merged(graph: Graph, group: Siblings) -> list[Node]:
    """The one convolution, the one elementwise step, and the split."""
    first = group.convs[0]
    widths = [int(conv.shape[1]) for conv in group.convs]
    attrs = {**first.attrs, "out": sum(widths), "bias": True}
    made = [new_node(free_path(graph, f"{first.path}_merged"), "conv", first.inputs, attrs, first)]
    if group.steps:
        step = group.steps[0]
        made.append(new_node(free_path(graph, f"{made[0].path}_step"), step.op, [Ref(made[0].path)], step.attrs, step))
    parts = free_path(graph, f"{made[0].path}_parts")
    made.append(new_node(parts, "split", [Ref(made[-1].path)], {"parts": tuple(widths)}, first))
    return [replace(made[0], folded=steps_of(group.convs)), *made[1:]]
