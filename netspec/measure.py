"""What a graph costs: parameters, multiply-accumulates, neurons, receptive field, by any part of it."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction

from netspec.graph import Graph, Node, Ref
from netspec.ops import Shape

COUNTED = ("conv", "conv_transpose", "linear")
FOOTER = (
    "MACs are multiply-accumulates of convolution and linear layers at batch 1, without bias; parameters include "
    "biases and the affine part of norms."
)


@dataclass(frozen=True, slots=True)
class Totals:
    """The cost of some nodes."""

    params: int
    stats: int
    """Elements of running statistics, which are not trained."""
    macs: int
    uncounted: tuple[str, ...]
    """Ops whose MACs no rule counts."""


def totals(nodes: Iterable[Node]) -> Totals:
    """The cost of nodes; shared weights count once."""
    seen: set[str] = set()
    params = stats = macs = 0
    uncounted: set[str] = set()
    for node in nodes:
        if node.rule.macs is None:
            uncounted.add(node.op)
        macs += node.rule.macs or 0
        for key, shape, trained in node.tensors():
            if key not in seen:
                seen.add(key)
                size = math.prod(map(int, shape))
                params, stats = (params + size, stats) if trained else (params, stats + size)
    return Totals(params, stats, macs, tuple(sorted(uncounted)))


def inside(graph: Graph, path: str) -> list[Node]:
    """The nodes at a path or below it."""
    return [n for p, n in graph.nodes.items() if p == path or p.startswith(path + ".")]


def output_of(graph: Graph, path: str) -> Ref | None:
    """What a step gives: the last value of its node or scope that others read, tees apart; None without such a step."""
    if path in graph.nx:
        return Ref(path)
    nodes = inside(graph, path)
    paths = {n.path for n in nodes}
    read = {r for n in graph.nodes.values() if n.path not in paths for r in n.inputs}
    read |= {o.ref for o in graph.outputs.values()}
    tees = tuple(f"{p}." for p, s in graph.scopes.items() if s.kind == "tee" and p.startswith(f"{path}."))
    main = [n for n in nodes if not n.path.startswith(tees)]
    seen = [Ref(n.path, i) for n in main for i in range(len(n.shapes)) if Ref(n.path, i) in read]
    return seen[-1] if seen else Ref(nodes[-1].path) if nodes else None


def output_shape(graph: Graph, path: str) -> Shape | None:
    """The shape of what a step gives; None where there is no step."""
    found = output_of(graph, path)
    return graph.shape(found) if found is not None else None


def neurons(graph: Graph) -> int:
    """Outputs of the layers that have weights, as Krizhevsky et al. 2012 count neurons (without the input)."""
    return sum(math.prod(map(int, n.shape[1:])) for n in graph.nodes.values() if n.op in COUNTED)


def receptive_field(graph: Graph, ref: Ref) -> tuple[int, int] | None:
    """Height and width of the input cells that one value can depend on; None where it is the whole input."""
    return receptive_fields(graph)[ref.node]


# What may depend on all that enters: sums over a map, and what looks where its input tells it to.
WHOLE = ("flatten", "global_avg_pool", "global_max_pool", "adaptive_avg_pool", "deform_conv", "roi_align",
         "deform_roi_pool")  # fmt: skip
Pair = tuple[Fraction, Fraction]


def receptive_fields(graph: Graph) -> dict[str, tuple[int, int] | None]:
    """Of every node, the height and width of the input cells that one value can depend on; None is the whole input.

    The field grows by (k - 1) * d * jump for a window of k and dilation d, and the jump by the stride (Araujo et al.
    2019); a transposed convolution reads floor((k - 1) * d / stride) + 1 cells at most, and divides the jump. Where
    paths join, the largest counts.
    """
    fields: dict[str, tuple[Pair, Pair] | None] = {}
    for node in graph.nodes.values():
        befores = [fields[r.node] for r in node.inputs]
        known = [before for before in befores if before is not None]
        if node.op == "input":
            fields[node.path] = ((Fraction(1), Fraction(1)), (Fraction(1), Fraction(1)))
        elif len(known) < len(befores) or node.op in WHOLE:
            fields[node.path] = None
        else:
            cells, scale = _window(node)
            size = tuple(max(b[0][i] for b in known) + (cells[i] - 1) * max(b[1][i] for b in known) for i in (0, 1))
            jump = tuple(max(b[1][i] for b in known) * scale[i] for i in (0, 1))
            fields[node.path] = ((size[0], size[1]), (jump[0], jump[1]))
    return {path: (math.ceil(f[0][0]), math.ceil(f[0][1])) if f else None for path, f in fields.items()}


def _window(node: Node) -> tuple[tuple[int, int], Pair]:
    """How many cells of its input a value reads, each way, and how many cells lie between two values."""
    if node.op == "upsample":
        cells = 2 if node.attrs["mode"] == "bilinear" else 1
        height, width = node.attrs["scale"]
        return (cells, cells), (Fraction(1, height), Fraction(1, width))
    kernel, stride = node.attrs.get("kernel", (1, 1)), node.attrs.get("stride", (1, 1))
    dilation = node.attrs.get("dilation", (1, 1))
    reach = [(k - 1) * d for k, d in zip(kernel, dilation, strict=True)]
    if node.op == "conv_transpose":
        cells_ = (reach[0] // stride[0] + 1, reach[1] // stride[1] + 1)
        return cells_, (Fraction(1, stride[0]), Fraction(1, stride[1]))
    return (reach[0] + 1, reach[1] + 1), (Fraction(stride[0]), Fraction(stride[1]))


def memory(nodes: Iterable[Node]) -> int:
    """Bytes of what nodes give, in float32 at batch 1."""
    return sum(4 * math.prod(map(int, shape[1:])) for node in nodes for shape in node.shapes)
