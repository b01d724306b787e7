"""Classes of blocks: instances of one structure share a class, and what differs becomes its parameters."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from netspec.ir.scope_tree import Region
from netspec.ops import Shape
from netspec_torch.quote import identifier
from netspec_torch.rows import Arg


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
        """Its structure, without the values of arguments."""
        inner = tuple(i.key() for i in self.items) if self.items is not None else ()
        return self.name, self.cls, tuple(a.key for a in self.args), id(self.body.group) if self.body else 0, inner


@dataclass(eq=False)
class Line:
    """A line of `forward`, the shape that it makes, and the title of what it calls."""

    text: str
    shape: Shape | None = None
    title: str = ""


@dataclass(eq=False)
class Body:
    """What a class would be for one instance."""

    region: Region
    members: list[Member] = field(default_factory=list)
    lines: list[Line] = field(default_factory=list)
    parameters: str = "x"
    """Of `forward`."""
    returns: str = ""
    """What `forward` gives, where that is not of one type."""
    in_channels: int | None = None
    group: Group | None = None
    values: dict[str, object] = field(default_factory=dict)
    """Of the class's parameters, for this instance."""

    def key(self) -> tuple[object, ...]:
        """Equal for instances that can share a class."""
        return (
            self.region.scope.block,
            self.parameters,
            tuple(m.key() for m in self.members),
            tuple(line.text for line in self.lines),
        )


@dataclass(eq=False)
class Group:
    """A class with its instances."""

    name: str
    bodies: list[Body] = field(default_factory=list)
    lifted: dict[tuple[int, str], str] = field(default_factory=dict)
    """(number of the leaf, argument) -> parameter or expression of it."""
    parameters: list[str] = field(default_factory=list)
    taken: set[str] = field(default_factory=set)
    """Names of the classes of the file, which no parameter may hide."""
    frozen: list[str] = field(default_factory=list)
    """The modules that are not trained, of the class of the network."""

    def leaves(self, body: Body) -> list[Member]:
        """The layers and instances of one of its instances, in order."""
        return [leaf for m in body.members for leaf in m.leaves()]

    def lift(self) -> None:
        """Makes parameters of the arguments in which the instances differ; inner classes are lifted already."""
        columns: dict[tuple[int, str], list[object]] = {}
        for body in self.bodies:
            for number, leaf in enumerate(self.leaves(body)):
                given = leaf.body.values.items() if leaf.body else ((a.key, a.value) for a in leaf.args)
                for key, value in given:
                    columns.setdefault((number, key), []).append(value)
        by_column: dict[str, str] = {}
        for (number, key), column in columns.items():
            if all(_same(v, column[0]) for v in column):
                continue
            shown = repr(column)
            if shown not in by_column:
                by_column[shown] = self._half(column, columns) or self._name(number, key, column)
            self.lifted[number, key] = by_column[shown]

    def _name(self, number: int, key: str, column: list[object]) -> str:
        """A parameter for a column: the block's own where it explains it, in_channels, or the layer's."""
        name = ""
        first = self.bodies[0].region.scope.args
        for param in first:
            if all(_same(_flat(b.region.scope.args.get(param)), v) for b, v in zip(self.bodies, column, strict=True)):
                name = param
                break
        if not name and all(b.in_channels == v and v is not None for b, v in zip(self.bodies, column, strict=True)):
            name = "in_channels"
        if not name:
            leaf = self.leaves(self.bodies[0])[number]
            base = "_".join(s for s in leaf.name.split(".") if not s.isdigit()) or "layer"
            name = f"{base}_{key}"
        unique = identifier(name, {*self.parameters, *self.taken})
        self.parameters.append(unique)
        for body, value in zip(self.bodies, column, strict=True):
            body.values[unique] = value
        return unique

    def _half(self, column: list[object], columns: dict[tuple[int, str], list[object]]) -> str:
        """`kernel // 2` for the padding that keeps the size, where the kernel is a parameter."""
        for place, other in columns.items():
            if place in self.lifted and all(
                isinstance(k, int) and k % 2 and v == k // 2 for k, v in zip(other, column, strict=True)
            ):
                return f"{self.lifted[place]} // 2"
        return ""


def _same(a: object, b: object) -> bool:
    return type(a) is type(b) and bool(a == b)


def _flat(value: object) -> object:
    """A pair of equal numbers as one, as arguments are written."""
    if isinstance(value, (list, tuple)) and len(value) == 2 and value[0] == value[1]:
        return value[0]
    return tuple(value) if isinstance(value, list) else value
