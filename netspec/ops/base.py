"""What ops are made of: shapes, attributes and their types, and what a rule gives."""

from __future__ import annotations

import inspect
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

Dim = int | str
Shape = tuple[Dim, ...]
Attrs = Mapping[str, Any]
"""Attributes by name, resolved: sizes are pairs, four sides a tuple."""

ParamType = Literal["int", "float", "bool", "str", "list", "size", "pad", "parts"]

MAX_SIZE = 2**31 - 1
MAX_ELEMENTS = 2**40


class OpError(Exception):
    """An op cannot take these operands or attributes; `arg` names the attribute at fault."""

    code = "NS401"

    def __init__(self, message: str, help: str = "", arg: str = "") -> None:
        super().__init__(message)
        self.help, self.arg = help, arg


def check_probability(name: str, value: float) -> None:
    """Raises OpError for an attribute that is no probability of leaving something out, in [0, 1)."""
    if not 0 <= value < 1:
        raise OpError(f"'{name}' is a probability below 1, got {value}", arg=name)


@dataclass(frozen=True, slots=True)
class Tensor:
    """A value as shape rules see it; the first dimension is a symbol such as N."""

    shape: Shape

    @property
    def rank(self) -> int:
        """The number of dimensions."""
        return len(self.shape)

    @property
    def features(self) -> int:
        """Elements of one item: the product of all dimensions but the first."""
        return math.prod(int(d) for d in self.shape[1:])

    def image(self, op: str) -> tuple[int, int, int]:
        """(N, C, H, W) -> C, H, W; raises OpError for another rank."""
        if len(self.shape) != 4:
            help_ = "the batch is left out of `input`: [C, H, W]" if len(self.shape) == 5 else ""
            raise OpError(f"'{op}' expects a value of shape N x C x H x W, got {show(self.shape)}", help_)
        return int(self.shape[1]), int(self.shape[2]), int(self.shape[3])


def show(shape: Sequence[Dim]) -> str:
    """A shape without its batch, as people write it: 64x56x56."""
    dims = shape[1:] if shape and isinstance(shape[0], str) else shape
    return "x".join(map(str, dims)) or "scalar"


@dataclass(frozen=True, slots=True)
class OpResult:
    """What the rule of an op gives: output shapes, trained and running tensors, MACs at batch 1."""

    shapes: tuple[Shape, ...]
    weights: Mapping[str, Shape] = field(default_factory=dict)
    stats: Mapping[str, Shape] = field(default_factory=dict)
    macs: int | None = 0
    """Multiply-accumulates; None means that no rule counts them."""
    attrs: Attrs = field(default_factory=dict)
    """Attributes that the operands resolved (pad: half -> [1, 1, 1, 1]); they replace the written ones."""

    def __post_init__(self) -> None:
        for shape in (*self.shapes, *self.weights.values(), *self.stats.values()):
            sizes = [d for d in shape if isinstance(d, int)]
            if any(d < 1 or d > MAX_SIZE for d in sizes) or math.prod(sizes) > MAX_ELEMENTS:
                raise OpError(
                    f"a tensor of {show(shape)} is out of bounds",
                    help="sizes are 1 to 2^31 - 1, a tensor has at most 2^40 elements",
                )


class Applied(NamedTuple):
    """An op applied to operands, as the rules that state facts about it see it."""

    attrs: Attrs
    operands: Sequence[Shape]
    result: OpResult

    @property
    def shape(self) -> Shape:
        """The shape of the first output."""
        return self.result.shapes[0]


def keeps_shape(applied: Applied) -> bool:
    """Whether the result has the shape of the first operand; an op that only moves cells does nothing then."""
    return applied.shape == applied.operands[0]


@dataclass(frozen=True, slots=True)
class Param:
    """An attribute of an op."""

    name: str
    type: ParamType
    default: object = inspect.Parameter.empty
    positional: bool = True
    one_of: tuple[str, ...] = ()
    min: int = 1
    """Of a size: the least that both of its numbers are."""

    @property
    def required(self) -> bool:
        """Whether it has no default."""
        return self.default is inspect.Parameter.empty


def freeze(value: object) -> Any:
    """Lists become tuples, deeply, so that nodes can be compared and hashed."""
    return tuple(map(freeze, value)) if isinstance(value, (list, tuple)) else value


# Annotations of attributes. They are written as text in signatures: `from __future__ import annotations`.
# A rule sees a Size as a pair, whatever was written; for the type checker they are open.
Size = Any
Offset = Size  # a Size that may be 0
Pad = Size
Parts = Size
REQUIRED: Size = inspect.Parameter.empty
"""The default of a parameter that has to be given although the one before it need not."""


def pair(value: Size, what: str, low: int = 1) -> tuple[int, int]:
    """An int or [h, w] as (h, w); raises OpError below `low`."""
    both = (value, value) if isinstance(value, int) else tuple(value)
    if len(both) != 2 or not all(isinstance(v, int) and not isinstance(v, bool) for v in both):
        raise OpError(f"'{what}' is an int or [h, w], got {value!r}", arg=what)
    if min(both) < low:
        raise OpError(f"'{what}' must be at least {low}, got {value!r}", arg=what)
    if max(both) > MAX_SIZE:
        raise OpError(f"'{what}' must be below 2^31", arg=what)
    return both


LARGEST, SMALLEST = 3.4028234663852886e38, 1.401298464324817e-45
"""What float32 holds, in which both runtimes take attributes."""


def number(value: object, what: str) -> float:
    """A float that is the same for every runtime; raises OpError for one that is infinite or 0 in float32."""
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        raise OpError(f"'{what}' is a number, got {value!r}", arg=what)
    if not abs(value) <= LARGEST:
        raise OpError(f"'{what}' must be within float32, got {value}", "at most 3.4e38", what)
    if 0 < abs(value) < SMALLEST:
        raise OpError(f"'{what}' is 0 in float32, got {value}", "at least 1.4e-45", what)
    return float(value)


_PLAIN: dict[str, tuple[type | tuple[type, ...], str]] = {
    "int": (int, "an integer"),
    "bool": (bool, "true or false"),
    "str": (str, "a string"),
    "list": ((list, tuple), "a list"),
}


def normalise(param: Param, value: object) -> Any:
    """Sizes become pairs; everything else stays; types and `one_of` are enforced, a number is one of float32."""
    if value is None and param.default is None:
        return None
    if param.type in _PLAIN:
        kind, expected = _PLAIN[param.type]
        if not isinstance(value, kind) or (param.type == "int" and isinstance(value, bool)):
            raise OpError(f"'{param.name}' expects {expected}, got {value!r}", arg=param.name)
    if param.one_of and value not in param.one_of:
        raise OpError(f"'{param.name}' is one of {', '.join(map(str, param.one_of))}, got {value!r}", arg=param.name)
    if param.type == "size":
        return pair(value, param.name, param.min)
    if param.type == "float":
        return number(value, param.name)
    return freeze(value)
