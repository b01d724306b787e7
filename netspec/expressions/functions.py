"""The built-in functions of expressions."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from netspec.expressions.arithmetic import MAX_LIST, bounded, finite, number, whole
from netspec.expressions.errors import ExpressionError
from netspec.expressions.values import Number, Value, kind


def _arguments(name: str, args: Sequence[Value], low: int, high: int | None = None) -> None:
    if len(args) < low or len(args) > (low if high is None else high):
        expected = str(low) if high in (None, low) else f"{low} to {high}"
        plural = "s" * (expected != "1")
        raise ExpressionError("NS305", f"'{name}' takes {expected} argument{plural}, got {len(args)}")


def _numbers(name: str, args: Sequence[Value]) -> list[Number]:
    values = args[0] if len(args) == 1 and isinstance(args[0], list) else args
    if not values:
        raise ExpressionError("NS303", f"'{name}' of nothing")
    return [number(v, f"'{name}'") for v in values]


def _list(name: str, args: Sequence[Value]) -> list[Value]:
    _arguments(name, args, 1)
    if not isinstance(args[0], list):
        raise ExpressionError("NS302", f"'{name}' takes a list, got {kind(args[0])}")
    return args[0]


def _one(name: str, fn: Callable[[Number], Number]) -> Callable[..., Value]:
    def call(*args: Value) -> Value:
        _arguments(name, args, 1)
        try:
            return finite(fn(number(args[0], f"'{name}'")))
        except (ValueError, OverflowError):
            raise ExpressionError("NS303", f"'{name}' of {args[0]!r} is not defined or out of bounds") from None

    return call


def _range(*args: Value) -> list[Value]:
    _arguments("range", args, 1, 3)
    numbers = [whole(a, "'range'") for a in args]
    if len(numbers) == 3 and numbers[2] == 0:
        raise ExpressionError("NS303", "the step of 'range' is zero")
    counted = range(*numbers)
    if counted[MAX_LIST:]:  # `len` of a range ends at 2^63
        raise ExpressionError("NS304", f"limit exceeded: a list has at most {MAX_LIST:,} values")
    return [*counted]


def divisible(*args: Value) -> int:
    """divisible(v, by=8): v rounded to a multiple, never below 90 % of v (as the MobileNets round widths)."""
    _arguments("divisible", args, 1, 2)
    v = number(args[0], "'divisible'")
    by = whole(args[1], "'divisible'") if len(args) == 2 else 8
    if by < 1:
        raise ExpressionError("NS303", "'divisible' expects a positive divisor")
    n = max(by, math.floor(v / by + 0.5) * by)
    return int(finite(n + by if n < 0.9 * v else n))


def _sum(*args: Value) -> Value:
    return finite(sum(number(v, "'sum'") for v in _list("sum", args)))


def _round(*args: Value) -> Value:
    _arguments("round", args, 1, 2)
    v = number(args[0], "'round'")
    return finite(round(v) if len(args) == 1 else round(v, max(-20, min(20, whole(args[1], "'round'")))))


def _enumerate(*args: Value) -> Value:
    return bounded([[i, v] for i, v in enumerate(_list("enumerate", args))])


def _zip(*args: Value) -> Value:
    return bounded([[*row] for row in zip(*(_list("zip", [a]) for a in args), strict=False)])


FUNCTIONS: dict[str, Callable[..., Value]] = {
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
    "enumerate": _enumerate,
    "zip": _zip,
    "divisible": divisible,
    "sqrt": _one("sqrt", math.sqrt),
    "log": _one("log", math.log),
    "exp": _one("exp", math.exp),
}
