"""Adds channels of zeros between layers until they fill blocks of 16.

onnxruntime keeps maps in blocks of 16 channels on a processor with AVX-512. A convolution that reads a count of
channels that is no multiple of 4 is computed in another layout, by a slower way, with the map reordered before and
behind it; so are grouped convolutions whose groups, when `widen_groups` has joined them, are no whole blocks.
Case 1: a value that convolutions alone give and read, or steps between them that act on each channel: the rows of zeros
of the weights before it give the new channels, the columns of zeros of those behind it ignore them. ShuffleNetV2 1.0x
has 58 channels in its second stage, which become 64.
Case 2: a grouped convolution with as many channels in as out gets further groups: 13 groups of 8 become 14 (RegNetY).
Left alone: what would grow by more than a quarter; values that are outputs or that a block gives by name; what a
concatenation, a split or a linear layer reads; groups that give more or fewer channels than they read; layers that
share weights.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from math import lcm
from typing import TYPE_CHECKING

from netspec.ir.graph import Node, Ref
from netspec.ir.module import Module, Stored, Weight
from netspec.ops import Shape, Tensor
from netspec.passes.base import Stage, graph_pass, within
from netspec.passes.merging import weight_of
from netspec.passes.rewriter import kept_values, rewrite, sharing

if TYPE_CHECKING:
    import numpy as np

BLOCK = 16
"""The numbers of float32 in a vector of AVX-512."""
READ = 4
"""What onnxruntime's convolutions of blocks have to read a multiple of."""
MORE = 1.25
"""How many times as many channels there may be."""
JOINS = ("add", "mul", "mean", "max")
"""Steps whose operands have the channels of their result, or one for all of them."""
EACH = (
    "max_pool avg_pool adaptive_avg_pool global_avg_pool global_max_pool upsample pad crop flip subsample identity "
    "relu relu6 sigmoid tanh silu gelu mish softplus elu hard_sigmoid hard_swish leaky_relu affine"
).split()
"""Steps that act on each channel by itself, and give numbers for zeros, but for most powers of `affine`."""


