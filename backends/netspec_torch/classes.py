"""What the classes of a source are made of: members, lines of `forward`, and the body that each instance would have."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Protocol

from netspec.ir.scope_tree import Region
from netspec.ops import Shape
from netspec_torch.rows import Arg


class Repeated(Protocol):
    """A loop that a body is."""

    @property
    def stem(self) -> str: ...

    @property
    def start(self) -> int: ...

    @property
    def first(self) -> Member: ...

    @property
    def counter(self) -> Member: ...

    def growth(self, parameter: str) -> int: ...


class Named(Protocol):
    """A class that bodies share, as those see it which have one of it as a member."""

    name: str
    parameters: list[str]
    defaults: dict[str, object]
    channels: set[str]
    """The parameters that are numbers of channels."""


@dataclass(eq=False)
class Member:
    """A submodule: a layer, an instance of a class, or a sequence of members."""

    name: str
    """Below the class, with dots."""
    cls: str = ""
    args: tuple[Arg, ...] = ()
    body: Body | None = None
    """Of an instance of a class."""
    items: list[Member] | None = None
    """Of a sequence."""

    def leaves(self) -> Iterator[Member]:
        """The layers and instances in it."""
        if self.items is None:
            yield self
        else:
            for item in self.items:
                yield from item.leaves()

    def paths(self, above: str) -> Iterator[tuple[str, Member]]:
        """The layers and instances in it, with their paths where it lies below `above`."""
        path = f"{above}.{self.name}" if above else self.name
        if self.items is None:
            yield path, self
        else:
            for item in self.items:
                yield from item.paths(path)

    def key(self) -> tuple[object, ...]:
        """Its structure, without the values of arguments; what it is made of has its class already."""
        inner = tuple(i.key() for i in self.items) if self.items is not None else ()
        return self.name, self.cls, tuple(a.key for a in self.args), id(self.body.group) if self.body else 0, inner

    def given(self) -> dict[str, object]:
        """The arguments of a layer, or of an instance by the parameters of its class."""
        return dict(self.body.values) if self.body else {a.key: a.value for a in self.args}

    def channels(self) -> set[str]:
        """The arguments that are numbers of channels."""
        if self.body is None:
            return {"in_channels", "out_channels", "num_features"}
        assert self.body.group is not None
        return self.body.group.channels

    def defaults(self) -> dict[str, object]:
        """The arguments that need not be written, with their values."""
        if self.body is None:
            return {a.key: a.default for a in self.args if not a.positional}
        assert self.body.group is not None
        return self.body.group.defaults


@dataclass(eq=False)
class Line:
    """A line of `forward`, the shape that it makes, the title of what it calls, and the names of what it reads."""

    text: str
    shape: Shape | None = None
    title: str = ""
    reads: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Step:
    """What a body does in one place: values by number, those that enter first and then as they are made."""

    text: str
    """Over {0}, {1}, ... for what it reads."""
    reads: tuple[int, ...]
    made: tuple[int, ...]
    name: str
    """Of the step in the spec."""
    line: int | None
    """Of `forward`; None where it only gives a value another name."""


@dataclass(eq=False)
class Body:
    """What a class would be for one instance."""

    region: Region
    members: list[Member] = field(default_factory=list)
    lines: list[Line] = field(default_factory=list)
    steps: list[Step] = field(default_factory=list)
    results: tuple[int, ...] = ()
    """The values that leave it, by number."""
    parameters: tuple[str, ...] = ("x",)
    """Of `forward`."""
    returns: str = ""
    """What `forward` gives, where that is not of one type."""
    in_channels: int | None = None
    loop: Repeated | None = None
    """What it is in place of its members and lines."""
    group: Named | None = None
    values: dict[str, object] = field(default_factory=dict)
    """Of the class's parameters, for this instance."""
    order: int = 0
    """Its place among all, in the order of the spec."""

    def leaves(self) -> list[Member]:
        """The layers and instances in it, in order; of a loop its first, and how it goes on."""
        if self.loop is not None:
            return [self.loop.first, self.loop.counter]
        return [leaf for member in self.members for leaf in member.leaves()]

    def height(self) -> int:
        """How many classes there are on the way to its innermost layer."""
        return 1 + max((leaf.body.height() for leaf in self.leaves() if leaf.body), default=0)

    def key(self) -> tuple[object, ...]:
        """Equal for instances that can share a class."""
        if self.loop is not None:
            grows = tuple(a.key for a in self.loop.counter.args)
            return self.region.scope.block, self.loop.stem, self.loop.start, self.loop.first.key(), grows
        return (
            self.region.scope.block,
            self.parameters,
            tuple(m.key() for m in self.members),
            tuple(line.text for line in self.lines),
        )
