"""Joins of several values."""

from __future__ import annotations

from netspec.ops.base import OpError, Rule, Tensor, op, show


class Disagreement(OpError):
    """Branches of shapes that cannot be joined."""

    code = "NS402"


@op()
def concat(*xs: Tensor) -> Rule:
    """Joins values along the channels, or along the features after `flatten`; all other sizes are equal."""
    first = xs[0].shape
    if len(first) < 2:
        raise OpError(f"'concat' expects values with channels or features, got {_all(xs)}")
    if any(len(x.shape) != len(first) or (x.shape[0], *x.shape[2:]) != (first[0], *first[2:]) for x in xs):
        raise Disagreement(
            f"'concat' joins values that differ in their channels alone, got {_all(xs)}",
            "give all branches the same height and width (stride, pad)",
        )
    return Rule(((first[0], sum(int(x.shape[1]) for x in xs), *first[2:]),))


@op()
def add(*xs: Tensor) -> Rule:
    """The sum of values of equal shape."""
    return _equal("add", xs)


@op()
def mean(*xs: Tensor) -> Rule:
    """The mean of values of equal shape."""
    return _equal("mean", xs)


@op()
def max_(*xs: Tensor) -> Rule:
    """The largest of values of equal shape, elementwise (maxout)."""
    return _equal("max", xs)


@op()
def mul(*xs: Tensor) -> Rule:
    """The product; a map of 1 x 1 meets one of H x W, and one channel meets C (gates, squeeze and excitation)."""
    rank = len(xs[0].shape)
    if rank < 2:
        raise OpError(f"'mul' expects values with channels or features, got {_all(xs)}")
    if any(len(x.shape) != rank or x.shape[0] != xs[0].shape[0] for x in xs):
        raise Disagreement(f"'mul' joins values of one rank, got {_all(xs)}")
    channels = {x.shape[1] for x in xs} - {1}
    maps = {x.shape[2:] for x in xs} - {(1, 1)}
    if len(channels) > 1 or len(maps) > 1:
        raise Disagreement(
            f"'mul' expects equal shapes, 1 x 1 maps or one channel, got {_all(xs)}",
            "a gate has as many channels as what it scales, or one",
        )
    shape = (xs[0].shape[0], channels.pop() if channels else 1, *(maps.pop() if maps else xs[0].shape[2:]))
    return Rule((shape,))


def _equal(name: str, xs: tuple[Tensor, ...]) -> Rule:
    if any(x.shape != xs[0].shape for x in xs):
        raise Disagreement(
            f"'{name}' expects equal shapes, got {_all(xs)}", "give all branches the same channels, height and width"
        )
    return Rule((xs[0].shape,))


def _all(xs: tuple[Tensor, ...]) -> str:
    return ", ".join(show(x.shape) for x in xs[:6])
