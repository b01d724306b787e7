"""What is drawn: boxes, frames around them, and arrows, with scopes folded below a depth."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import networkx as nx

from netspec.graph import Graph, Node, Ref
from netspec.measure import totals
from netspec.ops.base import show
from netspec.regions import Region, tree

FITS_A_PAGE = 28
KINDS = {
    "input": "input",
    "conv": "weights",
    "conv_transpose": "weights",
    "linear": "weights",
    **dict.fromkeys(
        (
            "max_pool",
            "avg_pool",
            "global_avg_pool",
            "global_max_pool",
            "adaptive_avg_pool",
            "subsample",
            "upsample",
            "crop",
        ),
        "pool",
    ),
    **dict.fromkeys(("batch_norm", "layer_norm", "lrn", "channel_scale"), "norm"),
    **dict.fromkeys(("concat", "add", "mul", "mean", "max"), "join"),
}


@dataclass(frozen=True, slots=True)
class Box:
    """One thing in the picture: a node, or a folded scope."""

    path: str
    kind: str
    """input, weights, pool, norm, join, other, block or output."""
    lines: tuple[str, ...]
    tooltip: str
    source: str


@dataclass(eq=False, slots=True)
class Frame:
    """A scope that is open: its boxes and frames in the order of the spec."""

    path: str
    title: str
    kind: str
    tooltip: str = ""
    items: list[Box | Frame] = field(default_factory=list)

    def boxes(self) -> Iterator[Box]:
        """All boxes inside, however deep."""
        for item in self.items:
            if isinstance(item, Frame):
                yield from item.boxes()
            else:
                yield item


@dataclass(frozen=True, slots=True)
class Arrow:
    """A value on its way from one box to another."""

    source: str
    target: str
    label: str
    main: bool = True
    """Whether it leads to an output that inference has."""


@dataclass(eq=False, slots=True)
class Picture:
    """Everything that is drawn."""

    title: str
    root: Frame
    arrows: list[Arrow]


def picture(graph: Graph, depth: int | None = None) -> Picture:
    """The picture of a graph, open down to `depth`; by default as deep as fits a page, a layer and its norm one box."""
    root = tree(graph)
    layers = depth is None
    if depth is None:
        depth = next((d for d in (5, 4, 3, 2, 1) if _count(root, d) <= FITS_A_PAGE), 1)
    homes: dict[str, str] = {}
    frame = Frame("", "", "network")
    _fill(graph, root, frame, _Depth(depth, layers), homes)
    serves = {n for o in graph.outputs.values() if not o.training_only for n in _ancestors(graph, o.ref.node)}
    main = {homes[path] for path in serves}
    arrows: dict[Arrow, None] = {}
    for node in graph.nodes.values():
        for ref in node.inputs:
            a, b = homes[ref.node], homes[node.path]
            if a != b:
                arrows[Arrow(a, b, show(graph.shape(ref)), a in main and b in main)] = None
    for name, output in graph.outputs.items():
        lines = (name, *_training(output.training_only, output.loss_weight))
        box = Box(f"output {name}", "output", lines, f"output {name}", "")
        frame.items.append(box)
        label = show(graph.shape(output.ref))
        arrows[Arrow(homes[output.ref.node], box.path, label, not output.training_only)] = None
    return Picture(graph.title or graph.name, frame, list(arrows))


def _ancestors(graph: Graph, path: str) -> set[str]:
    return {path, *nx.ancestors(graph.nx, path)}


@dataclass(frozen=True, slots=True)
class _Depth:
    """How far scopes are opened: `left` levels, and whether a layer with its norm and activation stays one box."""

    left: int
    layers: bool

    def folds(self, region: Region) -> bool:
        """Whether a scope is one box."""
        return self.left <= 1 or (self.layers and _is_layer(region))


def _is_layer(region: Region) -> bool:
    """Whether a scope is a chain around one layer, such as conv, batch norm, ReLU."""
    nodes = [i for i in region.items if isinstance(i, Node)]
    if len(nodes) != len(region.items) or not 1 <= len(nodes) <= 4:
        return False
    chained = all(b.inputs == (Ref(a.path),) for a, b in pairwise(nodes))
    kinds = [KINDS.get(n.op, "other") for n in nodes]
    return chained and kinds.count("weights") == 1 and set(kinds) <= {"weights", "norm", "other"}


def _training(only: bool, weight: float | None) -> tuple[str, ...]:
    return (f"training only{f', loss x {weight:g}' if weight is not None else ''}",) if only else ()


def _count(region: Region, depth: int) -> int:
    """Boxes at a depth."""
    inner = _Depth(depth, True)
    return sum(1 if isinstance(i, Node) or inner.folds(i) else _count(i, depth - 1) for i in region.items)


def _fill(graph: Graph, region: Region, frame: Frame, depth: _Depth, homes: dict[str, str]) -> None:
    for item in region.items:
        if isinstance(item, Node):
            frame.items.append(_box(item, region))
            homes[item.path] = item.path
        elif depth.folds(item):
            frame.items.append(_folded(item, region))
            homes |= dict.fromkeys((n.path for n in item.nodes()), item.path)
        else:
            inner = Frame(item.path, _title(item, region), item.scope.kind, _describe(item))
            frame.items.append(inner)
            _fill(graph, item, inner, _Depth(depth.left - 1, depth.layers), homes)


def _box(node: Node, region: Region) -> Box:
    """A node: its name where one was written, and its op with what matters of its arguments."""
    text = op_text(node.op, node.attrs)
    name = region.relative(node.path)
    lines = (text,) if name.split("_")[0] in (node.op, node.op.split("_")[0]) else (name, text)
    return Box(
        node.path,
        KINDS.get(node.op, "other"),
        lines,
        f"{node.path}: {node.op} -> {show(node.shape)}",
        str(node.span or ""),
    )


def op_text(op: str, attrs: Mapping[str, Any]) -> str:
    """`3x3 conv, 64, /2`, as the figures of the papers label their boxes."""
    if op == "input":
        return f"input {show(attrs['shape'])}"
    words = {
        "global_avg_pool": "global average pool",
        "global_max_pool": "global max pool",
        "max_pool": "max pool",
        "avg_pool": "average pool",
        "batch_norm": "batch norm",
        "layer_norm": "layer norm",
        "relu": "ReLU",
        "relu6": "ReLU6",
        "lrn": "LRN",
        "concat": "concatenate",
        "add": "+",
        "mul": "\u00d7",
        "conv_transpose": "transposed conv",
        "channel_shuffle": "channel shuffle",
        "silu": "SiLU",
        "gelu": "GELU",
    }
    text = words.get(op, op.replace("_", " "))
    if "kernel" in attrs:
        kh, kw = attrs["kernel"]
        depthwise = op == "conv" and attrs["groups"] > 1 and attrs["groups"] == attrs["out"]
        text = f"{kh}\u00d7{kw} {'depthwise ' if depthwise else ''}{text}"
    if "out" in attrs:
        text += f", {attrs['out']}"
    stride = attrs.get("stride", (1, 1))
    if stride != (1, 1):
        text += f", /{stride[0] if stride[0] == stride[1] else 'x'.join(map(str, stride))}"
    if attrs.get("groups", 1) > 1 and attrs["groups"] != attrs.get("out"):
        text += f", {attrs['groups']} groups"
    return f"{text} {attrs['p']:g}" if op in ("dropout", "drop_path") else text


def _title(region: Region, parent: Region) -> str:
    name = parent.relative(region.path)
    block = region.scope.block
    return name if not block or _counted(name, block) else f"{name}: {block}"


def _folded(region: Region, parent: Region) -> Box:
    """A scope as one box: a layer with what follows it, or its name and what it repeats."""
    source = str(region.scope.span or "")
    if _is_layer(region):
        return Box(region.path, "weights", _layer_lines(region, parent), _describe(region), source)
    rounds = [i for i in region.items if isinstance(i, Region) and i.path.rpartition(".")[2].isdigit()]
    lines = [_title(region, parent)]
    if region.scope.kind == "group" and rounds and len(rounds) == len(region.items):
        shared = len({r.scope.weights_at for r in rounds}) == 1 and len(rounds) > 1
        block = rounds[0].scope.block or "rounds"
        lines.append(f"{block} \u00d7{len(rounds)}{' shared' if shared else ''}")
    return Box(region.path, "block", tuple(lines), _describe(region), source)


def _layer_lines(region: Region, parent: Region) -> tuple[str, ...]:
    """Its name where one was written, the layer, and on lines of their own what stands before and after it."""
    name = parent.relative(region.path)
    lines = [] if _counted(name, region.scope.block) else [name]
    line: list[str] = []
    for node in region.nodes():
        text = op_text(node.op, node.attrs)
        if KINDS.get(node.op) == "weights":
            lines += [", ".join(line)] if line else []
            lines.append(text)
            line = []
        else:
            line.append(text)
    return (*lines, ", ".join(line)) if line else tuple(lines)


def _counted(name: str, block: str) -> bool:
    """Whether a name is what the compiler gives to an unnamed step of a block: conv_bn, conv_bn_2."""
    rest = name.removeprefix(block)
    return bool(block) and name.startswith(block) and (not rest or (rest[0] == "_" and rest[1:].isdigit()))


def _describe(region: Region) -> str:
    counts = totals(region.nodes())
    args = ", ".join(f"{k}={v}" for k, v in region.scope.args.items())
    head = f"{region.path}: {region.scope.block or region.scope.kind}{f'({args})' if args else ''}"
    return f"{head}, {counts.params:,} parameters, {counts.macs:,} MACs"
