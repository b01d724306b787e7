"""Turns branches of the same form into one of grouped convolutions.

The three forms of a block of ResNeXt are the same function (Xie et al. 2017, figure 3): (a) branches of 1x1, 3x3 and
1x1 convolutions that are added; (b) branches of 1x1 and 3x3 that are concatenated; (c) one 1x1, a grouped 3x3, a 1x1.
Case 1: branches that a `concat` joins next to each other, that read one value and are alike in their ops and
attributes: convolutions, norms and slopes of each channel, elementwise steps. The first layers are one of all their
outputs, each later one is grouped, and tensors of channels lie one after the other.
Case 2: the same with an `add`, where each branch ends with a convolution: the last ones are one that reads all of what
the branches have.
The steps of the first branch stay, with their names.
Left alone: a branch whose first convolution, or whose last of an `add`, is grouped already; layers that share weights;
values that are outputs, that a block gives by name, or that others read too.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace

from netspec.ir.graph import Graph, Node, Ref
from netspec.ir.module import Module, Weight
from netspec.ops import OPS, Tensor
from netspec.passes.base import Stage, graph_pass, within
from netspec.passes.merging import joined, summed, weight_of
from netspec.passes.rewriter import kept_values, readers, rewrite, sharing, steps_of, without

OF_CHANNELS = ("batch_norm", "channel_scale", "prelu")
"""Ops whose tensors have a number for each channel."""


@dataclass(frozen=True, slots=True)
class Alike:
    """Branches of a join that are alike: the places where they enter it, and the steps of each from the first on."""

    join: Node
    places: Sequence[int]
    branches: Sequence[Sequence[Node]]

    @property
    def levels(self) -> list[Sequence[Node]]:
        """The steps that become one, from the first of each branch on."""
        return list(zip(*self.branches, strict=True))


@graph_pass(stage=Stage.INFERENCE, named=True, level=2, placed=True)
def group_branches(module: Module, only: Collection[str] | None = None) -> Module:
    """Turns branches of the same form that are concatenated or added into one of grouped convolutions (ResNeXt)."""
    times = 0
    while found := _found(module.graph, only):
        module, times = _grouped(module, found), times + len(found)
    return replace(module, times=times) if times else module


def _grouped(module: Module, found: dict[str, Alike]) -> Module:
    """The module with one branch in place of some that are alike, by path of their join."""
    made: dict[str, Node] = {}
    weights: dict[str, dict[str, Weight]] = {}
    for alike in found.values():
        for depth, nodes in enumerate(alike.levels):
            adds = alike.join.op == "add" and depth == len(alike.levels) - 1
            first = nodes[0]
            made[first.path] = replace(_one(nodes, depth, adds), folded=(*first.folded, *steps_of(nodes[1:])))
            if first.result.weights or first.result.stats:
                weights[first.path] = _weights(module, nodes, adds)

    def visit(node: Node, operands: Sequence[Tensor]) -> Node | Ref:
        if node.path in made:
            return replace(made[node.path], inputs=node.inputs)
        if node.path not in found:
            return node
        gone = found[node.path].places[1:]
        left = tuple(ref for place, ref in enumerate(node.inputs) if place not in gone)
        return replace(node, inputs=left) if len(left) > 1 else left[0]

    gone = {node.path for alike in found.values() for branch in alike.branches[1:] for node in branch}
    return without(rewrite(module, visit, weights=weights), gone)


def _one(nodes: Sequence[Node], depth: int, adds: bool) -> Node:
    """The step in place of one of each branch."""
    first, count = nodes[0], len(nodes)
    if first.op != "conv":
        return first
    attrs = {**first.attrs}
    if not adds:
        attrs["out"] *= count
        attrs["groups"] *= count if depth else 1
    return replace(first, attrs=attrs)


def _weights(module: Module, nodes: Sequence[Node], adds: bool) -> dict[str, Weight]:
    """The tensors of the step in place of one of each branch."""
    made = {}
    for name in (*nodes[0].result.weights, *nodes[0].result.stats):
        each = [weight_of(module, node, name) for node in nodes]
        made[name] = summed(each) if adds and name == "bias" else joined(each, 1 if adds else 0)
    return made


def _found(graph: Graph, only: Collection[str] | None) -> dict[str, Alike]:
    """Branches that are alike, by path of their join; of a join the first."""
    reading, kept, owners = readers(graph), kept_values(graph), sharing(graph)

    def branch(ref: Ref) -> list[Node]:
        """The steps that lead to a value, each of which the next alone reads, back to what others read too."""
        steps: list[Node] = []
        while ref not in kept and len(reading[ref]) == 1 and _fits(node := graph.nodes[ref.node]):
            if owners[node.weights_at] > 1 and (node.result.weights or node.result.stats):
                break
            steps.insert(0, node)
            ref = node.inputs[0]
        return steps

    found: dict[str, Alike] = {}
    for join in graph.nodes.values():
        if join.op in ("concat", "add") and within(join.path, only):
            branches = [branch(ref) for ref in join.inputs]
            for places in _runs(branches, in_order=join.op == "concat"):
                chosen = [branches[place] for place in places]
                if len(chosen) > 1 and _groupable(chosen[0], join):
                    found[join.path] = Alike(join, places, chosen)
                    break
    return found


def _fits(node: Node) -> bool:
    op = OPS[node.op]
    return node.op in ("conv", *OF_CHANNELS) or (op.arity == 1 and op.same_when_flattened and not op.weights)


def _form(branch: Sequence[Node]) -> tuple[object, ...]:
    """What makes branches alike: the value that they read, and their ops and attributes."""
    return branch[0].inputs, *((node.op, tuple(sorted(node.attrs.items()))) for node in branch)


def _runs(branches: Sequence[Sequence[Node]], in_order: bool) -> Iterator[list[int]]:
    """The places of two and more branches that are alike; in a concatenation those next to each other."""
    runs: dict[object, list[int]] = {}
    last: object = None
    for place, branch in enumerate(branches):
        form = _form(branch) if branch else None
        if in_order and form != last and form in runs:
            yield runs.pop(form)
        last = form
        if branch:
            runs.setdefault(form, []).append(place)
    yield from runs.values()


def _groupable(branch: Sequence[Node], join: Node) -> bool:
    """Whether such branches can be one: the first layer reads all of one value, the last of a sum has no groups."""
    if branch[0].op != "conv" or branch[0].attrs["groups"] != 1:
        return False
    if join.op == "concat":
        return True
    return len(branch) > 1 and branch[-1].op == "conv" and branch[-1].attrs["groups"] == 1