@dataclass(slots=True)
class Values:
    """Values that have to have the same count of channels."""

    channels: int
    refs: set[Ref] = field(default_factory=set)
    unit: int = BLOCK
    """What their count is to be a multiple of."""
    slow: bool = False
    """Whether some layer of the places that were asked for is slow with the count that they have."""
    fixed: bool = False
    """Whether they have to stay as they are."""

    @property
    def filled(self) -> int:
        """The count that they are to have."""
        return -(-self.channels // self.unit) * self.unit


@graph_pass(stage=Stage.INFERENCE, named=True, placed=True)
def fill_blocks(module: Module, only: Collection[str] | None = None) -> Module:
    """Adds channels of zeros between layers until they fill blocks of 16, where a convolution is slow otherwise."""
    sizes = {
        ref: values.filled
        for values in _alike(module, only)
        if values.slow and not values.fixed and values.channels < values.filled <= MORE * values.channels
        for ref in values.refs
    }
    nodes = module.graph.nodes
    found = {
        node.path: attrs
        for node in nodes.values()
        if node.op == "conv" and (node.inputs[0] in sizes or Ref(node.path) in sizes)
        for attrs in [_attrs(node, sizes)]
    }

    def visit(node: Node, operands: Sequence[Tensor]) -> Node:
        return replace(node, attrs=found[node.path]) if node.path in found else node

    weights: dict[str, dict[str, Weight]] = {
        path: _filled(module, nodes[path], attrs, sizes) for path, attrs in found.items()
    }
    return rewrite(module, visit, weights=weights, times=len(found))


def _alike(module: Module, only: Collection[str] | None) -> list[Values]:
    """All values, with those that have to have the same count of channels together."""
    graph, owners = module.graph, sharing(module.graph)
    of: dict[Ref, Values] = {}
    for node in graph.nodes.values():
        for out, shape in enumerate(node.shapes):
            ref = Ref(node.path, out)
            of[ref] = Values(int(shape[1]) if len(shape) > 1 else 0, {ref})
        for values in _together(node, of):
            _merge(values, of)
        if node.op == "conv" and owners[node.weights_at] == 1 and (node.attrs["groups"] == 1 or _groups_alike(node)):
            _read(node, of[node.inputs[0]], within(node.path, only))
        elif node.op not in JOINS and not _acts_on_each(node):
            for ref in (*node.inputs, *(Ref(node.path, out) for out in range(len(node.shapes)))):
                of[ref].fixed = True
    for ref in kept_values(graph):
        of[ref].fixed = True
    return list({id(values): values for values in of.values()}.values())


def _together(node: Node, of: Mapping[Ref, Values]) -> Iterator[list[Values]]:
    """Values of a step that have to have the same count of channels."""
    result = of[Ref(node.path)]
    if node.op in JOINS:
        yield [result, *(of[ref] for ref in node.inputs if of[ref].channels == result.channels)]
    elif _acts_on_each(node) or _groups_alike(node):
        yield [result, of[node.inputs[0]]]


def _merge(several: Sequence[Values], of: dict[Ref, Values]) -> None:
    """Makes values one: the most of them take the others, so that no value is taken often."""
    first = max(several, key=lambda values: len(values.refs))
    for other in several:
        if other is not first:
            first.refs |= other.refs
            first.unit = lcm(first.unit, other.unit)
            first.slow, first.fixed = first.slow or other.slow, first.fixed or other.fixed
            of.update(dict.fromkeys(other.refs, first))


def _read(node: Node, values: Values, asked: bool) -> None:
    """Notes what a convolution is with the channels that it reads."""
    groups, width = node.attrs["groups"], int(node.result.weights["weight"][1])
    if groups > 1:
        values.unit = lcm(values.unit, width)
    blocks = groups > 1 and width > 1 and values.channels % values.unit != 0
    values.slow = values.slow or asked and (blocks or values.channels % READ != 0)


def _groups_alike(node: Node) -> bool:
    """Whether a step is a convolution whose groups give as many channels as they read, depthwise or wider."""
    if node.op != "conv" or node.attrs["groups"] == 1:
        return False
    out, width = map(int, node.result.weights["weight"][:2])
    return bool(out == width * node.attrs["groups"])


def _acts_on_each(node: Node) -> bool:
    """Whether a step acts on each channel by itself, and gives numbers for zeros.

    Of a power that is not whole nothing is known: a shift before it may have made them negative.
    """
    power = float(node.attrs.get("power", 1))
    return node.op in EACH and power > 0 and power.is_integer()


def _attrs(node: Node, sizes: Mapping[Ref, int]) -> dict[str, object]:
    """The attributes of a convolution with more channels, of which grouped ones have more groups."""
    out = sizes.get(Ref(node.path), node.attrs["out"])
    groups = node.attrs["groups"]
    return {**node.attrs, "out": out, "groups": groups * out // node.attrs["out"] if groups > 1 else 1}


def _filled(module: Module, node: Node, attrs: Mapping[str, object], sizes: Mapping[Ref, int]) -> dict[str, Weight]:
    """The tensors of a convolution, with zeros for the channels that are new."""
    out, width, *kernel = node.result.weights["weight"]
    if attrs["groups"] == 1:
        width = sizes.get(node.inputs[0], width)
    out = sizes.get(Ref(node.path), out)
    made = {"weight": _larger(weight_of(module, node), (out, width, *kernel))}
    return made | ({"bias": _larger(weight_of(module, node, "bias"), (out,))} if node.attrs["bias"] else {})


def _larger(weight: Weight, shape: Shape) -> Weight:
    """A tensor with zeros behind it along its axes."""
    return weight if weight.shape == shape else Weight(shape, partial(_with_zeros, weight, tuple(map(int, shape))))


def _with_zeros(weight: Weight, shape: tuple[int, ...], stored: Stored) -> np.ndarray:
    import numpy as np

    small = weight.make(stored)
    return np.pad(small, [(0, size - has) for size, has in zip(shape, small.shape, strict=True)])
