"""Steps of a factor and a term for each channel, folded into the layers next to them.

y = s x + t is the same for every value of a channel, so a layer that is linear in its weights takes both: of a step
behind it w' = s w and b' = s b + t, of one before it w' = w s for each input and b' = b + sum of w t (Jacob et al.
2018, section 3.2). Folding is lazy: the new weight composes functions, and is made when it is written.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import takewhile
from typing import TYPE_CHECKING

from netspec.ir.graph import Graph, Node, Ref
from netspec.ir.module import Module, Scaled, Stored, Weight
from netspec.ops import OPS, Tensor
from netspec.passes.rewriter import kept_values, readers, rewrite, sharing, steps_of

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True, slots=True)
class Kinds:
    """Which steps a pass folds: a chain of them next to a layer, whose step at the layer is one of `first`."""

    first: Collection[str]
    further: Collection[str]

    def has(self, node: Node, at_layer: bool) -> bool:
        """Whether a step may be folded; a power is neither a factor nor a term."""
        return node.op in (self.first if at_layer else self.further) and node.attrs.get("power", 1) == 1


def fold(module: Module, kinds: Kinds) -> Module:
    """The module with these steps folded into the layers before them, and then into those behind them."""
    behind = _fold_behind(module, kinds)
    both = _fold_before(behind, kinds)
    return both if both is behind else replace(both, times=both.times + behind.times * (behind is not module))


def _fold_behind(module: Module, kinds: Kinds) -> Module:
    """Folds what follows a layer; layers that share weights only where the same steps follow each of them."""
    folds = _following(module.graph, kinds)
    made: dict[str, dict[str, Weight]] = {}
    for layer, steps in folds.values():
        if layer.weights_at not in made:
            made[layer.weights_at] = _scaled_outputs(module, layer, steps)
    weights = {path: made[layer.weights_at] for path, (layer, _) in folds.items()}
    return _without(module, folds, weights)


def _without(
    module: Module,
    folds: Mapping[str, tuple[Node, Sequence[Node]]],
    weights: Mapping[str, Mapping[str, Weight]],
) -> Module:
    """The module without the steps that are folded; a layer with one that adds a term has a bias."""
    gone = {step.path for _, steps in folds.values() for step in steps}

    def visit(node: Node, operands: Sequence[Tensor]) -> Node | Ref:
        if node.path in gone:
            return node.inputs[0]
        if node.path not in folds:
            return node
        attrs = {**node.attrs, "bias": True} if "bias" in weights[node.path] else node.attrs
        return replace(node, attrs=attrs, folded=(*node.folded, *steps_of(folds[node.path][1])))

    return rewrite(module, visit, weights=weights)


def _following(graph: Graph, kinds: Kinds) -> dict[str, tuple[Node, Sequence[Node]]]:
    """The layers that steps behind them are folded into, by path, each with its steps in the order they run."""
    reading, kept = readers(graph), kept_values(graph)
    alike: dict[str, list[tuple[Node, list[Node]]]] = {}
    for node in graph.nodes.values():
        if node.result.weights:
            steps = _steps_behind(node, reading, kept, kinds) if OPS[node.op].by_output is not None else ()
            alike.setdefault(node.weights_at, []).append((node, list(steps)))
    folds: dict[str, tuple[Node, Sequence[Node]]] = {}
    for layers in alike.values():
        after = zip(*(steps for _, steps in layers), strict=False)
        if count := sum(1 for _ in takewhile(lambda steps: len(set(map(_function, steps))) == 1, after)):
            folds |= {layer.path: (layer, steps[:count]) for layer, steps in layers}
    return folds


def _steps_behind(
    layer: Node, reading: Mapping[Ref, Sequence[Node]], kept: Collection[Ref], kinds: Kinds
) -> Iterator[Node]:
    """The steps that follow a layer, each the only one that reads the value before it."""
    value = Ref(layer.path)
    while value not in kept and len(read := reading.get(value, ())) == 1:
        if not kinds.has(read[0], at_layer=value.node == layer.path):
            return
        yield read[0]
        value = Ref(read[0].path)


def _function(step: Node) -> tuple[object, ...]:
    """What a step computes: its op, its weights and its attributes."""
    tensors = step.result.weights or step.result.stats
    return step.op, step.weights_at if tensors else "", tuple(sorted(step.attrs.items()))


def _scaled_outputs(module: Module, layer: Node, steps: Sequence[Node]) -> dict[str, Weight]:
    """The weight of a layer that takes the steps behind it, and its bias where it has or gets one, by name."""
    at, tensors = layer.weights_at, layer.result.weights
    shape = tensors["weight"]
    weight = module.weight(f"{at}.weight", shape)
    bias = module.weight(f"{at}.bias", tensors["bias"]) if "bias" in tensors else None
    affine = [Affine(module, step) for step in steps]
    channels, sizes = int(layer.shape[1]), tuple(map(int, shape))
    by_output = OPS[layer.op].by_output
    assert by_output is not None  # as `_following` has seen
    viewed, factors = by_output(sizes, layer.attrs)

    def shifted(stored: Stored) -> np.ndarray:
        value: np.ndarray = zeros(channels) if bias is None else bias.make(stored).astype("float64")
        for step in affine:
            value = step(value, stored)
        result: np.ndarray = value.astype("float32")
        return result

    def rows(stored: Stored) -> np.ndarray:
        return _product(affine, channels, stored).astype("float32")

    scaled = _scaled(weight, affine, channels, viewed, factors)
    by_rows = viewed == sizes and factors[0] == sizes[0] and f"{at}.weight" not in module.computed
    made = {"weight": Weight(shape, scaled, Scaled(f"{at}.weight", rows) if by_rows else None)}
    return made | {"bias": Weight((channels,), shifted)} if bias or any(step.shifts for step in affine) else made


def _fold_before(module: Module, kinds: Kinds) -> Module:
    """Folds what a layer reads: a factor always, a term where no padding, which it does not reach, is read with it."""
    graph = module.graph
    reading, kept, owners = readers(graph), kept_values(graph), sharing(graph)
    folds: dict[str, tuple[Node, Sequence[Node]]] = {}
    weights: dict[str, dict[str, Weight]] = {}
    for layer in graph.nodes.values():
        if OPS[layer.op].by_input is None or owners[layer.weights_at] > 1:
            continue
        steps: list[Node] = []
        padded = any(layer.attrs.get("pad", ()))
        while (value := (steps[0] if steps else layer).inputs[0]) not in kept and len(reading[value]) == 1:
            step = graph.nodes[value.node]
            if not kinds.has(step, at_layer=not steps) or (padded and Affine(module, step).shifts):
                break
            steps.insert(0, step)
        if steps:
            folds[layer.path] = layer, steps
            weights[layer.path] = _scaled_inputs(module, layer, steps)
    return _without(module, folds, weights)


def _scaled_inputs(module: Module, layer: Node, steps: Sequence[Node]) -> dict[str, Weight]:
    """The weight of a layer that takes the steps before it, and its bias where it has or gets one, by name."""
    at, tensors = layer.weights_at, layer.result.weights
    shape = tensors["weight"]
    weight = module.weight(f"{at}.weight", shape)
    bias = module.weight(f"{at}.bias", tensors["bias"]) if "bias" in tensors else None
    affine = [Affine(module, step) for step in steps]
    channels, outputs, sizes = int(steps[0].shape[1]), int(layer.shape[1]), tuple(map(int, shape))
    by_input = OPS[layer.op].by_input
    assert by_input is not None  # as `_fold_before` has seen
    viewed, factors = by_input(sizes, layer.attrs)

    def shifted(stored: Stored) -> np.ndarray:
        term: np.ndarray = zeros(channels)
        for step in affine:
            term = step(term, stored)
        rows = weight.make(stored).reshape(viewed)
        each = (rows * term.reshape(factors)).reshape(outputs, -1).sum(1)
        result: np.ndarray = (each if bias is None else each + bias.make(stored)).astype("float32")
        return result

    made = {"weight": Weight(shape, _scaled(weight, affine, channels, viewed, factors))}
    if any(step.shifts for step in affine):
        made["bias"] = Weight((outputs,), shifted)
    elif bias:
        made["bias"] = bias
    return made


def _scaled(
    weight: Weight, affine: Sequence[Affine], channels: int, viewed: Sequence[int], factors: Sequence[int]
) -> Callable[[Stored], np.ndarray]:
    """Makes a weight, viewed by outputs or inputs, times the factor of each channel."""
    shape = tuple(map(int, weight.shape))

    def scaled(stored: Stored) -> np.ndarray:
        factor = _product(affine, channels, stored)
        rows = weight.make(stored).reshape(viewed)
        result: np.ndarray = rows * factor.reshape(factors).astype("float32")
        return result.reshape(shape)

    return scaled


def zeros(channels: int) -> np.ndarray:
    """Zeros for so many channels, in float64."""
    import numpy as np

    return np.zeros(channels)


def _product(affine: Sequence[Affine], channels: int, stored: Stored) -> np.ndarray:
    """The factor of each channel of all steps, in float64."""
    factor: np.ndarray = zeros(channels) + 1
    for step in affine:
        factor = factor * step.scale(stored)
    return factor


class Affine:
    """A step of a factor and a term for each channel, in float64: a batch norm at inference, a scale, constants."""

    OPS = ("batch_norm", "channel_scale", "affine")

    @classmethod
    def of(cls, module: Module, step: Node) -> Affine | None:
        """What a step computes for each channel; None for any other op, and for a power."""
        return cls(module, step) if step.op in cls.OPS and step.attrs.get("power", 1) == 1 else None

    def __init__(self, module: Module, step: Node) -> None:
        self.attrs, self.op = step.attrs, step.op
        tensors = {**step.result.weights, **step.result.stats}
        self.weights = {name: module.weight(f"{step.weights_at}.{name}", shape) for name, shape in tensors.items()}
        self.shifts = self.op == "batch_norm" or bool(self.attrs.get("shift"))

    def read(self, name: str, stored: Stored) -> np.ndarray:
        return self.weights[name].make(stored).astype("float64")

    def scale(self, stored: Stored) -> np.ndarray | float:
        """weight / sqrt(running_var + eps) of a batch norm; else the weight, or the constant."""
        import numpy as np

        if self.op == "affine":
            return float(self.attrs["scale"])
        if self.op == "channel_scale":
            return self.read("weight", stored)
        with np.errstate(divide="ignore", invalid="ignore"):  # a checkpoint may have no variance, or a negative one
            factor: np.ndarray = (self.read("running_var", stored) + float(self.attrs["eps"])) ** -0.5
        return factor * self.read("weight", stored) if "weight" in self.weights else factor

    def __call__(self, value: np.ndarray, stored: Stored) -> np.ndarray:
        """What becomes of a value of each channel."""
        if self.op == "batch_norm":
            value = (value - self.read("running_mean", stored)) * self.scale(stored)
            return value + self.read("bias", stored) if "bias" in self.weights else value
        return value * self.scale(stored) + float(self.attrs.get("shift", 0))
