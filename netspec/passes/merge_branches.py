"""Merges branches that are added and read one value into one convolution.

Convolutions of one value with the same stride are one whose kernel is the sum of theirs, a smaller one amid zeros;
the value itself is a 1x1 kernel of ones for each channel, and a batch norm of it one of its factors. So the 3x3, the
1x1 and the identity of a block of RepVGG are one 3x3 convolution (Ding et al. 2021, section 3.3).
Case 1: of the values that an `add` joins, convolutions of one value that it alone reads; the one with the largest
kernel stays, with its name, and takes the others.
Case 2: the same with the value itself, or a batch norm or scale of it, where the convolution keeps its size.
Case 3: an `add` that a further `add` alone reads is one sum with that.
Left alone: layers that share weights, and values that are outputs or that a block gives by name.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

from netspec.ir.graph import Graph, Node, Ref
from netspec.ir.module import Module, Stored, Weight
from netspec.ops import Tensor
from netspec.passes.base import Stage, graph_pass, within
from netspec.passes.folding import Affine, zeros
from netspec.passes.merging import summed
from netspec.passes.rewriter import kept_values, readers, rewrite, sharing, steps_of, without

if TYPE_CHECKING:
    import numpy as np

Taps = tuple[tuple[int, int], tuple[int, int]]
"""Where the first tap of a kernel lies in a larger one, and how many taps apart its own are, both as (h, w)."""

Place = tuple[str, int]
"""The path of an `add`, and which of its values."""


@dataclass(frozen=True, slots=True)
class Merged:
    """A convolution that takes others, and which values of the sum these are."""

    host: Node
    others: Mapping[Place, tuple[Node | None, Taps]]
    """By place: a layer or step with its taps in the kernel of the host; None is the value itself."""


@graph_pass(stage=Stage.INFERENCE, named=True, level=2, placed=True)
def merge_branches(module: Module, only: Collection[str] | None = None) -> Module:
    """Merges convolutions of one value that are added, and the value itself, into one (RepVGG)."""
    times = 0
    while found := _found(module.graph, only):
        module, times = _merged(module, found), times + len(found)
    return replace(module, times=times) if times else module


def _merged(module: Module, found: Sequence[Merged]) -> Module:
    """The module with one convolution in place of some that are added."""
    hosts: dict[str, Merged] = {merged.host.path: merged for merged in found}
    weights: dict[str, dict[str, Weight]] = {path: _weights(module, merged) for path, merged in hosts.items()}
    taken = {place for merged in found for place in merged.others}
    gone = {other.path for merged in found for other, _ in merged.others.values() if other is not None}
    left: dict[str, list[int]] = {}
    for node in module.graph.nodes.values():
        if node.op == "add":
            places = [i for i, ref in enumerate(node.inputs) if (node.path, i) not in taken and ref.node not in gone]
            left[node.path] = places
            if not places:
                gone.add(node.path)

    def visit(node: Node, operands: Sequence[Tensor]) -> Node | Ref:
        if node.path in hosts:
            steps = [other for other, _ in hosts[node.path].others.values() if other is not None]
            attrs = {**node.attrs, "bias": "bias" in weights[node.path]}
            return replace(node, attrs=attrs, folded=(*node.folded, *steps_of(steps)))
        places = left.get(node.path, ())
        if not places or len(places) == len(node.inputs):
            return node
        refs = tuple(node.inputs[i] for i in places)
        return replace(node, inputs=refs) if len(refs) > 1 else refs[0]

    return without(rewrite(module, visit, weights=weights), gone)


def _found(graph: Graph, only: Collection[str] | None) -> list[Merged]:
    """What is merged."""
    reading, kept, owners = readers(graph), kept_values(graph), sharing(graph)
    found: list[Merged] = []

    def free(ref: Ref) -> bool:
        node = graph.nodes[ref.node]
        own = not node.result.weights or owners[node.weights_at] == 1
        return own and ref not in kept and len(reading[ref]) == 1 and len(node.inputs) == 1

    for values in _sums(graph, {ref for ref, nodes in reading.items() if len(nodes) == 1 and ref not in kept}, only):
        steps = {place: graph.nodes[ref.node] if free(ref) else None for place, ref in values.items()}
        convs = [(place, step) for place, step in steps.items() if step is not None and step.op == "conv"]
        taken: set[Place] = set()
        for place, host in sorted(convs, key=lambda conv: -conv[1].attrs["kernel"][0] * conv[1].attrs["kernel"][1]):
            if place not in taken:
                left = [(at, ref, steps[at]) for at, ref in values.items() if at not in taken]
                if others := _others(host, left):
                    found.append(Merged(host, others))
                    taken |= {place, *others}
    return found


def _sums(graph: Graph, once: Collection[Ref], only: Collection[str] | None) -> list[dict[Place, Ref]]:
    """What each sum adds; a sum that another alone reads, which is one of the values read `once`, is part of that."""
    sums: dict[str, dict[Place, Ref]] = {}
    for node in graph.nodes.values():
        if node.op == "add" and within(node.path, only):
            parts: list[dict[Place, Ref]] = [
                sums.pop(ref.node) if ref in once and ref.node in sums else {(node.path, i): ref}
                for i, ref in enumerate(node.inputs)
            ]
            sums[node.path] = parts[0]
            for part in parts[1:]:
                sums[node.path].update(part)
    return list(sums.values())


def _others(host: Node, values: Sequence[tuple[Place, Ref, Node | None]]) -> dict[Place, tuple[Node | None, Taps]]:
    """What a convolution takes of the values that are added, by place."""
    others: dict[Place, tuple[Node | None, Taps]] = {}
    for place, ref, step in values:
        own = step is None or step.path != host.path
        itself = ref == host.inputs[0]
        if own and (itself or (step is not None and step.inputs == host.inputs)):
            taps = _taps(host, None if itself else step)
            if taps is not None:
                others[place] = (None if itself else step), taps
    return others


def _taps(host: Node, step: Node | None) -> Taps | None:
    """Where a layer or a step of each channel lies in the kernel of a convolution; None where it does not."""
    a = host.attrs
    kernel, dilation, pad, stride = (1, 1), (1, 1), (0, 0), (1, 1)
    if step is not None and step.op == "conv":
        b = step.attrs
        kernel, dilation, pad, stride = b["kernel"], b["dilation"], (b["pad"][0], b["pad"][2]), b["stride"]
        if b["groups"] != a["groups"]:
            return None
    elif step is not None and (step.op not in Affine.OPS or step.attrs.get("power", 1) != 1):
        return None
    if stride != a["stride"]:
        return None
    first, apart = [], []
    for axis in (0, 1):
        start, step_size = a["pad"][2 * axis] - pad[axis], dilation[axis] if kernel[axis] > 1 else a["dilation"][axis]
        last = start + step_size * (kernel[axis] - 1)
        if start % a["dilation"][axis] or step_size % a["dilation"][axis] or start < 0:
            return None
        if last > a["dilation"][axis] * (a["kernel"][axis] - 1):
            return None
        first.append(start // a["dilation"][axis])
        apart.append(step_size // a["dilation"][axis])
    return (first[0], first[1]), (apart[0], apart[1])


def _weights(module: Module, merged: Merged) -> dict[str, Weight]:
    """The sums of the kernels and of the biases."""
    host = merged.host
    shape = host.result.weights["weight"]
    kernels = [module.weight(f"{host.weights_at}.weight", shape)]
    biases = [module.weight(f"{host.weights_at}.bias", host.result.weights["bias"])] if host.attrs["bias"] else []
    for other, taps in merged.others.values():
        sizes = tuple(map(int, shape))
        if other is not None and other.op == "conv":
            weight = module.weight(f"{other.weights_at}.weight", other.result.weights["weight"])
            kernels.append(Weight(shape, partial(_embedded, weight, taps, sizes)))
            if other.attrs["bias"]:
                biases.append(module.weight(f"{other.weights_at}.bias", other.result.weights["bias"]))
            continue
        step = Affine(module, other) if other is not None else None
        kernels.append(Weight(shape, partial(_diagonal, step, taps, sizes)))
        if step is not None and step.shifts:
            biases.append(Weight((sizes[0],), partial(_term, step, sizes[0])))
    made = {"weight": summed(kernels)}
    return made | {"bias": summed(biases)} if biases else made


def _embedded(weight: Weight, taps: Taps, sizes: tuple[int, ...], stored: Stored) -> np.ndarray:
    """A kernel in the middle of zeros."""
    import numpy as np

    (top, left), (down, right) = taps
    large, small = np.zeros(sizes, np.float32), weight.make(stored)
    height, width = small.shape[2:]
    large[:, :, top : top + down * (height - 1) + 1 : down, left : left + right * (width - 1) + 1 : right] = small
    return large


def _diagonal(step: Affine | None, taps: Taps, sizes: tuple[int, ...], stored: Stored) -> np.ndarray:
    """The kernel that gives each channel itself, or with a factor."""
    import numpy as np

    large, channels = np.zeros(sizes, np.float32), np.arange(sizes[0])
    large[channels, channels % sizes[1], taps[0][0], taps[0][1]] = 1 if step is None else step.scale(stored)
    return large


def _term(step: Affine, channels: int, stored: Stored) -> np.ndarray:
    """What a step adds to each channel."""
    term: np.ndarray = step(zeros(channels), stored).astype("float32")
    return term
