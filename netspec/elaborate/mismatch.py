"""What the sizes of branches that cannot be joined show: a forgotten pad, a stride, or another number of channels."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from netspec.elaborate.symbols import CallFrame, Operand
from netspec.ir.graph import Node, Ref
from netspec.ops import OPS, OpError, Shape
from netspec.ops.join import Disagreement
from netspec.ops.receptive_field import sliding_window, transposed_window
from netspec.ops.window import window

Size = tuple[int, ...]
MAX_SIDES, MAX_STEPS = 50, 200
"""So many branches are looked at, and so many steps of each."""


@dataclass(frozen=True, slots=True)
class Side:
    """One branch of a join: what it is called, what it gives, and the steps that gave it, the last one first."""

    label: str
    shape: Shape
    steps: tuple[Node, ...]
    start: Size | None
    """Height and width that entered these steps; None where they are not known."""

    @property
    def size(self) -> Size:
        """Height and width."""
        return tuple(int(d) for d in self.shape[2:])


def advice(nodes: Mapping[str, Node], operands: Sequence[Operand], frame: CallFrame, error: OpError) -> str:
    """The help for branches that disagree."""
    if not isinstance(error, Disagreement):
        return str(error.help or error)
    sides = [_side(nodes, label, value.refs[0], frame) for label, value in operands[:MAX_SIDES]]
    if len({len(s.shape) for s in sides}) > 1:
        flat = next(s for s in sides if len(s.shape) == 2 or len(s.shape) == min(len(o.shape) for o in sides))
        return f"{flat.label} is flat and the others are not: `flatten` stands in all of them, or after the join"
    gates = error.free == "gates" and len({s.size for s in sides} - {(1, 1)}) <= 1
    size = _size_advice(sides, frame) if len({s.size for s in sides}) > 1 and not gates else ""
    if error.free == "channels":
        return size or error.help
    channels = _channel_advice(sides, frame) if len({s.shape[1] for s in sides}) > 1 else ""
    if error.free == "gates":
        return "; ".join(filter(None, (size, error.help)))
    if channels and size:
        return _both(sides, frame) or f"the channels differ and so do the sizes: {channels}; {size}"
    return channels or size or error.help


def _side(nodes: Mapping[str, Node], label: str, ref: Ref, frame: CallFrame) -> Side:
    """Follows a branch back through steps of one operand each, as far as this call of a block goes."""
    shape = nodes[ref.node].shapes[ref.out]
    steps: list[Node] = []
    while len(steps) < MAX_STEPS:
        node = nodes[ref.node]
        if node.op == "input" or len(node.inputs) != 1 or not _inside(node, frame):
            break
        steps.append(node)
        (ref,) = node.inputs
        if (
            "kernel" not in node.attrs
            and "stride" not in node.attrs
            and node.shape[2:] != nodes[ref.node].shapes[ref.out][2:]
        ):
            return Side(label, shape, tuple(steps), None)
    entering = nodes[ref.node].shapes[ref.out][2:]
    return Side(label, shape, tuple(steps), tuple(int(d) for d in entering))


def _inside(node: Node, frame: CallFrame) -> bool:
    return not frame.prefix or node.path.startswith(f"{frame.prefix}.")


def _where(node: Node, frame: CallFrame) -> str:
    path = node.path[len(frame.prefix) + 1 :] if frame.prefix else node.path
    return f"{path} (line {node.span.line})" if node.span is not None else str(path)


def _names(nodes: Sequence[Node], frame: CallFrame) -> str:
    """The steps, in source order."""
    named = [_where(node, frame) for node in nodes[:6]]
    return " and ".join([", ".join(named[:-1]), named[-1]] if len(named) > 1 else named)


def _slides(node: Node) -> bool:
    """Whether the window of a step goes over what enters, by its stride."""
    return OPS[node.op].receptive_field is sliding_window


def _windows(side: Side, apart: Sequence[Node] = ()) -> Iterator[Node]:
    """The steps of a branch with a window, the first one first."""
    return (
        node
        for node in reversed(side.steps)
        if "kernel" in node.attrs and "pad" in node.attrs and _slides(node) and node not in apart
    )


def _unpadded(side: Side, apart: Sequence[Node]) -> list[Node]:
    """The steps that make a map smaller because their window has too small a pad, or none."""
    return [node for node in _windows(side, apart) if any(_missing(node))]


def _missing(node: Node) -> tuple[bool, bool]:
    """Whether the pad of a window is too small to keep the height, and the width."""
    pad, dilation = node.attrs["pad"], node.attrs.get("dilation", (1, 1))
    grown = [(k - 1) * d for k, d in zip(node.attrs["kernel"], dilation, strict=True)]
    return grown[0] > pad[0] + pad[1], grown[1] > pad[2] + pad[3]


def _pad(nodes: Sequence[Node]) -> str:
    """The pad that keeps the size in the windows of some steps."""
    return "half" if all(k % 2 for node in nodes for k in node.attrs["kernel"]) else "same_upper"


def _strided(side: Side, apart: Sequence[Node]) -> list[Node]:
    return [
        node
        for node in reversed(side.steps)
        if node not in apart and any(s > 1 for s in node.attrs.get("stride", ())) and _slides(node)
    ]


def _padded(side: Side, padded: Sequence[Node]) -> Size | None:
    """Height and width that a branch would give if these steps had `pad: half`; None where that is not known."""
    size = side.start
    for node in reversed(side.steps):
        if size is None or len(size) != 2 or OPS[node.op].receptive_field is transposed_window:
            return None
        attrs = node.attrs
        if "kernel" in attrs and "pad" in attrs:
            dilation = attrs.get("dilation", (1, 1))
            pad = _pad([node]) if node in padded else attrs["pad"]
            try:
                _, size = window(
                    (size[0], size[1]), attrs["kernel"], attrs["stride"], pad, dilation, attrs.get("ceil", False)
                )
            except OpError:
                return None
        elif "stride" in attrs:
            size = tuple(-(-d // s) for d, s in zip(size, attrs["stride"], strict=True))
    return size


def _size_advice(sides: Sequence[Side], frame: CallFrame) -> str:
    """What the heights and widths show, of each branch that is smaller than the largest."""
    large = max(sides, key=lambda s: s.size)
    pads: list[Node] = []
    parts: list[str] = []
    for side in sides:
        if side.size == large.size:
            continue
        common = [node for node in side.steps if node in large.steps]
        if found := _forgotten(side, large, common):
            pads += [node for node in found if node not in pads]
        elif strides := _stride_advice(side, large, common, frame):
            parts.append(strides)
            pads += [node for node in _beside_stride(side, large, common) if node not in pads]
        elif found := _unpadded(side, common):
            pads += [node for node in found if node not in pads]
    if pads:
        pads.sort(key=lambda node: (node.span.line, node.span.col) if node.span is not None else (0, 0))
        verb = "keeps the size at" if any(any(node.attrs["pad"]) for node in pads) else "is missing at"
        parts.insert(0, f"`pad: {_pad(pads)}` {verb} {_names(pads, frame)}")
    return "; ".join(parts) or "give all branches the same height and width (stride, pad)"


def _forgotten(small: Side, large: Side, common: Sequence[Node]) -> list[Node]:
    """The steps whose pad was forgotten, if that explains the sizes: all of a branch, one, or all of both branches."""
    found, others = _unpadded(small, common), _unpadded(large, common)
    if some := _explaining(small, found, large.size):
        return some
    return [*found, *others] if found and _padded(small, found) == _padded(large, others) is not None else []


def _explaining(side: Side, found: Sequence[Node], size: Size) -> list[Node]:
    """Of steps with too small a pad all, or one, that would give a size with `pad: half`; nothing where none would."""
    tried = [found, *([node] for node in found)]
    return next((list(some) for some in tried if some and _padded(side, some) == size), [])


def _beside_stride(small: Side, large: Side, common: Sequence[Node]) -> list[Node]:
    """The steps of a branch with a stride whose pad was forgotten as well, if that explains the rest of its size."""
    strided = tuple(-(-d // s) for d, s in zip(large.size, _product(_strided(small, common)), strict=True))
    if small.size == strided:
        return []
    found = _unpadded(small, common)
    bare = [node for node in found if not any(node.attrs["pad"])]
    return _explaining(small, bare, strided) or _explaining(small, found, strided)


def _stride_advice(small: Side, large: Side, common: Sequence[Node], frame: CallFrame) -> str:
    strides = _strided(small, common)
    if not strides or _strided(large, common):
        return ""
    both = _product(strides)
    factor = str(both[0]) if both[0] == both[1] else str(list(both))
    strided = f"{small.label} has stride {factor} at {_names(strides, frame)}"
    if not any(node not in common for node in large.steps):
        conv = f"`conv: {{out: {large.shape[1]}, kernel: 1, stride: {factor}}}`"
        return f"{strided}: the shortcut needs it too, as in {conv}"
    return f"{strided}, {large.label} has none: give both the same"


def _product(nodes: Sequence[Node]) -> tuple[int, ...]:
    """The stride of steps one after the other, down and across."""
    return tuple(math.prod(node.attrs["stride"][side] for node in nodes) for side in (0, 1))


def _shortcut(sides: Sequence[Side]) -> tuple[Side, Side] | None:
    """Of two branches, the one without steps of its own, and the other."""
    if len(sides) != 2:
        return None
    a, b = sides
    alone = [side for side, other in ((a, b), (b, a)) if not any(node not in other.steps for node in side.steps)]
    return (alone[0], b if alone[0] is a else a) if len(alone) == 1 else None


def _channel_advice(sides: Sequence[Side], frame: CallFrame) -> str:
    pair = _shortcut(sides)
    if pair is None:
        widths = ", ".join(f"{s.label} has {s.shape[1]}" for s in sides[:4])
        return f"the channels differ: {widths}; give all the same `out`"
    shortcut, other = pair
    return f"the shortcut needs a projection: {_projection(other, frame)}"


def _projection(other: Side, frame: CallFrame) -> str:
    block = frame.home.blocks.get(frame.block)
    if block is not None and any(p.name == "out" for p in block.params) and frame.home.callable("conv_bn"):
        return "conv_bn with out: =out"
    return f"`conv: {{out: {other.shape[1]}, kernel: 1}}`"


def _both(sides: Sequence[Side], frame: CallFrame) -> str:
    """Channels and size at once: a shortcut next to a strided branch."""
    pair = _shortcut(sides)
    if pair is None:
        return ""
    shortcut, other = pair
    common = [node for node in other.steps if node in shortcut.steps]
    strides = _strided(other, common)
    if not strides or len(set(_product(strides))) > 1:
        return ""
    stride = _product(strides)[0]
    if tuple(-(-d // stride) for d in shortcut.size) != other.size:
        return ""
    return (
        f"channels and size differ: the shortcut needs a projection with the stride of {_names(strides, frame)}: "
        f"`conv: {{out: {other.shape[1]}, kernel: 1, stride: {stride}}}`"
    )
