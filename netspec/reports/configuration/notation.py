"""How a cell of a configuration table writes layers: the notations of the papers."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Literal, TypeAlias, TypeVar

from netspec.diagnostics.text import clip
from netspec.draw.labels import op_text
from netspec.ir.graph import Node
from netspec.ops import OPS, Shape
from netspec.ops.base import Attrs
from netspec.reports.configuration.series import (
    Aside,
    Gate,
    Layer,
    Parallel,
    Series,
    Tangle,
    is_depthwise,
    layers,
    size,
    structure,
)
from netspec.reports.configuration.units import MOST_LAYERS, Unit, map_size
from netspec.reports.stacked import Part, Stacked

Cells: TypeAlias = Literal["bracket", "conv", "kernel", "filters", "block"]
CELLS: Mapping[Cells, str] = {
    "bracket": "3x3, 64, as ResNet's Table 1",
    "conv": "conv3-64, as VGG's",
    "kernel": "3x3 conv, as DenseNet's",
    "filters": "64x3x3, st. 1, pad 1, as CNN-F's",
    "block": "bottleneck(width=64)",
}
"""What each notation looks like."""

# So many equal layers stand below each other, as the four of VGG; more are counted.
MOST_EQUAL = 4

# Branches in a longer line are not read.
LONGEST = 200
# Of so many blocks at most a cell says that they alternate.
LONGEST_PERIOD = 4

T = TypeVar("T")

_JOINS = {"add": " + ", "concat": " | "}


@dataclass(frozen=True, slots=True)
class Notation:
    """A notation, and the arguments that tell the calls of a block from each other."""

    cells: Cells
    varying: Mapping[str, Sequence[str]]

    def cell(self, units: Sequence[Unit]) -> Stacked:
        """Units that follow each other at one size; blocks that differ in nothing but strides are counted."""
        parts: list[tuple[Hashable, Part]] = []
        for run in self.runs(units):
            key = self.key(run[0])
            if size(run[0].series) == 1 and len(run) <= MOST_EQUAL:
                parts += [(key, Part(self.lines(unit, True))) for unit in run]
            else:
                times = f" x {len(run)}" if len(run) > 1 else ""
                parts.append((key, Part(self.lines(run[0], len(run) == 1), times)))
        return Stacked(
            tuple(
                group[0][1] if count == 1 else Part(tuple(part.line() for _, part in group), f" x {count}")
                for group, count in _periods(parts)
            )
        )

    def runs(self, units: Sequence[Unit]) -> list[list[Unit]]:
        """Units that follow each other and are written alike."""
        return [list(group) for _, group in groupby(units, self.key)]

    def leaves_out_strides(self, units: Sequence[Unit]) -> bool:
        """Whether the cell of some units says nothing of a stride that its first has."""
        runs = [run for run in self.runs(units) if len(run) > 1]
        return any(self.lines(run[0], True) != self.lines(run[0], False) for run in runs)

    def key(self, unit: Unit) -> Hashable:
        """What units have in common that are counted as one: their layers, or how a block is called that is named."""
        lines = self._of_layers(unit, size(unit.series) == 1)
        if lines is None and unit.block:
            return unit.block, tuple(_value(unit, name) for name in self.varying.get(unit.block, ()))
        return unit.block, structure(unit.series), lines

    def lines(self, unit: Unit, strides: bool) -> tuple[str, ...]:
        """A layer in a line; a block in a line for each of its layers, or what it was called with."""
        lines = self._of_layers(unit, strides)
        if lines is not None:
            return lines
        return (self.called(unit) if unit.block else f"{size(unit.series)} layers",)

    def _of_layers(self, unit: Unit, strides: bool) -> tuple[str, ...] | None:
        """A line for each layer; None of a block that is named, and where nobody would read all of them."""
        count = size(unit.series)
        tangled = any(isinstance(item, Tangle) for item in unit.series)
        if unit.block and count > 1 and (self.cells == "block" or tangled):
            return None
        lines = tuple(_written(unit.series, LAYERS[self.cells], count > 1, strides))
        return lines if len(lines) <= MOST_LAYERS and max(map(len, lines)) <= LONGEST else None

    def called(self, unit: Unit) -> str:
        """A block with the arguments that tell its calls apart: `normal_cell(filters=44)`."""
        named = [f"{name}={_argument(unit.args[name])}" for name in self.varying.get(unit.block, ())]
        return f"{unit.block}({', '.join(named)})" if named else unit.block


def _periods(items: Sequence[T]) -> Iterator[tuple[list[T], int]]:
    """Items in groups, those that alternate once and how often: PolyNet's `[poly_3; two_way] x 10`."""
    start = 0
    while start < len(items):
        for period in range(2, LONGEST_PERIOD + 1):
            first, count = list(items[start : start + period]), 1
            while items[start + count * period : start + (count + 1) * period] == first:
                count += 1
            if count > 1 and len({*first}) > 1:
                yield first, count
                start += count * period
                break
        else:
            yield [items[start]], 1
            start += 1


