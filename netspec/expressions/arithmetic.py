"""The arithmetic of expressions: strict types, finite numbers, bounded work."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

MAX_INT = 2**63 - 1
MAX_LIST = 100_000


class Fault(Exception):
    """Something that cannot be computed; the place is added where it is known."""

    def __init__(self, code: str, message: str, help: str = "", start: int = 0, end: int = 0) -> None:
        super().__init__(message)
        self.code, self.message, self.help, self.start, self.end = code, message, help, start, end


def kind(value: Any) -> str:
    """A value's type in words."""
    if isinstance(value, bool):
        return "a bool"
    if isinstance(value, int):
        return "an integer"
    if isinstance(value, float):
        return "a number"
    if isinstance(value, str):
        return "a string"
    return "a list" if isinstance(value, list) else "a block"


def number(value: Any, what: str) -> int | float:
    """The value, if it is a number; a bool is none; raises Fault."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        help_ = "`a if c else b` chooses between numbers" if isinstance(value, bool) else ""
        raise Fault("NS302", f"{what} expects numbers, got {kind(value)}", help_)
    return value


def whole(value: Any, what: str) -> int:
    """The value, if it is an integer; raises Fault."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise Fault(
            "NS302",
            f"{what} expects an integer, got {kind(value)}",
            "`//` divides integers, `int(...)` cuts" if isinstance(value, float) else "",
        )
    return value


def finite(value: Any) -> Any:
    """The value, if it is within bounds; raises Fault."""
    if isinstance(value, float) and not math.isfinite(value):
        raise Fault("NS303", "the result is infinite or no number")
    if isinstance(value, int) and abs(value) > MAX_INT:
        raise Fault("NS303", "the result is out of bounds", "integers are below 2^63")
    return value


def truth(value: Any) -> bool:
    """The value, if it is a bool; raises Fault."""
    if not isinstance(value, bool):
        raise Fault(
            "NS302",
            f"a condition is true or false, got {kind(value)}",
            "compare it: `n > 0`" if isinstance(value, (int, float)) else "",
        )
    return value


def unary(sign: str, value: Any) -> Any:
    """-a and +a."""
    n = number(value, f"'{sign}'")
    return -n if sign == "-" else n


def binary(sign: str, a: Any, b: Any) -> Any:
    """The arithmetic operators; lists and words can be joined with +, a list repeated with *; raises Fault."""
    if sign == "+" and isinstance(a, list) and isinstance(b, list):
        return bounded([*a, *b])
    if sign == "*" and isinstance(a, list) or sign == "*" and isinstance(b, list):
        items, count = (a, b) if isinstance(a, list) else (b, a)
        if len(items) * max(0, whole(count, "repeating a list")) > MAX_LIST:
            raise Fault("NS304", f"limit exceeded: a list has at most {MAX_LIST:,} values")
        return bounded(items * count)
    x, y = number(a, f"'{sign}'"), number(b, f"'{sign}'")
    if sign in ("/", "//", "%") and y == 0:
        raise Fault("NS303", "division by zero")
    if sign == "**":
        return power(x, y)
    try:
        return finite(_ARITHMETIC[sign](x, y))
    except OverflowError:
        raise Fault("NS303", "the result is out of bounds") from None


_ARITHMETIC: dict[str, Callable[[Any, Any], Any]] = {
    "+": lambda a, b: a + b,
    "-": lambda a, b: a - b,
    "*": lambda a, b: a * b,
    "/": lambda a, b: a / b,
    "//": lambda a, b: a // b,
    "%": lambda a, b: a % b,
}


def power(a: int | float, b: int | float) -> int | float:
    """a ** b, refused before it is computed where it would be large; raises Fault."""
    if isinstance(a, int) and isinstance(b, int) and b >= 0 and abs(a) > 1 and b * math.log2(abs(a)) > 63.01:
        raise Fault("NS303", "the result is out of bounds", "integers are below 2^63")
    try:
        result = a**b
    except ZeroDivisionError:
        raise Fault("NS303", "division by zero") from None
    except OverflowError:
        raise Fault("NS303", "the result is out of bounds") from None
    if isinstance(result, complex):
        raise Fault("NS303", "a root of a negative number")
    return finite(result)  # type: ignore[no-any-return]


def compare(sign: str, a: Any, b: Any) -> bool:
    """The comparisons; a number is never compared with a word; raises Fault."""
    if _family(a) != _family(b):
        help_ = ""
        raise Fault("NS302", f"{kind(a)} cannot be compared with {kind(b)}", help_)
    if sign in ("==", "!="):
        return (a == b) is (sign == "==")
    if _family(a) not in ("number", "word"):
        raise Fault("NS302", f"'{sign}' compares numbers or words, these are {kind(a)} and {kind(b)}")
    return bool({"<": a < b, ">": a > b, "<=": a <= b, ">=": a >= b}[sign])


def _family(value: Any) -> str:
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, (int, float)):
        return "number"
    return "word" if isinstance(value, str) else "list" if isinstance(value, list) else "block"


