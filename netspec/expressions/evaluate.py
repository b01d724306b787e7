"""What the parts of an expression do: closures over (environment, names of comprehensions)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

from netspec.diagnostics.errors import Hint, did_you_mean
from netspec.expressions.arithmetic import MAX_LIST, Fault, binary, bounded, cost, index, slice_of, truth, weight
from netspec.expressions.lexer import Token
from netspec.expressions.other_names import value_name_help

Run: TypeAlias = Callable[[Any, dict[str, Any]], Any]
"""A part of an expression: (environment, names of comprehensions) -> value."""


class Wrong(Exception):
    """A mistake at characters of the text, before they have a place."""

    def __init__(self, code: str, message: str, start: int, end: int, help: str | Hint = "") -> None:
        super().__init__(message)
        self.code, self.message, self.start, self.end, self.help = code, message, start, end, help


def unknown_help(name: str, env: Any, compared: bool) -> Hint:
    """The help for a name that nobody knows."""
    known = list(env.names())
    said = value_name_help(name, known)
    return (
        Hint(lambda: said)
        if said
        else did_you_mean(name, known, f"a string is quoted here: '{name}'" if compared else "")
    )


def guard(token: Token, fn: Callable[..., Any], *args: Any) -> Any:
    """Applies a function; its fault gets the place of the token."""
    try:
        return fn(*args)
    except Fault as e:
        raise Wrong(e.code, e.message, token.start, token.end, e.help) from None


def spend(env: Any, work: int) -> None:
    """Counts an operation whose work grows with its lists."""
    env.tick()
    if work > 1:
        env.work(work - 1)


def logic(token: Token, left: Run, right: Run) -> Run:
    """`and`, `or`: bools only, the right side only if it decides."""
    stop = token.text == "or"

    def run(env: Any, local: dict[str, Any]) -> bool:
        env.tick()
        if guard(token, truth, left(env, local)) is stop:
            return bool(stop)
        return bool(guard(token, truth, right(env, local)))

    return run


def arith(token: Token, left: Run, right: Run) -> Run:
    sign = token.text

    def run(env: Any, local: dict[str, Any]) -> Any:
        a, b = left(env, local), right(env, local)
        spend(env, cost(a, b))
        result = guard(token, binary, sign, a, b)
        if isinstance(result, list):
            spend(env, cost(result))
        return result

    return run


def item(token: Token, value: Run, at: Run) -> Run:
    return lambda env, local: guard(token, index, value(env, local), at(env, local))


def cut(token: Token, value: Run, low: Run | None, high: Run | None) -> Run:
    def run(env: Any, local: dict[str, Any]) -> Any:
        whole = value(env, local)
        spend(env, cost(whole))
        return guard(token, slice_of, whole, low and low(env, local), high and high(env, local))

    return run


def comprehend(token: Token, names: list[str], source: Run, keep: Run | None, element: Run) -> Run:
    def run(env: Any, local: dict[str, Any]) -> list[Any]:
        rows = source(env, local)
        if not isinstance(rows, list):
            raise Wrong("NS302", "a comprehension goes over a list", token.start, token.end, "`range(n)` counts")
        found: list[Any] = []
        size = 0
        for row in rows:
            env.tick()
            values = [row] if len(names) == 1 else row
            if not isinstance(values, list) or len(values) != len(names):
                raise Wrong("NS302", f"a row of the comprehension has not {len(names)} values", token.start, token.end)
            inner = {**local, **dict(zip(names, values, strict=True))}
            if keep is None or guard(token, truth, keep(env, inner)):
                found.append(element(env, inner))
                if isinstance(found[-1], list):
                    size += guard(token, weight, found[-1])
                    if size > MAX_LIST:
                        break
        return guard(token, bounded, found)  # type: ignore[no-any-return]

    return run
