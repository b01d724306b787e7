"""The syntax tree of a spec below its steps: values, paths and loops; an `Error` is what cannot be read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from netspec.diagnostics.errors import Hint, SemanticError, Span
from netspec.expressions.ast import Constant
from netspec.expressions.expression import Expr, Template
from netspec.syntax.tree import ScalarValue


@dataclass(frozen=True, slots=True, eq=False)
class Error:
    """What cannot be read, which is reported: what needs it is an error value."""

    span: Span
    written: ValueNode | None = None
    """What is written there: it is not looked at for errors, and it may read any name that it mentions."""


@dataclass(frozen=True, slots=True, eq=False)
class Unevaluable:
    """An expression, a path or a value that is wrong where it is evaluated; a step that is not run may hold one."""

    text: str
    span: Span
    code: str
    message: str
    at: Span
    help: str | Hint = ""
    quoted: bool = False

    def error(self) -> SemanticError:
        """What is wrong with it."""
        return SemanticError(self.code, self.message, self.at, self.help)


@dataclass(frozen=True, slots=True, eq=False)
class Name:
    """A key or a string that names something."""

    text: str
    span: Span


# Values: what may be given to a parameter.


@dataclass(frozen=True, slots=True, eq=False)
class Literal:
    """A number, a string, `true`, `false` or nothing, as it is written."""

    value: ScalarValue
    text: str
    quoted: bool
    span: Span


@dataclass(frozen=True, slots=True, eq=False)
class Expression:
    """What is computed: `=width * 2`, or the same without `=` where nothing but an expression is accepted."""

    expr: Expr
    text: str
    quoted: bool
    span: Span

    @property
    def count(self) -> int:
        """The number that it is, where that is seen without computing it; else 0."""
        tree = self.expr.tree
        return tree.value if isinstance(tree, Constant) and type(tree.value) is int else 0


Computed: TypeAlias = Expression | Unevaluable | Error


@dataclass(frozen=True, slots=True, eq=False)
class ListNode:
    """A list of values."""

    items: tuple[ValueNode, ...]
    span: Span


@dataclass(frozen=True, slots=True, eq=False)
class MapNode:
    """Values by name: arguments, or a block with its arguments."""

    entries: tuple[tuple[Name, ValueNode], ...]
    span: Span

    def get(self, key: str) -> ValueNode | None:
        """The value of a key, or None."""
        return next((value for name, value in self.entries if name.text == key), None)


ValueNode: TypeAlias = Literal | Expression | ListNode | MapNode | Unevaluable | Error


def parts_of(node: ValueNode | None) -> tuple[ValueNode, ...]:
    """The items of a list, or the values of a mapping."""
    if isinstance(node, MapNode):
        return tuple(value for _, value in node.entries)
    return node.items if isinstance(node, ListNode) else ()


def cut_in(args: ValueNode | None) -> Literal | Expression | Unevaluable | None:
    """An argument that YAML cut inside { } or [ ]: an unquoted expression whose brackets do not close."""
    for node in parts_of(args):
        if isinstance(node, (ListNode, MapNode, Error)) or node.quoted or not node.text.startswith(("=", "(")):
            continue
        if node.text.count("(") > node.text.count(")") or node.text.count("[") > node.text.count("]"):
            return node
    return None


# What a step reads.


@dataclass(frozen=True, slots=True, eq=False)
class PathNode:
    """The path of a step, with placeholders."""

    template: Template
    text: str
    is_number: bool
    """Whether a number is written: `mean: [2, 3]` may mean something else."""
    span: Span


Path: TypeAlias = PathNode | Unevaluable


@dataclass(frozen=True, slots=True, eq=False)
class Paths:
    """A list of paths."""

    items: tuple[Source, ...]
    span: Span


Source: TypeAlias = PathNode | Paths | Unevaluable | Error


@dataclass(frozen=True, slots=True, eq=False)
class ShareLoop:
    """`share: true`: the iterations of the nearest loop share their weights."""

    span: Span


@dataclass(frozen=True, slots=True, eq=False)
class ShareWith:
    """`share: path`, or {of: path, own: [names]}."""

    of: Path
    own: tuple[Path, ...]
    span: Span


# Loops.


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """`{k, v: iterable}`: the variables of a loop, and what it goes over."""

    variables: tuple[str, ...]
    at: Span
    over: ListNode | Computed
    span: Span


@dataclass(frozen=True, slots=True, eq=False)
class Repeat:
    """`repeat: n`: an iteration takes what the one before gave, and is counted by `i`."""

    count: Computed


@dataclass(frozen=True, slots=True, eq=False)
class For:
    """`for: {k: iterable}`: the same with variables; each of its iterations may be repeated."""

    rows: Rows
    repeat: Repeat | None


@dataclass(frozen=True, slots=True, eq=False)
class Each:
    """`each: n` or `each: {k: iterable}`: iterations side by side."""

    over: Rows | Computed


Loop: TypeAlias = Repeat | For | Each


def loop_rows(loop: Loop | Error | None) -> Rows | None:
    """The variables of a loop that has some, and what it goes over."""
    if isinstance(loop, For):
        return loop.rows
    return loop.over if isinstance(loop, Each) and isinstance(loop.over, Rows) else None


def loop_counts(loop: Loop | Error | None) -> tuple[Computed, ...]:
    """The counts of a loop that counts."""
    if isinstance(loop, For):
        return loop_counts(loop.repeat)
    if isinstance(loop, Repeat):
        return (loop.count,)
    return (loop.over,) if isinstance(loop, Each) and not isinstance(loop.over, Rows) else ()