def index(value: Any, at: Any) -> Any:
    """v[i]; -1 is the last; raises Fault."""
    if not isinstance(value, (list, str)):
        raise Fault("NS302", f"only a list has [ ], got {kind(value)}")
    i = whole(at, "an index")
    if not -len(value) <= i < len(value):
        raise Fault("NS303", f"there is no [{i}] in a list of {len(value)}", "the first is [0]")
    return value[i]


def slice_of(value: Any, low: Any, high: Any) -> Any:
    """v[a:b]; raises Fault."""
    if not isinstance(value, list):
        raise Fault("NS302", f"only a list can be cut, got {kind(value)}")
    start = None if low is None else whole(low, "a slice")
    end = None if high is None else whole(high, "a slice")
    return value[start:end]


def bounded(value: list[Any]) -> list[Any]:
    """The list, if it is not too long, the lists in it included; raises Fault."""
    if weight(value) > MAX_LIST:
        raise Fault("NS304", f"limit exceeded: a list has at most {MAX_LIST:,} values, the lists in it included")
    return value


def weight(value: Any) -> int:
    """How many values a list holds, those of the lists in it included; counting ends above MAX_LIST."""
    total, todo = 0, [value] if isinstance(value, list) else []
    while todo and total <= MAX_LIST:
        part = todo.pop()
        total += len(part)
        todo += [v for v in part if isinstance(v, list)]
    return total


def cost(*values: Any) -> int:
    """What an operation on values costs, as units of work: those on long lists are long."""
    return 1 + sum(len(v) // 16 for v in values if isinstance(v, list))


def _arguments(name: str, args: Sequence[Any], low: int, high: int | None = None) -> None:
    if len(args) < low or len(args) > (low if high is None else high):
        wanted = str(low) if high in (None, low) else f"{low} to {high}"
        raise Fault("NS305", f"'{name}' takes {wanted} argument{'s' * (wanted != '1')}, got {len(args)}")


def _numbers(name: str, args: Sequence[Any]) -> list[Any]:
    values = args[0] if len(args) == 1 and isinstance(args[0], list) else list(args)
    if not values:
        raise Fault("NS303", f"'{name}' of nothing")
    return [number(v, f"'{name}'") for v in values]


def _list(name: str, args: Sequence[Any]) -> list[Any]:
    _arguments(name, args, 1)
    if not isinstance(args[0], list):
        raise Fault("NS302", f"'{name}' takes a list, got {kind(args[0])}")
    return args[0]


def _one(name: str, fn: Callable[[Any], Any]) -> Callable[..., Any]:
    def call(*args: Any) -> Any:
        _arguments(name, args, 1)
        try:
            return finite(fn(number(args[0], f"'{name}'")))
        except (ValueError, OverflowError):
            raise Fault("NS303", f"'{name}' of {args[0]!r} is not defined or out of bounds") from None

    return call


def _range(*args: Any) -> list[int]:
    _arguments("range", args, 1, 3)
    numbers = [whole(a, "'range'") for a in args]
    if len(numbers) == 3 and numbers[2] == 0:
        raise Fault("NS303", "the step of 'range' is zero")
    counted = range(*numbers)
    if len(counted) > MAX_LIST:
        raise Fault("NS304", f"limit exceeded: a list has at most {MAX_LIST:,} values")
    return list(counted)


def divisible(*args: Any) -> int:
    """divisible(v, by=8): v rounded to a multiple, never below 90 % of v (as the MobileNets round widths)."""
    _arguments("divisible", args, 1, 2)
    v = number(args[0], "'divisible'")
    by = whole(args[1], "'divisible'") if len(args) == 2 else 8
    if by < 1:
        raise Fault("NS303", "'divisible' expects a positive divisor")
    n = max(by, math.floor(v / by + 0.5) * by)
    return int(finite(n + by if n < 0.9 * v else n))


def _sum(*args: Any) -> Any:
    return finite(sum(number(v, "'sum'") for v in _list("sum", args)))


def _round(*args: Any) -> Any:
    _arguments("round", args, 1, 2)
    v = number(args[0], "'round'")
    return round(v) if len(args) == 1 else round(v, max(-20, min(20, whole(args[1], "'round'"))))


FUNCTIONS: dict[str, Callable[..., Any]] = {
    "min": lambda *args: min(_numbers("min", args)),
    "max": lambda *args: max(_numbers("max", args)),
    "abs": _one("abs", abs),
    "ceil": _one("ceil", math.ceil),
    "floor": _one("floor", math.floor),
    "round": _round,
    "int": _one("int", int),
    "len": lambda *args: len(_list("len", args)),
    "sum": _sum,
    "range": _range,
    "enumerate": lambda *args: bounded([[i, v] for i, v in enumerate(_list("enumerate", args))]),
    "zip": lambda *args: bounded([list(row) for row in zip(*(_list("zip", [a]) for a in args), strict=False)]),
    "divisible": divisible,
    "sqrt": _one("sqrt", math.sqrt),
    "log": _one("log", math.log),
    "exp": _one("exp", math.exp),
}
