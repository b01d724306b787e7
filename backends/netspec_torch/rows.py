"""What rows are made of: the layer of torch.nn that an op becomes, its arguments, and expressions."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from netspec.backend import takes
from netspec.ir.graph import Node
from netspec.ops import Shape

Shapes = Sequence[Shape]


@dataclass(frozen=True, slots=True)
class Arg:
    """An argument of a layer; one that equals its default is not written."""

    key: str
    value: object
    default: object = None
    positional: bool = False


@dataclass(frozen=True, slots=True)
class Layer:
    """A class with its arguments."""

    cls: str
    args: tuple[Arg, ...] = ()


@dataclass(frozen=True, slots=True)
class Row:
    """How one op is written; each takes the node and the shapes of its operands."""

    layer: Callable[[Node, Shapes], Layer | None] | None = None
    call: Callable[[Node, Shapes], str] | None = None
    before: Callable[[Node, Shapes], str] | None = None
    """What is done to the operand before the layer: padding that the layer cannot do."""
    after: Callable[[Node, Shapes], str] | None = None
    """What is done to the layer's result."""
    layer_in_chains_alone: bool = False
    """Whether `forward` has the expression although the layer takes arguments; without arguments it always has."""
    in_place: bool = False
    """Whether the layer and the function of the expression take `inplace=True`."""
    counters: tuple[str, ...] = ()
    """Integers that the layer keeps in its state dict next to the statistics of the op, after the last of these."""
    helpers: Mapping[str, str] = field(default_factory=dict)
    """Of a plug-in: what PyTorch lacks, as source by name, as in `netspec_torch.helpers`."""

    def __post_init__(self) -> None:
        for name in ("layer", "call", "before", "after"):
            made = getattr(self, name)
            if made is not None and not (callable(made) and takes(made, "node", "shapes")):
                raise TypeError(f"`{name}` of a Row is a function of (node, shapes), not {made!r}")


def act(cls: str, call: str, in_place: bool = False) -> Row:
    """An elementwise function: a layer without arguments, and its expression."""
    return Row(lambda node, shapes: Layer(cls), lambda node, shapes: call, in_place=in_place)


def one(pair: tuple[int, int]) -> int | tuple[int, int]:
    """A pair of equal numbers as one number."""
    return pair[0] if pair[0] == pair[1] else pair


def positional(*values: tuple[str, object]) -> tuple[Arg, ...]:
    """Arguments that are written without their names."""
    return tuple(Arg(key, value, positional=True) for key, value in values)
