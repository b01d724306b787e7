"""Values: what parameters and loop variables hold, and what an expression can see."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from netspec.diagnostics.errors import Hint, SemanticError, Span, did_you_mean, latest
from netspec.elaborate.state import Elaboration
from netspec.elaborate.symbols import Ambiguous, CallFrame, DependsOnError, SymbolTable, Tensors, descend
from netspec.expressions.lexer import PREFIXES
from netspec.expressions.values import Opaque, Value
from netspec.syntax.ast import ValueNode
from netspec.syntax.document import BlockDecl, Document


class Word(str):
    """A string of a spec that may later name a block: it remembers the file that it stands in."""

    home: Document

    def __new__(cls, text: str, home: Document) -> Word:
        word = super().__new__(cls, text)
        word.home = home
        return word


@dataclass(frozen=True, eq=False)
class BlockValue(Opaque):
    """A block or op as a value, with the arguments that were written next to it."""

    name: str
    target: BlockDecl | Document | None
    """None for an op."""
    args: ValueNode | None = None
    env: Env | None = None
    """Where `args` are evaluated."""

    def __str__(self) -> str:
        return self.name


Bound: TypeAlias = "Value | Tensors | Ambiguous"
"""What a name is bound to where expressions look: a value, an error value, or AMBIGUOUS."""


@dataclass(eq=False, slots=True)
class Env:
    """What an expression can see: values by name, and tensors by path."""

    state: Elaboration
    frame: CallFrame
    values: Mapping[str, Bound]
    symbols: SymbolTable
    entering: Tensors | None = None

    def seeing(self, values: Mapping[str, Bound]) -> Env:
        """The same with other values, which may still grow."""
        return Env(self.state, self.frame, values, self.symbols, self.entering)

    def kept(self) -> Env:
        """The same with the values that there are now, for what is evaluated later."""
        return Env(self.state, self.frame, dict(self.values), self.symbols, self.entering)

    # The protocol of netspec.expressions.expression.Env:

    def value(self, name: str) -> Value:
        """The value of a name; raises KeyError where there is none."""
        if name not in self.values and not self.frame.is_new(name):
            raise DependsOnError
        value = self.values[name]
        if isinstance(value, Ambiguous):
            raise SemanticError(
                "NS202", "'i' is the index of two loops here", None, help="name one of them: `for: {k: 5}`"
            )
        if isinstance(value, Tensors):  # an error value
            raise DependsOnError
        return value

    def names(self) -> Iterable[str]:
        """The names that value() knows."""
        return self.values.keys()

    def tensor(self, path: str, attr: str) -> Value:
        """channels, height, width, features or shape of the value at a path."""
        shape = self.state.graph.shape_of(self.read(path))
        if attr == "shape":
            return list(shape[1:])
        if attr == "features":
            return math.prod(map(int, shape[1:]))
        index = {"channels": 1, "height": 2, "width": 3}[attr]
        if index >= len(shape) or (index > 1 and len(shape) != 4):
            raise SemanticError("NS302", f"'{path}' has no {attr}: its shape is {'x'.join(map(str, shape[1:]))}")
        return shape[index]

    def tick(self, units: int = 1) -> None:
        """Counts units of work against the limit."""
        self.state.tick(units)

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
        """The value at a path; raises SemanticError where there is none, DependsOnError after an error."""
        value = self.find(path)
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

    def find(self, path: str) -> Tensors:
        """The value at a path, whatever its state; raises SemanticError where there is none."""
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
        symbol = self.symbols.visible(first)
        if symbol is None:
            known = latest(self.symbols.all())
            raise self.symbols.miss(first, Hint(lambda: self._unknown(path, first, rest, known)))
        if rest:
            self.state.tick(len(symbol.value.names) // 16)
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
        if not rest and first in self.state.callables(self.frame.home):
            return f"a string is a path; a list of steps is [{first}]"
        return str(did_you_mean(first, known))

    def _later(self, name: str) -> Span | None:
        """A step of this name in the body of the block, which has not run yet."""
        decl = self.frame.home.blocks.get(self.frame.block) if not self.frame.is_document else None
        steps = decl.body if decl is not None else self.frame.home.body if self.frame.is_document else ()
        return next((step.span for step in steps if step.makes[0] == name and not step.failed), None)
