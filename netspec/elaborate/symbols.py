"""Symbols: what the names of steps mean, and what steps give."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal, Protocol

from netspec.diagnostics.errors import Frame, Hint, SemanticError, Span, did_you_mean
from netspec.ir.graph import Ref
from netspec.syntax.document import Document
from netspec.syntax.steps import Branch


class DependsOnError(Exception):
    """Something here depends on an error that is reported already."""


@dataclass(frozen=True, slots=True)
class Tensors:
    """What a step gives: one tensor, or several (with the names of the parts)."""

    refs: tuple[Ref, ...] = ()
    names: tuple[str, ...] = ()
    state: Literal["", "error", "absent"] = ""
    """'error' after an error, 'absent' where `only_if` left it out."""

    @property
    def ok(self) -> bool:
        """Whether it can be read."""
        return not self.state

    def part(self, name: str) -> Tensors | None:
        """One part by name."""
        return Tensors((self.refs[self.names.index(name)],)) if name in self.names else None


ERROR = Tensors(state="error")
ABSENT = Tensors(state="absent")


@dataclass(eq=False, slots=True)
class Symbol:
    """A name in a scope: what it means, where its node or scope is, and what is inside it."""

    value: Tensors
    path: str
    span: Span | None
    written: bool
    children: SymbolTable | None = None


_BRANCHES = "branches do not see each other: what both need stands before the join"

MAX_LOST = 200
"""After so many templates with errors any name may be one that they would have made."""


class Looks(Protocol):
    """What names look like: the same for equal ones, which are kept once."""

    def matches(self, name: str) -> bool:
        """Whether a name looks so, in a time in proportion to its length."""


@dataclass(eq=False, slots=True)
class SymbolTable:
    """The names of one scope of a block."""

    parent: SymbolTable | None = None
    entries: dict[str, Symbol] = field(default_factory=dict)
    lost: dict[Looks, None] = field(default_factory=dict)
    """What the names look like that steps with an error would have made."""
    branch: Branch | None = None
    """The branch whose scope this is."""
    missed: set[str] = field(default_factory=set)
    """Unknown names that were reported already; kept by the outermost scope of a block."""

    def visible(self, name: str) -> Symbol | None:
        """The symbol that a name means here: of this scope, or of one around it."""
        scope: SymbolTable | None = self
        while scope is not None:
            if name in scope.entries:
                return scope.entries[name]
            scope = scope.parent
        scope = self
        while scope is not None:
            if name in scope.missed or len(scope.lost) > MAX_LOST or any(looks.matches(name) for looks in scope.lost):
                return Symbol(ERROR, name, None, False)
            scope = scope.parent
        return None

    def lose(self, made: Iterable[str | Looks], prefix: str, span: Span) -> None:
        """Makes error values of the names that a step with an error makes, so that their readers add none."""
        for name in made:
            if isinstance(name, str):
                path = f"{prefix}.{name}" if prefix else name
                symbol = self.entries.setdefault(name, Symbol(ERROR, path, span, False))
                if symbol.children is not None and symbol.span == span:
                    symbol.value = ERROR  # a loop that has not made all its iterations
            else:
                self.lost[name] = None

    def miss(self, name: str, help: str | Hint = "") -> SemanticError:
        """The error of an unknown name, which is reported once in a block: after that it is an error value."""
        scope, sibling = self, None
        while scope.parent is not None:
            sibling = sibling or (scope.branch and scope.branch.beside(name))
            scope = scope.parent
        sibling = sibling or (scope.branch and scope.branch.beside(name))
        scope.missed.add(name)
        if sibling is not None:
            label = sibling.counted or (sibling.template.written("_") if sibling.template is not None else "")
            where = f"it is the branch '{label}'" if name == label else f"it stands in the branch '{label}'"
            message = f"there is no step '{name}' here: {where} next to this one"
            return SemanticError("NS203", message, None, _BRANCHES)
        return SemanticError("NS203", f"there is no step '{name}' before this one", None, help)

    def all(self) -> Iterator[str]:
        """Every name that can be seen from here, the nearest first."""
        scope: SymbolTable | None = self
        while scope is not None:
            yield from reversed(scope.entries)
            scope = scope.parent


class Ambiguous:
    """The value of `i` under two counting loops."""


AMBIGUOUS = Ambiguous()

Operand = tuple[str, Tensors]
"""One value of a join, and what it is called."""
Result = tuple[Tensors, SymbolTable | None]
"""What a step gives, and the names in it that can be read from outside."""


@dataclass(eq=False)
class CallFrame:
    """One call of a block: what entered, and where it came from."""

    home: Document
    block: str
    inputs: Mapping[str, Tensors]
    """By name; a block of one input has it as `x`, a document under its declared name."""
    prefix: str
    trace: tuple[Frame, ...]
    depth: int
    is_document: bool = False
    until: str | None = None
    """Of a network used `until` a step: the path at which its body ends."""
    stopped: bool = False
    reads: set[str] = field(default_factory=set)
    """Inputs that were read."""
    unknown: set[str] = field(default_factory=set)
    """Values that nothing declares, which is reported once."""

    @classmethod
    def outermost(cls, home: Document, name: str) -> CallFrame:
        """That of a document, or of a block alone, which nothing calls."""
        return cls(home, name, {}, "", (), 0, is_document=True)

    def reach(self, path: str) -> bool:
        """Ends the body of a network that is used `until` the step or iteration at this path; whether it ended."""
        self.stopped = self.stopped or path == self.until
        return self.stopped

    def is_new(self, name: str) -> bool:
        """Whether an unknown value is to be reported: not where its declaration was refused, and not again."""
        decl = None if self.is_document else self.home.blocks.get(self.block)
        if (decl.open if decl is not None else self.home.open & {"params", "let"}) or name in self.unknown:
            return False
        self.unknown.add(name)
        return True


def place_of(span: Span | None, here: Span | None) -> str:
    """Where something is defined, for a message at another place: the line, and the file where that is another."""
    if span is None:
        return "another place"
    return f"line {span.line}" if here is None or span.source is here.source else str(span)


def descend(symbol: Symbol, rest: list[str], path: str) -> Tensors:
    """Follows a path into groups, branches and parts; raises SemanticError."""
    for i, segment in enumerate(rest):
        if symbol.children is not None and segment in symbol.children.entries:
            symbol = symbol.children.entries[segment]
            continue
        if symbol.value.state == "error":
            return ERROR
        part = symbol.value.part(segment)
        if part is not None and i == len(rest) - 1:
            return part
        if symbol.value.state == "absent":
            return ABSENT
        known = [*(symbol.children.entries if symbol.children else ()), *symbol.value.names]
        if known:
            raise SemanticError(
                "NS203",
                f"'{path}': there is no '{segment}' in '{'.'.join(path.split('.')[: -len(rest) + i])}'",
                None,
                help=did_you_mean(segment, known),
            )
        raise SemanticError(
            "NS203",
            f"'{path}': what is inside a block or an op cannot be read from outside",
            None,
            help="a block is reached by its `outputs`, a network with `until` by its steps",
        )
    return symbol.value
