"""What elaboration passes around: values, names in scope, and the environment of expressions."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from netspec.diagnostics.errors import Frame, Hint, Reporter, SemanticError, Span, did_you_mean, latest
from netspec.expressions.lexer import PREFIXES
from netspec.ir.graph import Ref
from netspec.ops import Shape
from netspec.syntax.yaml_reader import Scalar, Tree

if TYPE_CHECKING:
    from netspec.syntax.reader import Document
    from netspec.syntax.step_reader import BlockDecl, Branch


class DependsOnError(Exception):
    """Something here depends on a mistake that is reported already."""


@dataclass(frozen=True, slots=True)
class Tensors:
    """What a step gives: one tensor, or several (with the names of the parts)."""

    refs: tuple[Ref, ...] = ()
    names: tuple[str, ...] = ()
    state: str = ""
    """'error' after a mistake, 'absent' where `only_if` left it out."""

    @property
    def ok(self) -> bool:
        """Whether it can be read."""
        return not self.state

    def part(self, name: str) -> Tensors | None:
        """One part by name."""
        return Tensors((self.refs[self.names.index(name)],)) if name in self.names else None


ERROR = Tensors(state="error")
ABSENT = Tensors(state="absent")


class Word(str):
    """A word of a spec that may later name a block: it remembers the file that it stands in."""

    home: Document | None = None
    frame: CallFrame | None = None


@dataclass(frozen=True, eq=False)
class BlockValue:
    """A block or op as a value, with the arguments that were written beside it."""

    name: str
    target: BlockDecl | Document | None
    """None for an op."""
    args: Tree | None = None
    env: Env | None = None
    """Where `args` are evaluated."""

    def __str__(self) -> str:
        return self.name


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


@dataclass(eq=False, slots=True)
class SymbolTable:
    """The names of one scope of a block."""

    parent: SymbolTable | None = None
    entries: dict[str, Symbol] = field(default_factory=dict)
    lost: dict[re.Pattern[str], None] = field(default_factory=dict)
    """What the names look like that steps with an error would have made."""
    branch: Branch | None = None
    """The branch whose scope this is."""
    missed: set[str] = field(default_factory=set)
    """Unknown names that were said already; kept by the outermost scope of a block."""

    def visible(self, name: str) -> Symbol | None:
        """The symbol that a name means here: of this scope, or of one around it."""
        scope: SymbolTable | None = self
        while scope is not None:
            if name in scope.entries:
                return scope.entries[name]
            scope = scope.parent
        scope = self
        while scope is not None:
            if name in scope.missed or len(scope.lost) > MAX_LOST or any(looks.match(name) for looks in scope.lost):
                return Symbol(ERROR, name, None, False)
            scope = scope.parent
        return None

    def lose(self, made: Iterable[str | re.Pattern[str]], prefix: str, span: Span) -> None:
        """Makes error values of the names that a step with an error makes, so that their readers say nothing more."""
        for name in made:
            if isinstance(name, str):
                path = f"{prefix}.{name}" if prefix else name
                symbol = self.entries.setdefault(name, Symbol(ERROR, path, span, False))
                if symbol.children is not None and symbol.span == span:
                    symbol.value = ERROR  # a loop that has not made all its iterations
            else:
                self.lost[name] = None

    def miss(self, name: str, help: str | Hint = "") -> SemanticError:
        """The error of an unknown name, which is said once in a block: after that it is an error value."""
        scope, beside = self, None
        while scope.parent is not None:
            beside = beside or (scope.branch and scope.branch.beside(name))
            scope = scope.parent
        beside = beside or (scope.branch and scope.branch.beside(name))
        scope.missed.add(name)
        if beside is not None:
            label = beside.counted or (beside.name.written("_") if beside.name is not None else "")
            where = f"it is the branch '{label}'" if name == label else f"it stands in the branch '{label}'"
            message = f"there is no step '{name}' here: {where} beside this one"
            return SemanticError("NS203", message, None, _BRANCHES)
        return SemanticError("NS203", f"there is no step '{name}' before this one", None, help)

    def all(self) -> Iterator[str]:
        """Every name that can be seen from here, the nearest first."""
        scope: SymbolTable | None = self
        while scope is not None:
            yield from reversed(scope.entries)
            scope = scope.parent


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
    stopped: bool = False
    reads: set[str] = field(default_factory=set)
    """Inputs that were read."""
    unknown: set[str] = field(default_factory=set)
    """Values that nothing declares, which is said once."""

    def is_new(self, name: str) -> bool:
        """Whether an unknown value is to be reported: not where its declaration was refused, and not again."""
        decl = None if self.is_document else self.home.blocks.get(self.block)
        if (decl.open if decl is not None else self.home.open & {"params", "let"}) or name in self.unknown:
            return False
        self.unknown.add(name)
        return True


class Ambiguous:
    """The value of `i` under two counting loops."""


AMBIGUOUS = Ambiguous()


class Env:
    """What an expression can see: values by name, and tensors by path."""

    def __init__(
        self, run: Any, frame: CallFrame, values: Mapping[str, Any], scope: SymbolTable, entering: Tensors | None = None
    ) -> None:
        self.run, self.frame, self.values, self.scope, self.entering = run, frame, values, scope, entering

    def seeing(self, values: Mapping[str, Any]) -> Env:
        """The same with other values, which may still grow."""
        return Env(self.run, self.frame, values, self.scope, self.entering)

    def kept(self) -> Env:
        """The same with the values that there are now, for what is evaluated later."""
        return Env(self.run, self.frame, dict(self.values), self.scope, self.entering)

    def at(self, scope: SymbolTable, entering: Tensors | None) -> Env:
        """The same seen from a scope, with what enters the step."""
        return Env(self.run, self.frame, self.values, scope, entering)

    # The protocol of netspec.expressions.expression.Env:

    def value(self, name: str) -> Any:
        """The value of a name; raises KeyError where there is none."""
        if name not in self.values and not self.frame.is_new(name):
            raise DependsOnError
        value = self.values[name]
        if value is AMBIGUOUS:
            raise SemanticError(
                "NS202", "'i' is the index of two loops here", None, help="name one of them: `for: {k: 5}`"
            )
        if value is ERROR:
            raise DependsOnError
        return value

    def names(self) -> Iterable[str]:
        """The names that value() knows."""
        return self.values.keys()

    def tensor(self, path: str, attr: str) -> Any:
        """channels, height, width, features or shape of the value at a path."""
        shape = self.run.shape_of(self.read(path))
        if attr == "shape":
            return list(shape[1:])
        if attr == "features":
            out = 1
            for d in shape[1:]:
                out *= d
            return out
        index = {"channels": 1, "height": 2, "width": 3}[attr]
        if index >= len(shape) or (index > 1 and len(shape) != 4):
            raise SemanticError("NS302", f"'{path}' has no {attr}: its shape is {'x'.join(map(str, shape[1:]))}")
        return shape[index]

    def tick(self) -> None:
        """Counts a step against the limit."""
        self.run.tick()

    def work(self, units: int) -> None:
        """Counts further work against the limit."""
        self.run.tick(units)

    def read(self, path: str) -> Tensors:
        """The one tensor at a path of this block, `x` and `in` included; raises SemanticError or DependsOnError."""
        value = self.resolve(path)
        if len(value.refs) != 1:
            raise SemanticError(
                "NS203",
                f"'{path}' has {len(value.refs)} values",
                None,
                help=f"name one of them: {', '.join(f'{path}.{n}' for n in value.names[:4])}",
            )
        return value

    def resolve(self, path: str) -> Tensors:
        """The value at a path; raises SemanticError where there is none, DependsOnError after a mistake."""
        value = self._find(path)
        if value.state == "error":
            raise DependsOnError
        if value.state == "absent":
            raise SemanticError(
                "NS203",
                f"'{path}' is not there: its `only_if` is false",
                None,
                help="give the reader the same `only_if`, or use `when`",
            )
        return value

    def _find(self, path: str) -> Tensors:
        if path == "in":
            if self.entering is None:
                raise SemanticError("NS203", "nothing enters this step", None, help="the first step needs `from`")
            return self.entering
        if path == "x" and not self.frame.is_document:
            if "x" not in self.frame.inputs:
                raise SemanticError(
                    "NS203",
                    f"'x' is not a value here: '{self.frame.block}' has the inputs {', '.join(self.frame.inputs)}",
                    None,
                    help="use their names",
                )
            self.frame.reads.add("x")
            return self.frame.inputs["x"]
        first, *rest = path.split(".")
        if first in self.frame.inputs and first != "x":
            self.frame.reads.add(first)
        symbol = self.scope.visible(first)
        if symbol is None:
            known = latest(self.scope.all())
            raise self.scope.miss(first, Hint(lambda: self._unknown(path, first, rest, known)))
        if rest:
            self.run.tick(len(symbol.value.names) // 16)
        return descend(symbol, rest, path)

    def _unknown(self, path: str, first: str, rest: list[str], known: tuple[str, ...]) -> str:
        """The help for a path whose first name is unknown here."""
        if path == "x":
            return f"in the body of a document an input has its name: {', '.join(self.frame.inputs)}"
        if first in PREFIXES:
            return f"a parameter is read by its name alone: `={(rest or ['width'])[0]}`"
        if part := re.fullmatch(r"(\w+)\[(\w+)\]", path):
            return f"a part is read by its name: `{part[1]}.{part[2]}`"
        if re.fullmatch(r"-?\d+", path):
            return str(did_you_mean(first, known, "a path is the name of an earlier step"))
        if (later := self._later(first)) is not None:
            return f"'{first}' stands below, in line {later.line}: only earlier steps can be read"
        if not rest and first in self.run.callables(self.frame.home):
            return f"a string is a path; a list of steps is [{first}]"
        return str(did_you_mean(first, known))

    def _later(self, name: str) -> Span | None:
        """A step of this name that stands in the body of the block, which was not run yet."""
        decl = self.frame.home.blocks.get(self.frame.block) if not self.frame.is_document else None
        steps = decl.body if decl is not None else self.frame.home.body if self.frame.is_document else ()
        return next((step.span for step in steps if step.makes[0] == name and not step.failed), None)


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


def report(
    reporter: Reporter, frame: CallFrame | None, code: str, message: str, span: Span | None, help: str | Hint = ""
) -> None:
    """Reports an error with the calls through which the compiler came."""
    reporter.error(code, message, span, help, frame.trace if frame else ())


__all__ = [
    "ABSENT",
    "AMBIGUOUS",
    "ERROR",
    "CallFrame",
    "BlockValue",
    "Symbol",
    "Env",
    "SemanticError",
    "SymbolTable",
    "DependsOnError",
    "Scalar",
    "Shape",
    "Tensors",
    "Word",
    "descend",
    "report",
]
