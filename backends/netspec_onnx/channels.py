"""Weights made ready for int8: channels of like range, and biases that take back what rounding shifts.

Int8 has one scale for all channels of a value, so a channel whose values are small has few steps. A layer may give
each channel s times as much where all that read it take it s times as little: with what is between them homogeneous,
f(s x) = s f(x) for s > 0, the network computes the same (Nagel et al. 2019, section 4.1: cross-layer equalisation).
Rounded weights differ by D from those of the layer, which adds D E[x] to its mean: the bias takes it back (section
4.2: bias correction), with the mean of x over the images.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np
import onnx
from onnx import numpy_helper

from netspec_onnx.calibration import Calibration
from netspec_onnx.noise import showing

LAYERS = ("Conv", "Gemm")
HOMOGENEOUS = ("Relu", "Clip", "LeakyRelu", "MaxPool", "AveragePool", "GlobalAveragePool", "Flatten", "Identity")
"""Operators of one value that give s times as much of s times the value; a Clip where it is from 0 on."""
SHARE = 0.7
"""The power of R/r, the largest range by that of a channel, which a channel is scaled by. With 1 all ranges are the
same, but weights, with one scale for all that a channel reads, are not; of a depthwise layer each reads one."""
MOST = 64.0
"""What R/r counts as at most: images of another kind may have more in a channel that was all but empty."""


@dataclass
class Seen:
    """The range and the mean of each channel of a value, over images."""

    rank: int
    low: np.ndarray
    high: np.ndarray
    total: np.ndarray
    count: int

    @classmethod
    def of(cls, value: np.ndarray) -> Seen:
        """Of a value whose channels are its second axis."""
        by_channel = np.moveaxis(value, 1, 0).reshape(value.shape[1], -1)
        total = by_channel.sum(1, dtype=np.float64)
        return cls(value.ndim, by_channel.min(1), by_channel.max(1), total, by_channel.shape[1])

    def add(self, other: Seen) -> None:
        """Takes other images in."""
        self.low, self.high = np.minimum(self.low, other.low), np.maximum(self.high, other.high)
        self.total, self.count = self.total + other.total, self.count + other.count

    @property
    def size(self) -> np.ndarray:
        """The largest magnitude in each channel."""
        size: np.ndarray = np.maximum(np.abs(self.low), np.abs(self.high))
        return size

    @property
    def mean(self) -> np.ndarray:
        """The mean of each channel."""
        return self.total / self.count


def look(model: onnx.ModelProto, data: Calibration) -> dict[str, Seen]:
    """What is in each value that a layer reads or gives, or that is on the way between two, over all images."""
    constants = _constants(model)
    near = (n for n in model.graph.node if n.op_type in (*LAYERS, *HOMOGENEOUS, "Add"))
    read = (name for node in near for name in (*node.input, node.output[0]))
    names = list(dict.fromkeys(name for name in read if name and name not in constants))
    found: dict[str, Seen] = {}
    run = showing(model, names)
    with np.errstate(all="ignore"):  # of values that are not finite, which is an error of the ranges
        for feed, new in data.batches():
            for name, value in zip(names, run.run(names, feed), strict=True):
                if value.ndim < 2 or value.size == 0:
                    continue
                seen = Seen.of(value[:new])
                found[name].add(seen) if name in found else found.setdefault(name, seen)
    return found


@dataclass
class _Values:
    """Values whose channels must have the same factors, and the layers that give and read them."""

    names: list[str] = field(default_factory=list)
    given_by: list[onnx.NodeProto] = field(default_factory=list)
    read_by: list[onnx.NodeProto] = field(default_factory=list)
    cut: dict[str, float] = field(default_factory=dict)
    """Those of them that an operator cuts, and the largest number that it lets through."""


class Equaliser:
    """A model in float32 whose weights are scaled in place."""

    def __init__(self, model: onnx.ModelProto, seen: Mapping[str, Seen]) -> None:
        self.model, self.seen = model, seen
        self.weights = {tensor.name: tensor for tensor in model.graph.initializer}
        self.constants = {node.output[0]: node for node in model.graph.node if node.op_type == "Constant"}
        self.readers: dict[str, list[onnx.NodeProto]] = {}
        for node in model.graph.node:
            for name in node.input:
                self.readers.setdefault(name, []).append(node)
        self.first: dict[str, str] = {}
        """Of each value another that has the same factors, up to one that has itself."""

    def equalise(self) -> int:
        """Scales what can be; gives how many values have other factors than 1 then."""
        fixed = self._joined()
        groups: dict[str, _Values] = {}
        for node in self.model.graph.node:
            for name in {*node.input, *node.output} & {*self.seen}:
                group = groups.setdefault(self._of(name), _Values())
                group.names += [name] * (name not in group.names)
            if node.op_type in LAYERS and {node.input[0], node.output[0]} <= {*self.seen}:
                groups[self._of(node.output[0])].given_by.append(node)
                groups[self._of(node.input[0])].read_by.append(node)
            if node.op_type == "Clip" and self._passes(node) and (most := self._bound(node, 2)) is not None:
                groups[self._of(node.output[0])].cut[node.output[0]] = most
        stays = {self._of(name) for name in fixed}
        chosen = [g for first, g in groups.items() if first not in stays and g.given_by and g.read_by]
        for group in chosen:
            factors = self._factors(group)
            for node in group.given_by:
                weight = self._array(node.input[1])
                self._set(node.input[1], weight * _column(factors, weight))
                if len(node.input) > 2:
                    self._set(node.input[2], self._array(node.input[2]) * factors)
            for node in group.read_by:
                weight = self._array(node.input[1])
                self._set(node.input[1], weight / _read(factors, weight, _groups(node)))
            for name in group.names:
                seen = self.seen[name]
                seen.low, seen.high, seen.total = seen.low * factors, seen.high * factors, seen.total * factors
        return sum(len(group.names) for group in chosen)

    def _joined(self) -> set[str]:
        """Joins values that must have the same factors; gives those that must keep theirs."""
        fixed = {value.name for value in (*self.model.graph.input, *self.model.graph.output)}
        for node in self.model.graph.node:
            values = [name for name in (*node.input, *node.output) if name in self.seen]
            if node.op_type == "Add" and len(values) == 3 and len({self._form(name) for name in values}) == 1:
                for name in values[1:]:
                    self._join(name, values[0])
            elif self._passes(node) and self._form(node.input[0])[1] == self._form(node.output[0])[1]:
                self._join(node.input[0], node.output[0])
            elif not self._is_layer(node):
                fixed.update(node.input, node.output)
        return fixed

    def _is_layer(self, node: onnx.NodeProto) -> bool:
        """Whether a node multiplies by weights of its own, row by row."""
        own = [name for name in node.input[1:] if name]
        if node.op_type not in LAYERS or not all(n in self.weights and len(self.readers[n]) == 1 for n in own):
            return False
        given = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
        usual = (
            given.get("transB", 0) == 1
            and given.get("transA", 0) == 0
            and {1.0}
            >= {
                given.get("alpha", 1.0),
                given.get("beta", 1.0),
            }
        )
        return bool(own) and (node.op_type == "Conv" or usual)

    def _passes(self, node: onnx.NodeProto) -> bool:
        """Whether a node gives s times as much of s times its value."""
        if node.op_type not in HOMOGENEOUS or node.input[0] not in self.seen or node.output[0] not in self.seen:
            return False
        return node.op_type != "Clip" or self._bound(node, 1) == 0

    def _bound(self, node: onnx.NodeProto, at: int) -> float | None:
        """The number that a Clip has as its operand `at`; None where it has none."""
        return self._constant(node.input[at]) if len(node.input) > at else None

    def _constant(self, name: str) -> float | None:
        if name in self.weights:
            return float(self._array(name))
        node = self.constants.get(name)
        return None if node is None else float(numpy_helper.to_array(node.attribute[0].t))

    def _factors(self, group: _Values) -> np.ndarray:
        """What each channel is multiplied by: least where its values are largest, where it is 1."""
        known = [self.seen[name].size for name in group.names if not self._fuses(name)]
        size = np.max(known or [self.seen[name].size for name in group.names], 0).astype(np.float64)
        alone = all(self._array(node.input[1]).shape[1] == 1 for node in group.read_by)
        if not np.isfinite(size).all() or not size.any():
            return np.ones(len(size), np.float32)
        share = np.minimum(size.max() / np.where(size > 0, size, size.max()), MOST)
        factors: np.ndarray = share ** (1.0 if alone else SHARE)
        for name, most in group.cut.items():  # a sum that it goes into may be larger than what is let through
            high = self.seen[name].high.astype(np.float64)
            factors = np.minimum(factors, most / np.where(high > 0, high, most / MOST))
        return factors.astype(np.float32)

    def _fuses(self, name: str) -> bool:
        """Whether a value is none of the model in int8, since the activation behind it goes into its layer."""
        return [node.op_type for node in self.readers.get(name, [])] in (["Relu"], ["Clip"])

    def _array(self, name: str) -> np.ndarray:
        return numpy_helper.to_array(self.weights[name])

    def _set(self, name: str, value: np.ndarray) -> None:
        self.weights[name].CopyFrom(numpy_helper.from_array(value.astype(np.float32), name))

    def _form(self, name: str) -> tuple[int, int]:
        """How many axes and channels a value has."""
        return self.seen[name].rank, len(self.seen[name].low)

    def _of(self, name: str) -> str:
        while (further := self.first.get(name, name)) != name:
            name = further
        return name

    def _join(self, name: str, other: str) -> None:
        self.first[self._of(name)] = self._of(other)


def _column(factors: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """A factor for each output of a weight (out, in, ...)."""
    return factors.reshape(-1, *[1] * (weight.ndim - 1))


def _read(values: np.ndarray, weight: np.ndarray, groups: int) -> np.ndarray:
    """What each number of a weight (out, in of its group, ...) is multiplied with, of a number for each channel."""
    out, each = weight.shape[:2]
    start = np.arange(out) // (out // groups) * each
    found: np.ndarray = values[start[:, None] + np.arange(each)]
    return found.reshape(out, each, *[1] * (weight.ndim - 2))


def _groups(node: onnx.NodeProto) -> int:
    return next((attribute.i for attribute in node.attribute if attribute.name == "group"), 1)


def _constants(model: onnx.ModelProto) -> set[str]:
    made = {node.output[0] for node in model.graph.node if node.op_type == "Constant"}
    return made | {tensor.name for tensor in model.graph.initializer}


def correct_biases(made: onnx.ModelProto, exact: onnx.ModelProto, seen: Mapping[str, Seen]) -> None:
    """Takes from the biases of a model in int8 what its weights add to the mean of each channel by being rounded.

    Layers that share a weight or a bias keep theirs.
    """
    stored = {tensor.name: tensor for tensor in made.graph.initializer}
    right = {tensor.name: tensor for tensor in exact.graph.initializer}
    decoded = {n.output[0]: n for n in made.graph.node if n.op_type == "DequantizeLinear" and n.input[0] in stored}
    layers = {node.name: node for node in made.graph.node if node.op_type in LAYERS}
    read = Counter(name for node in exact.graph.node for name in node.input)
    for node in exact.graph.node:
        layer = layers.get(node.name)
        if layer is None or len(layer.input) < 3 or node.input[0] not in seen:
            continue
        weight, bias = (decoded.get(name) for name in layer.input[1:3])
        if weight is None or bias is None or max(read[name] for name in node.input[1:3]) > 1:
            continue
        rounded, step = (numpy_helper.to_array(stored[name]) for name in weight.input[:2])
        added = rounded * _column(step, rounded) - numpy_helper.to_array(right[node.input[1]])
        shift = (added * _read(seen[node.input[0]].mean, added, _groups(node))).reshape(len(added), -1).sum(1)
        numbers, step = (numpy_helper.to_array(stored[name]) for name in bias.input[:2])
        moved = np.clip(np.rint(numbers - shift / step), -(2**31), 2**31 - 1)
        if np.isfinite(shift).all():
            stored[bias.input[0]].CopyFrom(numpy_helper.from_array(moved.astype(np.int32), bias.input[0]))


def in_float(model: onnx.ModelProto, outputs: Iterable[str]) -> None:
    """Leaves outputs of linear layers in float32, which costs nothing: nothing in the model reads what is rounded."""
    made = {name: node for node in model.graph.node for name in node.output}
    read = Counter(name for node in model.graph.node for name in node.input)
    for name in outputs:
        last = made.get(name)
        first = _before(last, made, "DequantizeLinear")
        layer = _before(first, made, "QuantizeLinear")
        if last is None or first is None or layer is None or layer.op_type not in ("Gemm", "MatMul"):
            continue
        if read[name] == 0 and read[first.output[0]] == read[layer.output[0]] == 1:
            model.graph.node.remove(last)
            model.graph.node.remove(first)
            layer.output[0] = name


def _before(node: onnx.NodeProto | None, made: Mapping[str, onnx.NodeProto], op: str) -> onnx.NodeProto | None:
    """What gives the operand of a node of this operator."""
    return made.get(node.input[0]) if node is not None and node.op_type == op else None