def _argument(value: object) -> str:
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(map(_argument, value))}]"
    return str(value).lower() if isinstance(value, bool) else clip(" ".join(str(value).split()), LONGEST)


Written: TypeAlias = Callable[[Layer, bool, bool], str]
"""Of a layer, whether it is one of several, and whether its stride is said: its text."""


def _written(series: Series, layer: Written, within: bool, strides: bool) -> Iterator[str]:
    """The lines of a part, of equal layers one and how often."""
    lines: list[str] = []
    for item in series:
        match item:
            case Layer():
                lines.append(layer(item, within, strides))
            case Gate():
                lines.append(f"fc, [{', '.join(map(str, item.widths))}]")
            case Aside(operand, aside):
                lines.append(f"{operand}: {'; '.join(_written(aside, layer, within, strides))}")
            case Parallel(join, branches):
                texts = ["; ".join(_written(branch, layer, within, strides)) for branch in branches]
                lines.append(_side_by_side(join, texts, len({*map(structure, branches)}) == 1))
            case Tangle(tangled):
                lines += [layer(one, within, strides) for one in tangled]
    runs = [(line, len(list(group))) for line, group in groupby(lines)]
    few = sum(len(_lines_of(times)) for _, times in runs) <= MOST_LAYERS
    for group, count in [([run], 1) for run in runs] if few else _periods(runs):
        texts = [f"{line} x {times}" if times > MOST_EQUAL else line for line, times in group for _ in _lines_of(times)]
        yield from texts if count == 1 else [f"({'; '.join(texts)}) x {count}"]


def _lines_of(times: int) -> range:
    """In how many lines so many equal layers stand."""
    return range(times if times <= MOST_EQUAL else 1)


def _side_by_side(join: str, texts: Sequence[str], alike: bool) -> str:
    """Branches in parentheses; equal ones once: `(1x1, 64 | 1x1, 96; 3x3, 128)`, `(3x3, 4) x 32 paths, concat`."""
    if alike and len(set(texts)) == 1:
        return f"({texts[0]}) x {len(texts)} paths, {join}"
    joined = _JOINS.get(join, ", ").join(texts)
    return f"({joined})" if join in _JOINS else f"{join}({joined})"


def kernel_of(attrs: Attrs) -> str:
    """`3x3`; of a layer without a window nothing."""
    return "x".join(map(str, attrs["kernel"])) if "kernel" in attrs else ""


def stride_text(attrs: Attrs) -> str:
    """`2`, `2x1`; nothing for 1."""
    stride = attrs.get("stride", (1, 1))
    return "" if stride == (1, 1) else str(stride[0]) if stride[0] == stride[1] else "x".join(map(str, stride))


