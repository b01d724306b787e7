"""One place of a spec and what is accepted there; the table of all places is in `keywords`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from netspec.expressions.identifiers import Kind

Type: TypeAlias = Literal["object", "array", "string", "integer", "number", "boolean", "null"]
TEXT: tuple[Type, ...] = ("string", "number", "boolean")


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """What is accepted in one place: scalars of some types, a list, a mapping of some keys."""

    types: tuple[Type, ...] = ()
    """Empty for anything."""
    expected: str = ""
    """How messages call what is accepted; empty for the types."""
    one_of: tuple[str | int, ...] = ()
    within: tuple[float, float] | None = None
    """Of a number: the least and the largest that is accepted."""
    pattern: str = ""
    """Of a text: what it looks like, for the schema; the reader says what is wrong with one that does not."""
    name: Kind | None = None
    """Of a scalar that is a name: what it names."""
    item: Place | str | None = None
    """What the items of a list are: a place, or its name in PLACES."""
    keys: Mapping[str, Place | str] = field(default_factory=dict)
    others: Place | str | None = None
    """What the values of other keys are; None where nobody looks at them."""
    no_other_keys: bool = False
    """Whether other keys are errors."""
    misplaced: Mapping[str, str] = field(default_factory=dict)
    """Keywords that other places have, with the help for each."""
    required: tuple[str, ...] = ()
    any_of: tuple[str, ...] = ()
    """Keys of which a mapping must have one."""
    key_name: Kind | None = None
    """Of a mapping whose keys are names: what they name."""
    also: str | None = None
    """A key that is accepted although nothing can have this name."""
    several: bool = False
    """Whether a key may be several names, with commas between them."""
    least: int = 0
    """How many entries, are accepted at least; a text is then not empty."""
    most: int | None = None
    counts: bool = False
    """Whether messages say how many entries are wrong, and not what is expected."""
    is_step: bool = False
    """Whether the other keys are ops, and their values arguments."""
    op: str = ""
    """The op whose arguments these are."""
    unless: tuple[tuple[str, ...], Place | str] | None = None
    """Of a mapping with none of some keys: these, and what the mapping is instead."""

    @property
    def known(self) -> str:
        """How messages call a mapping without other keys that `expected` says nothing of."""
        return f"a mapping of {', '.join(list(self.keys)[:7])}"


ANYTHING = Place()


def mapping(keys: Mapping[str, Place | str], *required: str, types: tuple[Type, ...] = ("object",)) -> Place:
    """A mapping of these keys and no others."""
    return Place(types=types, keys=keys, no_other_keys=True, required=required)
