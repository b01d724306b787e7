"""What a layer is called with, as columns of tables: its window, its filters, what enters it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from netspec.analysis.measures import Part
from netspec.ir.graph import Node, Ref
from netspec.ops import OPS
from netspec.ops.base import show
from netspec.reports.configuration.notation import filter_shape, type_of
from netspec.reports.table import Cell


@dataclass(frozen=True, slots=True)
class Attribute:
    """A column of what layers are called with, and what it is."""

    of: Callable[[Part, Sequence[Ref]], Cell]
    doc: str


def _of_layers(text: Callable[[Node, Part], str]) -> Callable[[Part, Sequence[Ref]], Cell]:
    """What all layers of a step have in common, or all pools where it has no layer; None where they differ."""

    def value(part: Part, entered: Sequence[Ref]) -> Cell:
        for kind in ("weights", "pool"):
            if found := {text(node, part) for node in part.nodes if OPS[node.op].kind == kind}:
                return (found.pop() or None) if len(found) == 1 else None
        return None

    return value


def _attribute(name: str) -> Callable[[Part, Sequence[Ref]], Cell]:
    return _of_layers(lambda node, part: _sides(node.attrs.get(name)))


def _sides(value: object) -> str:
    """`3`, or `3x1` where the sides differ; four sides of a padding that differ as `0,1,0,1`."""
    if not isinstance(value, tuple):
        return "" if value is None else str(value)
    if len(set(value)) == 1:
        return str(value[0])
    if len(value) == 4:
        top, bottom, left, right = value
        return f"{top}x{left}" if (top, left) == (bottom, right) else ",".join(map(str, value))
    return "x".join(map(str, value))


def _kernel(node: Node, part: Part) -> str:
    return "x".join(map(str, node.attrs["kernel"])) if "kernel" in node.attrs else ""


def _filter(node: Node, part: Part) -> str:
    return filter_shape(node, part.measured.graph.shape(node.inputs[0]))


def _input(part: Part, entered: Sequence[Ref]) -> Cell:
    shapes = [show(part.measured.graph.shape(ref)) for ref in entered]
    return " + ".join(dict.fromkeys(shapes)) or None


ATTRIBUTES: Mapping[str, Attribute] = {
    "type": Attribute(_of_layers(lambda node, part: type_of(node)), "the kind of layer: conv, conv dw, max pool, fc"),
    "kernel": Attribute(_of_layers(_kernel), "height and width of the window"),
    "stride": Attribute(_attribute("stride"), "of the window"),
    "pad": Attribute(_attribute("pad"), "rows and columns around the map: all sides, height x width, or four sides"),
    "dilation": Attribute(_attribute("dilation"), "distance of the taps of the window"),
    "groups": Attribute(_attribute("groups"), "of channels that a convolution joins"),
    "filter": Attribute(_of_layers(_filter), "height x width x channels that a filter sees x filters"),
    "input": Attribute(_input, "the sizes of what is read, different ones with + between them"),
}
"""The columns by name. A folded step has what all of its layers have, or all of its pools where it has no layer."""
