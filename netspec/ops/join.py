"""Joins of several values."""

from __future__ import annotations

from typing import Literal

from netspec.ops.base import Applied, OpError, OpResult, Tensor, check_probability, show
from netspec.ops.memory import MOVED, Kept, Memory, elements, never, nothing
from netspec.ops.moments import Moments, added, averaged, kept, multiplied, side_by_side
from netspec.ops.receptive_field import own_cell
from netspec.ops.registry import Registers, Sample, op

Free = Literal["nothing", "channels", "gates"]
"""In what the shapes of a join's values may differ: their channels, or as a gate does from what it scales."""


class Disagreement(OpError):
    """Branches of shapes that cannot be joined; `free` says in what they may differ."""

    code = "NS402"

    def __init__(self, message: str, help: str = "", free: Free = "nothing") -> None:
        super().__init__(message, help)
        self.free = free


ONE = Sample({}, ((6, 4, 4),))
IMAGE = (6, 11, 9)


def join(
    moments: Moments,
    memory: Memory,
    text: tuple[str, str],
    numbers_help: str,
    *samples: tuple[tuple[int, ...], ...],
    gates: bool = False,
) -> Registers:
    """The facts about an op that joins any number of values, `text` its label and aliases.

    Its samples also try it with a single value.
    """
    label, aliases = text
    return op(
        kind="join",
        receptive_field=own_cell,
        moments=moments,
        memory=memory,
        does_nothing=_is_of_one,
        same_when_flattened=True,
        label=label,
        aliases=aliases,
        numbers_help=numbers_help,
        gates=gates,
        samples=[ONE, *(Sample({}, shapes) for shapes in samples)],
    )


def _is_of_one(applied: Applied) -> bool:
    return len(applied.operands) == 1


def _sum_so_far(applied: Applied) -> int:
    """Of three values or more, the sum or product of those before."""
    return elements(applied.shape) if len(applied.operands) > 2 else 0


def _sum_to_divide(applied: Applied) -> int:
    return elements(applied.shape)


def _factors(applied: Applied) -> Kept:
    """All factors, and the products of the first ones."""
    return Kept(range(len(applied.operands)), more=max(0, len(applied.operands) - 2) * elements(applied.shape))


def _stack(applied: Applied) -> int:
    """All values in one, of which the largest are taken."""
    return len(applied.operands) * elements(applied.shape)


def _stacked(applied: Applied) -> Kept:
    return Kept(result=True, more=_stack(applied))


@join(
    side_by_side,
    MOVED,
    ("concatenate", "cat concatenate concatenation depthconcat join filterconcat"),
    "it always goes along the channels, and joins branches or the values of `from`",
    ((6, 4, 4), (2, 4, 4), (1, 4, 4)),
    ((6,), (2,)),
)
def concat(*xs: Tensor) -> OpResult:
    """Joins values along the channels, or along the features after `flatten`; all other sizes are equal."""
    first = xs[0].shape
    if len(first) < 2:
        raise OpError(f"'concat' expects values with channels or features, got {_all(xs)}")
    if any(len(x.shape) != len(first) or (x.shape[0], *x.shape[2:]) != (first[0], *first[2:]) for x in xs):
        raise Disagreement(
            f"'concat' joins values that differ in their channels alone, got {_all(xs)}",
            "give all branches the same height and width (stride, pad)",
            "channels",
        )
    return OpResult(((first[0], sum(int(x.shape[1]) for x in xs), *first[2:]),))


@join(
    added,
    Memory(nothing, _sum_so_far, layer=never),
    ("+", "plus sum addition elementwiseadd eltwiseadd eltwisesum"),
    "a constant is added by `affine: {shift: ...}`; `add` joins branches or the values of `from`",
    (IMAGE,) * 2,
    (IMAGE,) * 3,
)
def add(*xs: Tensor) -> OpResult:
    """The sum of values of equal shape."""
    return _equal("add", xs)


@join(
    multiplied,
    Memory(_factors, _sum_so_far, layer=never),
    ("\u00d7", "multiply times product prod eltwisemul elementwisemul"),
    "a constant factor is `affine: {scale: ...}`; `mul` joins branches or the values of `from`",
    ((6, 4, 4), (6, 1, 1)),
    ((1, 4, 4), (6, 4, 4), (6, 1, 1)),
    gates=True,
)
def mul(*xs: Tensor) -> OpResult:
    """The product; a map of 1 x 1 meets one of H x W, and one channel meets C (gates, squeeze and excitation)."""
    rank = len(xs[0].shape)
    if rank < 2:
        raise OpError(f"'mul' expects values with channels or features, got {_all(xs)}")
    if any(len(x.shape) != rank or x.shape[0] != xs[0].shape[0] for x in xs):
        raise Disagreement(f"'mul' joins values of one rank, got {_all(xs)}", free="gates")
    channels = {x.shape[1] for x in xs} - {1}
    maps = {x.shape[2:] for x in xs} - {(1, 1)}
    if len(channels) > 1 or len(maps) > 1:
        raise Disagreement(
            f"'mul' expects equal shapes, 1 x 1 maps or one channel, got {_all(xs)}",
            "a gate has as many channels as what it scales, or one",
            "gates",
        )
    shape = (xs[0].shape[0], channels.pop() if channels else 1, *(maps.pop() if maps else xs[0].shape[2:]))
    return OpResult((shape,))


@op(
    kind="join",
    receptive_field=own_cell,
    moments=averaged,
    memory=Memory(nothing, _sum_to_divide, layer=never),
    same_when_flattened=True,
    label=lambda attrs: f"mean, drop-path {attrs['drop_paths']:g}" if attrs.get("drop_paths") else "mean",
    training_attrs=("drop_paths",),
    aliases="average avg fractaljoin",
    numbers_help="the mean over height and width is `global_avg_pool`; `mean` joins branches or the values of `from`",
    samples=[ONE, Sample({}, (IMAGE,) * 3), Sample({"drop_paths": 0.7}, (IMAGE,) * 3)],
)
def mean(*xs: Tensor, drop_paths: float | None = None) -> OpResult:
    """The mean of values of equal shape; in training `drop_paths` leaves out each with this probability, but never all.

    This is the local drop-path of Larsson et al. 2016, section 2.1: one draw for a whole batch, and the mean of those
    that are left; where none would be, one that is drawn. At inference it is the mean of all.
    """
    if drop_paths is not None:
        check_probability("drop_paths", drop_paths)
    return OpResult(_equal("mean", xs).shapes, attrs={"drop_paths": drop_paths or None})


@join(
    kept,
    Memory(_stacked, _stack, layer=never),
    ("", "maximum maxout"),
    "a window's largest value is `max_pool`; `max` joins branches or the values of `from`",
    (IMAGE,) * 3,
)
def max_(*xs: Tensor) -> OpResult:
    """The largest of values of equal shape, elementwise (maxout)."""
    return _equal("max", xs)


def _equal(name: str, xs: tuple[Tensor, ...]) -> OpResult:
    if any(x.shape != xs[0].shape for x in xs):
        raise Disagreement(
            f"'{name}' expects equal shapes, got {_all(xs)}", "give all branches the same channels, height and width"
        )
    return OpResult((xs[0].shape,))


def _all(xs: tuple[Tensor, ...]) -> str:
    return ", ".join(show(x.shape) for x in xs[:6])
