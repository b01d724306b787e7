"""What the nodes of an expression do."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Protocol

from netspec.diagnostics.errors import Hint, did_you_mean
from netspec.expressions.arithmetic import (
    MAX_LIST,
    binary,
    bounded,
    compare,
    cost,
    index,
    measured,
    slice_of,
    truth,
    unary,
    weight,
)
from netspec.expressions.ast import (
    Attribute,
    BinOp,
    BoolOp,
    Call,
    Compare,
    Comprehension,
    Conditional,
    Constant,
    Index,
    ListLiteral,
    Name,
    Node,
    Parts,
    Slice,
    UnaryOp,
    walk,
)
from netspec.expressions.errors import ExpressionError
from netspec.expressions.functions import FUNCTIONS
from netspec.expressions.other_names import value_name_help
from netspec.expressions.values import Value

MAX_FILLED = 5_000


class Env(Protocol):
    """What an expression can see."""

    def value(self, name: str) -> Value:
        """The value of a name; raises KeyError."""

    def tensor(self, path: str, attribute: str) -> Value:
        """channels, height, width, features or shape of the value at a path."""

    def names(self) -> Iterable[str]:
        """The names that value() knows."""

    def tick(self, units: int = 1) -> None:
        """Counts units of work."""


class Evaluator:
    """Evaluates the nodes of one expression; `local` holds the names of the comprehensions around them."""

    __slots__ = ("env", "local", "root")

    def __init__(self, env: Env, root: Node, local: Mapping[str, Value]) -> None:
        self.env, self.root, self.local = env, root, local

    def value(self, node: Node) -> Value:
        """The value of a node; raises ExpressionError, with characters."""
        try:
            # A long chain, `a + b + c + ...`, is as deep as it is long: it takes one frame of Python for each operator.
            match node:
                case Constant():
                    return node.value
                case Name():
                    return self._name(node)
                case BinOp():
                    a, b = self.value(node.left), self.value(node.right)
                    self.env.tick(cost(a, b))
                    result = binary(node.operator.text, a, b)
                    return self._charged(result)
                case Index():
                    return index(self.value(node.operand), self.value(node.at))
                case Attribute():
                    self.env.tick()
                    return self.env.tensor(fill(node.path, self.env, self.local, node.start), node.attribute)
                case Compare():
                    return self._compare(node)
                case Conditional():
                    self.env.tick()
                    return self.value(node.then if truth(self.value(node.condition)) else node.otherwise)
                case BoolOp():
                    return self._logic(node)
                case UnaryOp():
                    return unary(node.operator.text, self.value(node.operand))
                case Call():
                    return self._call(node)
                case ListLiteral():
                    return self._charged(bounded([self.value(item) for item in node.items]))
                case Slice():
                    return self._slice(node)
                case Comprehension():
                    return self._charged(self._comprehension(node))
        except ExpressionError as e:
            e.locate(node.place)
            raise

    def _call(self, node: Call) -> Value:
        values = [self.value(argument) for argument in node.arguments]
        self.env.tick(cost(*values))
        result = FUNCTIONS[node.operator.text](*values)
        return self._charged(result)

    def _charged(self, made: Value) -> Value:
        """What was made; a list was gone through, with all that is in it, to bound it, and costs as much."""
        if isinstance(made, list):
            self.env.tick(measured(made).work)
        return made

    def _name(self, node: Name) -> Value:
        self.env.tick()
        if node.name in self.local:
            return self.local[node.name]
        try:
            return self.env.value(node.name)
        except KeyError:
            raise ExpressionError("NS202", f"there is no value '{node.name}'", self._help(node.name)) from None

    def _help(self, name: str) -> str | Hint:
        """The help for a name that nobody knows; where something is compared it may be a string without quotes."""
        known = list(self.env.names())
        compared = [n for n in walk(self.root) if isinstance(n, Compare)]
        equality = any(operator.text in ("==", "!=") for n in compared for operator, _ in n.rest)
        otherwise = f"a string is quoted here: '{name}'" if equality else ""
        return value_name_help(name, known) or did_you_mean(name, known, otherwise)

    def _logic(self, node: BoolOp) -> Value:
        """`and`, `or`: bools only, those on the right only if they decide."""
        self.env.tick(len(node.rest))
        first_operator = node.rest[0][0]
        decides = first_operator.text == "or"
        for operator, operand in ((first_operator, node.first), *node.rest):
            value = self.value(operand)
            try:
                if truth(value) is decides:
                    return decides
            except ExpressionError as e:
                e.locate((operator.start, operator.end))
                raise
        return not decides

    def _compare(self, node: Compare) -> Value:
        """a < b < c, as in Python."""
        self.env.tick()
        left = self.value(node.first)
        for operator, operand in node.rest:
            right = self.value(operand)
            if isinstance(left, list) and isinstance(right, list):
                self.env.tick(measured(left).work)
            try:
                if not compare(operator.text, left, right):
                    return False
            except ExpressionError as e:
                e.locate((operator.start, operator.end))
                raise
            left = right
        return True

    def _slice(self, node: Slice) -> Value:
        operand = self.value(node.operand)
        self.env.tick(cost(operand))
        low = None if node.low is None else self.value(node.low)
        high = None if node.high is None else self.value(node.high)
        return slice_of(operand, low, high)

    def _comprehension(self, node: Comprehension) -> Value:
        rows = self.value(node.source)
        if not isinstance(rows, list):
            raise ExpressionError("NS302", "a comprehension goes over a list", "`range(n)` counts")
        found: list[Value] = []
        size, outer = 0, self.local
        for row in rows:
            self.env.tick()
            values = [row] if len(node.names) == 1 else row
            if not isinstance(values, list) or len(values) != len(node.names):
                raise ExpressionError("NS302", f"a row of the comprehension has not {len(node.names)} values")
            self.local = {**outer, **dict(zip(node.names, values, strict=True))}
            if node.condition is None or truth(self.value(node.condition)):
                found.append(item := self.value(node.element))
                if isinstance(item, list) and (size := size + weight(item)) > MAX_LIST:
                    break
        self.local = outer
        return bounded(found)


def fill(parts: Parts, env: Env, local: Mapping[str, Value], start: int = 0) -> str:
    """The text of a name or path that begins at a character, its placeholders filled; raises ExpressionError."""
    out: list[str] = []
    length = 0
    for part in parts:
        length += len(out[-1]) if out else 0
        if length > MAX_FILLED:
            message = f"limit exceeded: placeholders make more than {MAX_FILLED:,} characters of this"
            raise ExpressionError("NS304", message, characters=(start, start + 1))
        if isinstance(part, str):
            out.append(part)
            continue
        value = Evaluator(env, part.expression, local).value(part.expression)
        if isinstance(value, bool) or not isinstance(value, (int, str)):
            help_ = "`//` divides integers" if isinstance(value, float) else ""
            message = "a placeholder of a name gives an integer or a string"
            raise ExpressionError("NS302", message, help_, (part.start, part.start + 1))
        out.append(str(value))
    return "".join(out)
