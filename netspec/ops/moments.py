"""How large values become on their way through an op: a guess, with weights as `weights.initialise.draw` gives them."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import NamedTuple

from netspec.ops.base import Applied, Attrs


class Signal(NamedTuple):
    """A value as one normal variable: mean and variance over pixels and channels."""

    mean: float
    variance: float

    @property
    def power(self) -> float:
        """The mean square."""
        return max(self.mean**2 + self.variance, 1e-12)


Moments = Callable[[Sequence[Signal], Applied], Signal]
"""(what enters, an op on its operands) -> what leaves."""

UNIT = Signal(0, 1)
SCALE_POWER = 13 / 12
"""E[s^2] of a drawn scale, which is uniform from 0.5 to 1.5."""
_HUGE = 1e6


def unit(entering: Sequence[Signal], applied: Applied) -> Signal:
    """Unit variance: weights of layers are drawn so that it leaves them, whatever enters."""
    return UNIT


def kept(entering: Sequence[Signal], applied: Applied) -> Signal:
    """The strongest of what enters."""
    return max(entering, key=lambda s: s.power)


def elementwise(function: Callable[[float, Attrs], float]) -> Moments:
    """The rule of an elementwise op, by its function of a number and the attributes."""

    def rule(entering: Sequence[Signal], applied: Applied) -> Signal:
        return through(entering[0], lambda x: function(x, applied.attrs))

    return rule


def scaled(gain: float) -> Moments:
    """A learned factor for each channel times what has this share of the mean square; drawn shifts are small."""

    def rule(entering: Sequence[Signal], applied: Applied) -> Signal:
        first = entering[0]
        return Signal(first.mean, SCALE_POWER * gain * first.power - first.mean**2)

    return rule


def normalised(entering: Sequence[Signal], applied: Applied) -> Signal:
    """Zero mean and unit variance, then a learned scale."""
    return Signal(0, SCALE_POWER)


def added(entering: Sequence[Signal], applied: Applied) -> Signal:
    """Means add up, and variances of independent values."""
    return Signal(sum(s.mean for s in entering), sum(s.variance for s in entering))


def averaged(entering: Sequence[Signal], applied: Applied) -> Signal:
    """The sum, divided by how many there are."""
    share = 1 / len(entering)
    return Signal(share * sum(s.mean for s in entering), share**2 * sum(s.variance for s in entering))


def multiplied(entering: Sequence[Signal], applied: Applied) -> Signal:
    """Means and mean squares of independent values multiply."""
    mean = math.prod(s.mean for s in entering)
    return Signal(mean, math.prod(s.power for s in entering) - mean**2)


def side_by_side(entering: Sequence[Signal], applied: Applied) -> Signal:
    """Values next to each other, each by its share of the channels; what no value fills is 0."""
    shares = [int(shape[1]) / int(applied.shape[1]) for shape in applied.operands]
    mean = sum(p * s.mean for p, s in zip(shares, entering, strict=True))
    return Signal(mean, sum(p * s.power for p, s in zip(shares, entering, strict=True)) - mean**2)


def through(signal: Signal, function: Callable[[float], float]) -> Signal:
    """The signal after an elementwise function."""
    spread = math.sqrt(max(signal.variance, 0))
    points, weights = _quadrature()
    values = [_bounded(function, signal.mean + spread * point) for point in points]
    mean = sum(w * v for w, v in zip(weights, values, strict=True))
    return Signal(mean, sum(w * (v - mean) ** 2 for w, v in zip(weights, values, strict=True)))


def _bounded(function: Callable[[float], float], x: float) -> float:
    """The value of a function; 0 where it has none, and no more than a million."""
    try:
        value = function(x)
    except OverflowError:
        return _HUGE
    except (ValueError, ZeroDivisionError):
        return 0.0
    return 0.0 if math.isnan(value) else max(-_HUGE, min(_HUGE, value))


@lru_cache(maxsize=1)
def _quadrature() -> tuple[list[float], list[float]]:
    """Gauss-Hermite points and weights: E f(z) = sum(weight * f(point)) for z ~ N(0, 1)."""
    import numpy as np

    points, weights = np.polynomial.hermite_e.hermegauss(32)
    return points.tolist(), (weights / weights.sum()).tolist()
