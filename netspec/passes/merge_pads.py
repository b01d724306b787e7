"""Moves explicit paddings of zeros into the layers that read them.

Case 1: `pad` with zeros whose readers are all convolutions: each pads by itself, as far more.
Case 2: an average pool that counts its padding, or that has none: it counts the zeros of the map, and not those
beyond a window that rounding up lets stick out, so it takes none with `ceil`, and never more than half a window.
Case 3: a padding of a padding is one.
Left alone: other modes, a max pool (its own padding is below every value), a value that is an output or that a block
gives by name, and one that something else reads too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from netspec.expressions.identifiers import Path
from netspec.ir.graph import Graph, Node, Ref
from netspec.ir.module import Module
from netspec.ops import Tensor
from netspec.ops.window import Pads
from netspec.passes.base import Stage, graph_pass
from netspec.passes.rewriter import kept_values, readers, rewrite


@graph_pass(stage=Stage.INFERENCE, named=True, level=1)
def merge_pads(module: Module) -> Module:
    """Moves each `pad` of zeros into the padding of the convolutions and average pools that read it."""
    gone, padding, taken = _merged(module.graph)

    def visit(node: Node, operands: Sequence[Tensor]) -> Node | Ref:
        if node.path in gone:
            return node.inputs[0]
        if node.path not in padding:
            return node
        attrs = {**node.attrs, "pad": padding[node.path]} | ({"count_pad": True} if node.op == "avg_pool" else {})
        return replace(node, attrs=attrs, folded=(*node.folded, *taken[node.path]))

    return rewrite(module, visit)


def _merged(graph: Graph) -> tuple[set[str], dict[str, Pads], dict[str, tuple[Path, ...]]]:
    """The paddings that go, and by step that takes some the padding that it has in all, and which it takes."""
    reading, kept = readers(graph), kept_values(graph)
    gone: set[str] = set()
    padding: dict[str, Pads] = {}
    taken: dict[str, tuple[Path, ...]] = {}
    for node in graph.nodes.values():
        taking = reading.get(Ref(node.path), [])
        if node.op != "pad" or node.attrs["pad_mode"] != "zeros" or Ref(node.path) in kept or not taking:
            continue
        sides: Pads = padding[node.path] if node.path in padding else node.attrs["pad"]
        summed: dict[str, Pads] = {
            reader.path: _sum(sides, reader.attrs["pad"]) for reader in taking if "pad" in reader.attrs
        }
        if all(_takes(reader, summed) for reader in taking):
            gone.add(node.path)
            padding |= summed
            taken |= dict.fromkeys(summed, (*taken.get(node.path, ()), node.path))
    return gone, padding, taken


def _takes(reader: Node, summed: Mapping[str, Pads]) -> bool:
    """Whether a step that reads a map with zeros around it can pad by itself, and compute the same."""
    attrs = reader.attrs
    if reader.op == "avg_pool":
        (top, bottom, left, right), (height, width) = summed[reader.path], attrs["kernel"]
        fits = max(top, bottom) <= height // 2 and max(left, right) <= width // 2
        return fits and not attrs["ceil"] and (attrs["count_pad"] or not any(attrs["pad"]))
    return reader.op == "conv" or (reader.op == "pad" and attrs["pad_mode"] == "zeros")


def _sum(a: Pads, b: Pads) -> Pads:
    return a[0] + b[0], a[1] + b[1], a[2] + b[2], a[3] + b[3]
