"""The tree of an expression, and the walks over it that need no values."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import TypeAlias

from netspec.expressions.lexer import Token


@dataclass(frozen=True, slots=True, eq=False)
class _Node:
    start: int
    end: int
    """Its characters in the text."""

    @property
    def place(self) -> tuple[int, int]:
        """The characters at which an error of the node itself is shown."""
        return self.start, self.end


@dataclass(frozen=True, slots=True, eq=False)
class Constant(_Node):
    """A number, a string, `true` or `false`."""

    value: bool | int | float | str


@dataclass(frozen=True, slots=True, eq=False)
class Name(_Node):
    """A value by its name."""

    name: str


@dataclass(frozen=True, slots=True, eq=False)
class Attribute(_Node):
    """`layer{n}.channels`: what is known of the tensor at a path."""

    path: Parts
    attribute: str


@dataclass(frozen=True, slots=True, eq=False)
class _Operation(_Node):
    operator: Token

    @property
    def place(self) -> tuple[int, int]:
        return self.operator.start, self.operator.end


@dataclass(frozen=True, slots=True, eq=False)
class UnaryOp(_Operation):
    """`-a`, `+a` and `not a`."""

    operand: Node


@dataclass(frozen=True, slots=True, eq=False)
class BinOp(_Operation):
    """`a + b` and the further arithmetic."""

    left: Node
    right: Node


@dataclass(frozen=True, slots=True, eq=False)
class Conditional(_Operation):
    """`then if condition else otherwise`; the operator is the `if`."""

    condition: Node
    then: Node
    otherwise: Node


@dataclass(frozen=True, slots=True, eq=False)
class Index(_Operation):
    """`operand[at]`; the operator is the bracket."""

    operand: Node
    at: Node


@dataclass(frozen=True, slots=True, eq=False)
class Slice(_Operation):
    """`operand[low:high]`; the operator is the bracket."""

    operand: Node
    low: Node | None
    high: Node | None


@dataclass(frozen=True, slots=True, eq=False)
class Call(_Operation):
    """A built-in function; the operator is its name."""

    arguments: tuple[Node, ...]


@dataclass(frozen=True, slots=True, eq=False)
class ListLiteral(_Operation):
    """`[a, b]`; the operator is the bracket."""

    items: tuple[Node, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Comprehension(_Operation):
    """`[element for names in source if condition]`; the operator is the bracket."""

    element: Node
    names: tuple[str, ...]
    source: Node
    condition: Node | None


@dataclass(frozen=True, slots=True, eq=False)
class BoolOp(_Node):
    """`a and b and c`, or the same with `or`."""

    first: Node
    rest: tuple[tuple[Token, Node], ...]
    """The further operands, with the operator before each."""


@dataclass(frozen=True, slots=True, eq=False)
class Compare(_Node):
    """`a < b <= c`."""

    first: Node
    rest: tuple[tuple[Token, Node], ...]
    """The further operands, with the operator before each."""


Node: TypeAlias = (
    Constant
    | Name
    | Attribute
    | UnaryOp
    | BinOp
    | Conditional
    | Index
    | Slice
    | Call
    | ListLiteral
    | Comprehension
    | BoolOp
    | Compare
)


@dataclass(frozen=True, slots=True, eq=False)
class Placeholder:
    """`{expression}` in a name or path; `start` is the first character inside the braces."""

    expression: Node
    start: int


Parts: TypeAlias = tuple[str | Placeholder, ...]
"""A name or path, as the texts and placeholders that it is made of."""


def children(node: Node) -> tuple[Node, ...]:
    """The nodes right below a node in source order, but what brings the names of a comprehension before its element."""
    match node:
        case Constant() | Name() | Attribute():
            return ()
        case UnaryOp():
            return (node.operand,)
        case BinOp():
            return node.left, node.right
        case Conditional():
            return node.then, node.condition, node.otherwise
        case Index():
            return node.operand, node.at
        case Slice():
            return tuple(n for n in (node.operand, node.low, node.high) if n is not None)
        case Call():
            return node.arguments
        case ListLiteral():
            return node.items
        case Comprehension():
            return tuple(n for n in (node.source, node.condition, node.element) if n is not None)
        case BoolOp() | Compare():
            return node.first, *(operand for _, operand in node.rest)


def walk(root: Node) -> Iterator[Node]:
    """A node and all below it, those inside of placeholders excepted."""
    todo = [root]
    while todo:
        node = todo.pop()
        yield node
        todo += reversed(children(node))


@lru_cache(maxsize=16_384)
def free_names(root: Node) -> Mapping[str, tuple[int, int]]:
    """The names that a tree reads from its environment, and the characters of the first place of each."""
    free: dict[str, tuple[int, int]] = {}
    todo: list[tuple[Node, frozenset[str]]] = [(root, frozenset())]
    while todo:
        node, bound = todo.pop()
        below = [(child, bound) for child in children(node)]
        match node:
            case Name():
                read = frozenset((node.name,))
            case Attribute():
                read = names_in(node.path)
            case Comprehension():
                read, inner = frozenset(), bound | frozenset(node.names)
                below[1:] = [(child, inner) for child, _ in below[1:]]
            case _:
                read = frozenset()
        for name in read - bound:
            free.setdefault(name, node.place)
        todo += reversed(below)
    return free


def names_in(parts: Parts) -> frozenset[str]:
    """The names that placeholders read."""
    return frozenset(name for part in parts if isinstance(part, Placeholder) for name in free_names(part.expression))
