"""The operators of expressions: strict types, finite numbers, bounded work."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from typing import NamedTuple, TypeVar

from netspec.expressions.errors import ExpressionError
from netspec.expressions.values import Number, Value, kind

MAX_INT = 2**63 - 1
MAX_LIST = 100_000
MAX_NESTED = 100
"""So deep lists lie in each other: Python compares and prints them by recursion."""

Ordered = TypeVar("Ordered", float, str)


def number(value: Value, what: str) -> Number:
    """The value, if it is a number; a bool is none; raises ExpressionError."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        help_ = "`a if c else b` chooses between numbers" if isinstance(value, bool) else ""
        raise ExpressionError("NS302", f"{what} expects numbers, got {kind(value)}", help_)
    return value


def whole(value: Value, what: str) -> int:
    """The value, if it is an integer; raises ExpressionError."""
    if isinstance(value, bool) or not isinstance(value, int):
        help_ = "`//` divides integers, `int(...)` cuts" if isinstance(value, float) else ""
        raise ExpressionError("NS302", f"{what} expects an integer, got {kind(value)}", help_)
    return value


def finite(value: Number) -> Number:
    """The value, if it is within bounds; raises ExpressionError."""
    if isinstance(value, float) and not math.isfinite(value):
        raise ExpressionError("NS303", "the result is infinite or not a number")
    if isinstance(value, int) and abs(value) > MAX_INT:
        raise ExpressionError("NS303", "the result is out of bounds", "integers are below 2^63")
    return value


def truth(value: Value) -> bool:
    """The value, if it is a bool; raises ExpressionError."""
    if not isinstance(value, bool):
        help_ = "compare it: `n > 0`" if isinstance(value, (int, float)) else ""
        raise ExpressionError("NS302", f"a condition is true or false, got {kind(value)}", help_)
    return value


def unary(sign: str, value: Value) -> Value:
    """-a, +a and not a; raises ExpressionError."""
    if sign == "not":
        return not truth(value)
    n = number(value, f"'{sign}'")
    return -n if sign == "-" else n


def binary(sign: str, a: Value, b: Value) -> Value:
    """The arithmetic operators; lists can be joined with + and repeated with *; raises ExpressionError."""
    if sign == "+" and isinstance(a, list) and isinstance(b, list):
        return bounded([*a, *b])
    if sign == "*" and isinstance(a, list):
        return repeated(a, b)
    if sign == "*" and isinstance(b, list):
        return repeated(b, a)
    x, y = number(a, f"'{sign}'"), number(b, f"'{sign}'")
    if sign in ("/", "//", "%") and y == 0:
        raise ExpressionError("NS303", "division by zero")
    if sign == "**":
        return power(x, y)
    try:
        return finite(_ARITHMETIC[sign](x, y))
    except OverflowError:
        raise ExpressionError("NS303", "the result is out of bounds") from None


_ARITHMETIC: dict[str, Callable[[Number, Number], Number]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
    "//": operator.floordiv,
    "%": operator.mod,
}


def repeated(items: list[Value], count: Value) -> list[Value]:
    """A list so many times, refused before it is made where it would be long; raises ExpressionError."""
    times = whole(count, "repeating a list")
    if len(items) * max(0, times) > MAX_LIST:
        raise ExpressionError("NS304", f"limit exceeded: a list has at most {MAX_LIST:,} values")
    return bounded(items * times) if items else []


def power(a: Number, b: Number) -> Number:
    """a ** b, refused before it is computed where it would be large; raises ExpressionError."""
    if isinstance(a, int) and isinstance(b, int) and b >= 0 and abs(a) > 1 and b * math.log2(abs(a)) > 63.01:
        raise ExpressionError("NS303", "the result is out of bounds", "integers are below 2^63")
    try:
        result: int | float | complex = a**b
    except ZeroDivisionError:
        raise ExpressionError("NS303", "division by zero") from None
    except OverflowError:
        raise ExpressionError("NS303", "the result is out of bounds") from None
    if isinstance(result, complex):
        raise ExpressionError("NS303", "a root of a negative number")
    return finite(result)


def compare(sign: str, a: Value, b: Value) -> bool:
    """The comparisons; a number is never compared with a string; raises ExpressionError."""
    if _family(a) != _family(b):
        raise ExpressionError("NS302", f"{kind(a)} cannot be compared with {kind(b)}")
    if sign in ("==", "!="):
        return (a == b) is (sign == "==")
    if isinstance(a, str) and isinstance(b, str):
        return _ordered(sign, a, b)
    if _family(a) == "number" and isinstance(a, (int, float)) and isinstance(b, (int, float)):
        return _ordered(sign, a, b)
    raise ExpressionError("NS302", f"'{sign}' compares numbers or strings, these are {kind(a)} and {kind(b)}")


def _ordered(sign: str, a: Ordered, b: Ordered) -> bool:
    if sign[0] == "<":
        return a <= b if sign == "<=" else a < b
    return a >= b if sign == ">=" else a > b


def _family(value: Value) -> str:
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, (int, float)):
        return "number"
    return "string" if isinstance(value, str) else "list" if isinstance(value, list) else "block"


def index(value: Value, at: Value) -> Value:
    """v[i]; -1 is the last; raises ExpressionError."""
    if not isinstance(value, (list, str)):
        raise ExpressionError("NS302", f"only a list has [ ], got {kind(value)}")
    i = whole(at, "an index")
    if not -len(value) <= i < len(value):
        raise ExpressionError("NS303", f"there is no [{i}] in a list of {len(value)}", "the first is [0]")
    return value[i]


def slice_of(value: Value, low: Value | None, high: Value | None) -> list[Value]:
    """v[a:b]; raises ExpressionError."""
    if not isinstance(value, list):
        raise ExpressionError("NS302", f"only a list can be sliced, got {kind(value)}")
    start = None if low is None else whole(low, "a slice")
    end = None if high is None else whole(high, "a slice")
    return value[start:end]


def bounded(value: list[Value]) -> list[Value]:
    """The list, if it is not too long, the lists in it included; raises ExpressionError."""
    size = measured(value)
    if size.values > MAX_LIST:
        message = f"limit exceeded: a list has at most {MAX_LIST:,} values, the lists in it included"
        raise ExpressionError("NS304", message)
    if size.depth > MAX_NESTED:
        raise ExpressionError("NS304", f"limit exceeded: lists are nested more than {MAX_NESTED} deep")
    return value


class Size(NamedTuple):
    """What a list holds, the lists in it included."""

    values: int
    lists: int
    depth: int

    @property
    def work(self) -> int:
        """What it costs to go through all of it, as units of work."""
        return 1 + self.values // 16 + self.lists // 2


def measured(value: Value) -> Size:
    """The size of a list, 0 of any other value; counting ends above a limit."""
    values = lists = depth = 0
    level = [value] if isinstance(value, list) else []
    while level and values <= MAX_LIST and depth <= MAX_NESTED:
        depth, lists = depth + 1, lists + len(level)
        values += sum(map(len, level))
        if values <= MAX_LIST:
            level = [v for part in level for v in part if isinstance(v, list)]
    return Size(values, lists, depth)


def weight(value: Value) -> int:
    """How many values a list holds, those of the lists in it included; counting ends above MAX_LIST."""
    return measured(value).values


def cost(*values: Value) -> int:
    """What an operation on values costs, as units of work: those on long lists are long."""
    total = 1
    for value in values:
        if isinstance(value, list):
            total += len(value) // 16
    return total
