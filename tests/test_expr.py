"""Expressions: the values that Python's arithmetic gives, strict types, bounded work, exact places."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netspec.diagnostics.errors import Source, Span
from netspec.expressions.ast import walk
from netspec.expressions.errors import ExpressionError
from netspec.expressions.expression import evaluate, free_names, parse_expr, parse_template


class Env:
    values: dict[str, Any] = {"a": 3, "b": [1, 2, 3], "opt": "A", "flag": True, "rows": [[1, "x"], [2, "y"]], "f": 0.5}
    ticks = 0

    def value(self, name: str) -> Any:
        return self.values[name]

    def tensor(self, path: str, attr: str) -> Any:
        return {("in", "channels"): 64, ("3a.b5x5", "shape"): [32, 28, 28], ("layer3", "height"): 7}[path, attr]

    def names(self) -> Iterable[str]:
        return self.values

    def tick(self, units: int = 1) -> None:
        self.ticks += units
        if self.ticks > 10**6:
            raise AssertionError("no bound")


def place(start: int, end: int) -> Span:
    return Span(Source("t", ""), 1, start + 1, 1, end + 1)


def value(text: str) -> Any:
    return evaluate(parse_expr(text, place), Env())


def error(text: str) -> ExpressionError:
    with pytest.raises(ExpressionError) as caught:
        value(text)
    return caught.value


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a + 1", 4),
        ("-a ** 2", -9),
        ("2 ** -1", 0.5),
        ("7 // -2", -4),
        ("len(range(100000))", 100_000),
        ("[] * 9223372036854775807 + -9223372036854775807 * [1]", []),
        ("-7 % 3", 2),
        ("7 / 2", 3.5),
        ("2 ** 3 ** 2", 512),
        ("1 < a < 5", True),
        ("1 < a > 5", False),
        ("not flag or a == 3", True),
        ("'x' if flag else 'y'", "x"),
        ("b[-1]", 3),
        ("b[1:]", [2, 3]),
        ("b[:2]", [1, 2]),
        ("[v * 2 for v in b if v > 1]", [4, 6]),
        ("[k for k, w in rows if w == 'y']", [2]),
        ("sum(b) / len(b)", 2.0),
        ("[i if i > 1 else 0 for i in range(3)]", [0, 0, 2]),
        ("enumerate(b)", [[0, 1], [1, 2], [2, 3]]),
        ("zip(b, [4, 5, 6])", [[1, 4], [2, 5], [3, 6]]),
        ("in.channels", 64),
        ("3a.b5x5.shape[0]", 32),
        ("layer{a}.height", 7),
        ("max(1, 2.5)", 2.5),
        ("min(b)", 1),
        ("round(2.5)", 2),
        ("int(-2.9)", -2),
        ("ceil(0.1)", 1),
        ("floor(-0.1)", -1),
        ("[[x + y for y in b] for x in b][2][0]", 4),
        ("opt == 'A'", True),
        ("[1] + [2]", [1, 2]),
        ("[0] * 3", [0, 0, 0]),
        ("range(1, 8, 3)", [1, 4, 7]),
        ("1e3", 1000.0),
        ("true and not false", True),
    ],
)
def test_values(text: str, expected: Any) -> None:
    found = value(text)
    assert found == expected and type(found) is type(expected)


# MobileNetV2's rounding of widths, as the language page defines it; values of torchvision's _make_divisible.
@pytest.mark.parametrize(
    ("width", "expected"), [(44.8, 48), (22.4, 24), (33.6, 32), (134.4, 136), (3, 8), (8, 8), (11, 16), (1792, 1792)]
)
def test_divisible(width: float, expected: int) -> None:
    assert value(f"divisible({width})") == expected == value(f"divisible({width}, by=8)")


@pytest.mark.parametrize(
    ("text", "code", "column", "says"),
    [
        ("widht + 1", "NS202", 1, ""),
        ("1 + widht", "NS202", 5, ""),
        ("opt == A", "NS202", 8, "'A'"),
        ("foo(1)", "NS202", 1, "floor"),
        ("1 / 0", "NS303", 3, ""),
        ("a ** 1000", "NS303", 3, ""),
        ("b[7]", "NS303", 2, ""),
        ("1 + 'x'", "NS302", 3, ""),
        ("opt < 1", "NS302", 5, ""),
        ("not a", "NS302", 1, ""),
        ("a if a else b", "NS302", 3, ""),
        ("1 +", "NS301", 4, ""),
        ("(1", "NS301", 1, ""),
        ("a b", "NS301", 3, ""),
        ("1 in b", "NS301", 3, "membership"),
        ("010", "NS301", 1, "decimal"),
        ("0x10", "NS301", 1, "decimal"),
        ("1_000", "NS301", 1, "decimal"),
        ("x.y", "NS301", 1, "channels"),
        ("a.upper()", "NS301", 1, ""),
        ("a = 3", "NS301", 3, "=="),
        ("len(range(10 ** 9))", "NS304", 5, ""),
        ("range(-9223372036854775807, 9223372036854775807)", "NS304", 1, ""),
        ("range(9223372036854775807, -9223372036854775807, -1)", "NS304", 1, ""),
        ("[0] * 10 ** 7", "NS304", 5, ""),
        ("99999999999999999999", "NS303", 1, ""),
        ("exp(1000)", "NS303", 1, ""),
        ("round(9223372036854775807, -1)", "NS303", 1, ""),
        ("[] * round(10.0 ** 36)", "NS303", 6, ""),
        ("log(0)", "NS303", 1, ""),
        ("sqrt(-1)", "NS303", 1, ""),
        ("True", "NS202", 1, ""),
        ("flag + 1", "NS302", 6, ""),
        ("1 +" * 200 + "1", "NS304", 1, ""),
        ("(" * 60 + "1" + ")" * 60, "NS304", 51, ""),
        ("-" * 60 + "1", "NS304", 51, ""),
    ],
)
def test_errors(text: str, code: str, column: int, says: str) -> None:
    found = error(text)
    assert found.code == code, found
    assert found.span is not None and found.span.col == column
    assert says in found.help


def test_what_an_expression_reads() -> None:
    parsed = parse_expr("[i + k for i in b if i > a] + [layer{n}.channels, 3a.height]", place)
    assert free_names(parsed) == {"k", "b", "a", "n"}


def test_a_node_knows_its_characters() -> None:
    text = "[(k + 1) * 2 for k in range(a) if not k == 2][0] if a < 2 < 3 else layer{a}.shape[1:]"
    found = {type(n).__name__: text[n.start : n.end] for n in walk(parse_expr(text, place).tree)}
    assert found["Conditional"] == text
    assert found["Compare"] in ("a < 2 < 3", "k == 2")
    assert found["UnaryOp"] == "not k == 2"
    assert found["Index"] == text[: text.index(" if a <")]
    assert found["Comprehension"] + "[0]" == found["Index"]
    assert found["BinOp"] in ("(k + 1) * 2", "k + 1")
    assert found["Call"] == "range(a)"
    assert found["Slice"] == "layer{a}.shape[1:]"
    assert found["Attribute"] == "layer{a}.shape"


def test_an_error_in_a_placeholder_is_placed_in_the_whole_text() -> None:
    for text in ("1 + layer{1 + nothing}.channels", "[k for k in b] + [layer{a / 0}.channels]"):
        found = error(text)
        assert found.span is not None
        assert text[found.span.col - 1 : found.span.end_col - 1] in ("nothing", "/")


def test_comprehensions_in_comprehensions_are_read_once() -> None:
    text = "[" * 30 + "1" + " for k in b]" * 30  # read twice at each level, it would take hours
    assert free_names(parse_expr(text, place)) == {"b"}


def test_a_long_chain_is_no_deep_recursion() -> None:
    assert value("1" + "+1" * 249) == 250
    assert value("rows" + "[0:]" * 120) == Env.values["rows"]


def test_templates() -> None:
    assert parse_template("layer{a + 1}.x", place).fill(Env()) == "layer4.x"
    assert parse_template("{opt}{a}", place).fill(Env()) == "A3"
    assert parse_template("plain", place).is_plain
    for bad in ("a{", "a}", "a{1 +}", "a{f}", "a{flag}"):
        with pytest.raises(ExpressionError):
            parse_template(bad, place).fill(Env())


numbers = st.integers(-50, 50).map(str) | st.sampled_from(["a", "0.5", "1.25"])
operators = st.sampled_from(["+", "-", "*", "//", "%", "/", "<", "==", ">="])


@st.composite
def arithmetic(draw: st.DrawFn, depth: int = 3) -> str:
    if depth == 0 or draw(st.booleans()):
        return draw(numbers)
    left, right = draw(arithmetic(depth - 1)), draw(arithmetic(depth - 1))
    sign = draw(st.sampled_from(["+", "-", "*", "//", "%", "/"]))
    return f"({left} {sign} {right})" if draw(st.booleans()) else f"{left} {sign} {right}"


@pytest.mark.slow
@given(arithmetic(), operators, arithmetic())
def test_arithmetic_is_pythons(left: str, sign: str, right: str) -> None:
    text = f"{left} {sign} {right}"
    try:
        expected = eval(text, {"__builtins__": {}}, {"a": 3})  # the text is this test's own
    except ZeroDivisionError:
        assert error(text).code == "NS303"
        return
    found = value(text)
    assert type(found) is type(expected)
    assert found == expected or math.isclose(found, expected)


@given(st.text(alphabet="ab01.+-*/%<>=!()[]{},:' \"if else for in not and or range len", max_size=60))
def test_any_text_gives_a_value_or_an_error(text: str) -> None:
    try:
        evaluate(parse_expr(text, place), Env())
    except ExpressionError as e:
        assert e.span is not None
    except KeyError:
        pass  # this environment's own, for tensors that it lacks