def pool_name(node: Node) -> str:
    """`max pool`, `global average pool`; of another op what pictures call it."""
    names = {"avg_pool": "average pool", "global_avg_pool": "global average pool", "max_pool": "max pool"}
    return names.get(node.op) or OPS[node.op].words(node.attrs)


def _more(node: Node, within: bool, strides: bool) -> str:
    """What a layer has that most have not: groups, dilation, a stride."""
    groups, dilation = node.attrs.get("groups", 1), node.attrs.get("dilation", (1, 1))
    found = ""
    if groups > 1 and not is_depthwise(node):
        found += f", C={groups}" if within else f", {groups} groups"
    if dilation != (1, 1):
        found += f", dilation {dilation[0] if dilation[0] == dilation[1] else 'x'.join(map(str, dilation))}"
    stride = stride_text(node.attrs)
    return found + (f", stride {stride}" if strides and stride else "")


_KINDS = {"conv": "", "conv_transpose": " up", "deform_conv": " deformable"}


def _bracket(layer: Layer, within: bool, strides: bool) -> str:
    """As ResNet's Table 1: `7x7, 64, stride 2`, `3x3 max pool, stride 2`, `1000-d fc`."""
    node, attrs = layer.node, layer.node.attrs
    if node.op == "linear":
        return f"{attrs['out']}-d fc"
    if node.op in _KINDS:
        kind = " dw" if is_depthwise(node) else _KINDS[node.op]
        return f"{kernel_of(attrs)}{kind}, {attrs['out']}{_more(node, within, strides)}"
    return _other(layer, within, strides)


def _other(layer: Layer, within: bool, strides: bool) -> str:
    """A layer that is written alike in most tables."""
    node = layer.node
    if OPS[node.op].kind == "pool" and node.op != "upsample":
        return f"{kernel_of(node.attrs)} {pool_name(node)}{_more(node, within, strides)}".strip()
    if node.op == "upsample":
        return f"upsample to {'x'.join(map(str, map_size(node.shape)))}"
    return op_text(node.op, node.attrs).replace("\u00d7", "x")


def _conv(layer: Layer, within: bool, strides: bool) -> str:
    """As VGG's Table 1: `conv3-256`, `maxpool`, `FC-4096`."""
    node, attrs = layer.node, layer.node.attrs
    if node.op == "linear":
        return f"FC-{attrs['out']}"
    if node.op in _KINDS:
        high, wide = attrs["kernel"]
        kind = " dw" if is_depthwise(node) else _KINDS[node.op]
        size_ = str(high) if high == wide else f"{high}x{wide}"
        return f"conv{size_}-{attrs['out']}{kind}{_more(node, within, strides)}"
    if node.op == "max_pool" and attrs["kernel"] == attrs["stride"] == (2, 2):
        return "maxpool"
    return "soft-max" if node.op == "softmax" else _other(layer, within, strides)


def _kernel(layer: Layer, within: bool, strides: bool) -> str:
    """As DenseNet's Table 1: `3x3 conv`, `2x2 average pool, stride 2`, `1000D fully-connected`."""
    node = layer.node
    if node.op == "linear":
        return f"{node.attrs['out']}D fully-connected"
    if node.op in _KINDS:
        kind = " dw" if is_depthwise(node) else _KINDS[node.op]
        return f"{kernel_of(node.attrs)}{kind} conv{_more(node, within, strides)}"
    if node.op.startswith("global_"):
        return f"{'x'.join(map(str, map_size(layer.entered)))} {pool_name(node)}"
    return _other(layer, within, strides)


