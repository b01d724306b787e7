"""How large values become on their way through a graph: a guess, for weights that keep them from vanishing."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from netspec.ir.graph import Node
from netspec.ops import Shape


class Signal(NamedTuple):
    """A value as one normal variable: mean and variance over pixels and channels."""

    mean: float
    variance: float

    @property
    def power(self) -> float:
        """The mean square."""
        return max(self.mean**2 + self.variance, 1e-12)


# Gauss-Hermite quadrature: E f(z) = sum(WEIGHTS * f(POINTS)) for z ~ N(0, 1).
POINTS, WEIGHTS = np.polynomial.hermite_e.hermegauss(32)
WEIGHTS = WEIGHTS / WEIGHTS.sum()

_ERF = np.vectorize(math.erf)
FUNCTIONS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "relu": lambda x: np.maximum(x, 0),
    "relu6": lambda x: np.clip(x, 0, 6),
    "sigmoid": lambda x: 1 / (1 + np.exp(-x)),
    "tanh": np.tanh,
    "silu": lambda x: x / (1 + np.exp(-x)),
    "gelu": lambda x: x * (1 + _ERF(x / math.sqrt(2))) / 2,
    "hard_sigmoid": lambda x: np.clip(x + 3, 0, 6) / 6,
    "hard_swish": lambda x: x * np.clip(x + 3, 0, 6) / 6,
}


def through(signal: Signal, function: Callable[[np.ndarray], np.ndarray]) -> Signal:
    """The signal after an elementwise function."""
    spread = math.sqrt(max(signal.variance, 0))
    with np.errstate(all="ignore"):
        values = np.nan_to_num(function(signal.mean + spread * POINTS), posinf=1e6, neginf=-1e6)
    mean = float(WEIGHTS @ values)
    return Signal(mean, float(WEIGHTS @ (values - mean) ** 2))


def passed(node: Node, entering: Sequence[Signal], shapes: Sequence[Shape]) -> Signal:
    """What a node makes of its operands, with weights as `weights.draw` gives them."""
    if not entering or any(len(shape) > 1 for shape in node.rule.weights.values()):
        return Signal(0, 1)
    first, a = entering[0], node.attrs
    if node.op in FUNCTIONS:
        return through(first, FUNCTIONS[node.op])
    if node.op == "leaky_relu":
        return through(first, lambda x: np.where(x > 0, x, a["slope"] * x))
    if node.op == "prelu":  # slopes are drawn around 1
        return Signal(first.mean, first.variance)
    if node.op == "l2_norm":
        return Signal(0, 1 / int(node.shape[1]))
    if node.op == "affine":
        return through(first, lambda x: a["scale"] * x ** a["power"] + a["shift"])
    if node.op in ("batch_norm", "channel_scale"):
        # E[scale] = 1, E[scale^2] = 13/12, E[1 / variance] = ln 3; shift and mean are small beside these
        gain = 13 / 12 * (math.log(3) if node.op == "batch_norm" else 1)
        return Signal(first.mean, gain * first.power - first.mean**2)
    if node.op == "layer_norm":
        return Signal(0, 13 / 12)
    if node.op == "lrn":
        return through(first, lambda x: x / (a["k"] + a["alpha"] * x * x) ** a["beta"])
    if node.op == "softmax":
        return Signal(1 / int(node.shape[1]), 1 / int(node.shape[1]) ** 2)
    return _joined(node, entering, shapes)


def _joined(node: Node, entering: Sequence[Signal], shapes: Sequence[Shape]) -> Signal:
    """Means add up, variances of independent values too; other ops hand their operand on."""
    count = len(entering)
    if node.op in ("add", "mean"):
        share = 1 if node.op == "add" else 1 / count
        return Signal(share * sum(s.mean for s in entering), share**2 * sum(s.variance for s in entering))
    if node.op == "mul":
        mean = math.prod(s.mean for s in entering)
        return Signal(mean, math.prod(s.power for s in entering) - mean**2)
    if node.op in ("concat", "pad_channels"):
        parts = [int(shape[1]) / int(node.shape[1]) for shape in shapes]
        mean = sum(p * s.mean for p, s in zip(parts, entering, strict=True))
        return Signal(mean, sum(p * s.power for p, s in zip(parts, entering, strict=True)) - mean**2)
    return max(entering, key=lambda s: s.power)
