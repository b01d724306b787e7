"""What an argument of a layer is in each instance of a block, found by hash: no column is compared with every other."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

ABSENT = object()
"""What a column has where an instance lacks the layer."""
Column = Sequence[object]
Keys = tuple[str, ...]
N = TypeVar("N")
NOTHING = ""
"""The key of what is absent."""


def same(a: object, b: object) -> bool:
    """Whether two values are written alike."""
    return type(a) is type(b) and bool(a == b)


def keys(column: Iterable[object]) -> Keys:
    """Equal for values that are written alike; the empty text where there is none."""
    return tuple(NOTHING if value is ABSENT else repr(value) for value in column)


class Index:
    """Columns by what they hold, each with the name of what it is called by; of several the first is found."""

    def __init__(self) -> None:
        self._columns: list[tuple[int, Keys, str]] = []
        self._tables: dict[tuple[bool, ...], dict[Keys, tuple[int, str]]] = {}
        """By the places that a column looked for has: those of the columns there, with order and name."""

    def add(self, order: int, column: Keys, name: str) -> None:
        """Adds a column; among those that are alike the one of the least order is found."""
        self._columns.append((order, column, name))
        for there, table in self._tables.items():
            _put(table, _at(column, there), order, name)

    def find(self, column: Keys) -> str:
        """The name of a column that holds the same wherever this one holds anything; empty without one."""
        there = tuple(key != NOTHING for key in column)
        if (table := self._tables.get(there)) is None:
            table = self._tables[there] = {}
            for order, other, name in self._columns:
                _put(table, _at(other, there), order, name)
        return table.get(_at(column, there), (0, ""))[1]


class Makers(Generic[N]):
    """Columns that may lack values, found by one that has the same wherever they have any."""

    def __init__(self) -> None:
        self._tables: dict[tuple[bool, ...], dict[Keys, tuple[int, N]]] = {}

    def add(self, order: int, column: Keys, name: N) -> None:
        """Adds a column."""
        there = tuple(key != NOTHING for key in column)
        _put(self._tables.setdefault(there, {}), _at(column, there), order, name)

    def find(self, column: Keys) -> N | None:
        """The name of the first column of which nothing differs from this one; None without one."""
        found = [table.get(_at(column, there)) for there, table in self._tables.items()]
        return min((one for one in found if one is not None), key=lambda one: one[0], default=(0, None))[1]


@dataclass
class Known:
    """What the columns of a class have been called."""

    names: set[str] = field(default_factory=set)
    """Those that no new parameter may have."""
    texts: dict[Keys, str] = field(default_factory=dict)
    """Parameters and expressions, by the column that they stand for."""
    parameters: Index = field(default_factory=Index)
    columns: dict[str, Keys] = field(default_factory=dict)
    """Those of the parameters, by name."""
    own: Index = field(default_factory=Index)
    """The parameters of the block."""
    halves: Index = field(default_factory=Index)
    """What half of an odd number is written as, by that half."""
    makers: Makers[tuple[int, str]] = field(default_factory=Makers)
    """The arguments that say how many channels a layer makes."""

    def add(self, name: str, column: Column) -> None:
        """Adds a parameter."""
        self.names.add(name)
        self.columns[name] = keys(column)
        self.parameters.add(len(self.columns), self.columns[name], name)

    def called(self, order: int, column: Column, text: str) -> None:
        """Says what a column is written as; `order` is its place among all."""
        self.texts[keys(column)] = text
        if not text.isidentifier():
            return
        halves = [k // 2 if isinstance(k, int) and k % 2 else k if k is ABSENT else object() for k in column]
        self.halves.add(order, keys(halves), f"{text} // 2")


def _at(column: Keys, there: tuple[bool, ...]) -> Keys:
    return tuple(key for key, has in zip(column, there, strict=True) if has)


def _put(table: dict[Keys, tuple[int, N]], column: Keys, order: int, name: N) -> None:
    if column not in table or order < table[column][0]:
        table[column] = (order, name)