def _filters(layer: Layer, within: bool, strides: bool) -> str:
    """As Table 1 of CNN-F, CNN-M and CNN-S: `64x11x11, st. 4, pad 0`, `x2 pool`, `4096`."""
    node, attrs, stride = layer.node, layer.node.attrs, stride_text(layer.node.attrs)
    if node.op == "linear":
        return str(attrs["out"])
    if node.op in _KINDS:
        pads = attrs["pad"]
        pad = str(pads[0]) if len(set(pads)) == 1 else "x".join(map(str, pads))
        kind = " dw" if is_depthwise(node) else _KINDS[node.op]
        said = f", st. {stride or 1}" if strides else ""
        return f"{attrs['out']}x{kernel_of(attrs)}{kind}{said}, pad {pad}{_more(node, within, False)}"
    if node.op == "max_pool" and stride:
        return f"x{stride} pool"
    return _other(layer, within, strides)


LAYERS: Mapping[Cells, Written] = {
    "bracket": _bracket,
    "conv": _conv,
    "kernel": _kernel,
    "filters": _filters,
    "block": _bracket,
}


def type_of(node: Node) -> str:
    """What kind of layer it is: `conv`, `conv dw`, `max pool`, `fc`."""
    if node.op == "linear":
        return "fc"
    if node.op in _KINDS:
        return f"conv{' dw' if is_depthwise(node) else _KINDS[node.op]}"
    return pool_name(node) if OPS[node.op].kind == "pool" else OPS[node.op].words(node.attrs)


def filter_shape(node: Node, entered: Shape) -> str:
    """`3x3x32x64`, as MobileNet's Table 1: height, width, channels that a filter sees, filters; `3x3x32 dw`, `7x7`."""
    weight = node.result.weights.get("weight", ())
    if node.op in _KINDS and len(weight) == 4:
        if is_depthwise(node):
            return f"{kernel_of(node.attrs)}x{node.attrs['out']} dw"
        seen = int(entered[1]) // node.attrs.get("groups", 1)
        return f"{kernel_of(node.attrs)}x{seen}x{node.attrs['out']}"
    if OPS[node.op].kind == "weights":
        return "x".join(str(n) for n in reversed(weight))
    if OPS[node.op].kind == "pool" and map_size(node.shape) == (1, 1):
        return "x".join(map(str, map_size(entered)))
    return kernel_of(node.attrs)


def inferred(units: Sequence[Unit]) -> Cells:
    """`conv` where all is single layers of square kernels without strides, which this notation leaves out."""
    nodes = [node for unit in units for node in layers(unit.series) if node.op in _KINDS]
    alone = all(size(unit.series) == 1 for unit in units)
    plain = all(
        node.op == "conv"
        and len(set(node.attrs["kernel"])) == 1
        and not _more(node, False, True)
        and not is_depthwise(node)
        for node in nodes
    )
    return "conv" if nodes and alone and plain else "bracket"


def varying_args(units: Sequence[Unit]) -> dict[str, list[str]]:
    """For each block the parameters that its calls gave different values; of floats those that change its layers.

    Other floats, such as rates of dropout, are no structure.
    """
    calls: dict[str, list[Unit]] = {}
    for unit in units:
        calls.setdefault(unit.block, []).append(unit)
    return {block: _varying(own) for block, own in calls.items()}


def _varying(calls: Sequence[Unit]) -> list[str]:
    """The parameters that some calls of one block gave different values."""
    differ = [name for name in calls[0].args if any(_value(unit, name) != _value(calls[0], name) for unit in calls)]
    floats = {name for name in differ if any(isinstance(unit.args.get(name), float) for unit in calls)}
    alike: dict[object, list[Unit]] = {}
    for unit in calls if floats else ():
        others = tuple(_value(unit, name) for name in differ if name not in floats)
        alike.setdefault((others, unit.entered), []).append(unit)
    factors = {
        name
        for same in alike.values()
        if len({structure(unit.series) for unit in same}) > 1
        for name in floats
        if len({_value(unit, name) for unit in same}) > 1
    }
    return [name for name in differ if name not in floats or name in factors]


def _value(unit: Unit, name: str) -> str:
    """An argument as a text that can be compared, whatever its type; 2 and 2.0 are one number."""
    value = unit.args.get(name)
    return repr(int(value) if isinstance(value, float) and value.is_integer() else value)
