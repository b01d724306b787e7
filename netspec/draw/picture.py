"""What is drawn: boxes, frames around them, and arrows, with scopes folded below a depth."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from netspec.graph import Graph, Node
from netspec.measure import totals
from netspec.ops.base import show
from netspec.regions import Region, tree

FITS_A_PAGE = 36
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


@dataclass(eq=False, slots=True)
class Picture:
    """Everything that is drawn."""

    title: str
    root: Frame
    arrows: list[Arrow]


def picture(graph: Graph, depth: int | None = None) -> Picture:
    """The picture of a graph: open down to `depth`, or as deep as fits a page."""
    root = tree(graph)
    if depth is None:
        depth = next((d for d in (4, 3, 2, 1) if _count(root, d) <= FITS_A_PAGE), 1)
    homes: dict[str, str] = {}
    frame = Frame("", "", "network")
    _fill(graph, root, frame, 1, depth, homes)
    arrows: dict[Arrow, None] = {}
    for node in graph.nodes.values():
        for ref in node.inputs:
            a, b = homes[ref.node], homes[node.path]
            if a != b:
                arrows[Arrow(a, b, show(graph.shape(ref)))] = None
    for name, output in graph.outputs.items():
        box = Box(
            f"output {name}",
            "output",
            (name, *_training(output.training_only, output.loss_weight)),
            f"output {name}",
            "",
        )
        frame.items.append(box)
        arrows[Arrow(homes[output.ref.node], box.path, show(graph.shape(output.ref)))] = None
    return Picture(graph.title or graph.name, frame, list(arrows))


def _training(only: bool, weight: float | None) -> tuple[str, ...]:
    return (f"training only{f', loss x {weight:g}' if weight is not None else ''}",) if only else ()


def _count(region: Region, depth: int, level: int = 1) -> int:
    """Boxes at a depth."""
    return sum(1 if isinstance(i, Node) or level >= depth else _count(i, depth, level + 1) for i in region.items)


def _fill(graph: Graph, region: Region, frame: Frame, level: int, depth: int, homes: dict[str, str]) -> None:
    for item in region.items:
        if isinstance(item, Node):
            frame.items.append(_box(item, region))
            homes[item.path] = item.path
        elif level >= depth:
            frame.items.append(_folded(graph, item, region))
            homes |= dict.fromkeys((n.path for n in item.nodes()), item.path)
        else:
            inner = Frame(item.path, _title(item, region), item.scope.kind, _describe(item))
            frame.items.append(inner)
            _fill(graph, item, inner, level + 1, depth, homes)


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
    return name if not block or name.rstrip("_0123456789") == block else f"{name}: {block}"


def _folded(graph: Graph, region: Region, parent: Region) -> Box:
    """A scope as one box: its name, what it repeats, its output."""
    rounds = [i for i in region.items if isinstance(i, Region) and i.path.rpartition(".")[2].isdigit()]
    title = _title(region, parent)
    lines = [title]
    if region.scope.kind == "group" and rounds and len(rounds) == len(region.items):
        shared = len({r.scope.weights_at for r in rounds}) == 1 and len(rounds) > 1
        block = rounds[0].scope.block or "rounds"
        lines.append(f"{block} \u00d7{len(rounds)}{' shared' if shared else ''}")
    return Box(region.path, "block", tuple(lines), _describe(region), str(region.scope.span or ""))


def _describe(region: Region) -> str:
    counts = totals(region.nodes())
    args = ", ".join(f"{k}={v}" for k, v in region.scope.args.items())
    head = f"{region.path}: {region.scope.block or region.scope.kind}{f'({args})' if args else ''}"
    return f"{head}, {counts.params:,} parameters, {counts.macs:,} MACs"
