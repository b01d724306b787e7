"""The tokens of expressions; a dotted path that ends in a tensor's attribute is one token."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Literal, TypeAlias

from netspec.expressions.errors import ExpressionError
from netspec.expressions.values import Number

ATTRIBUTES = ("channels", "height", "width", "features", "shape")
PREFIXES = ("params", "self", "args", "cfg", "config", "let", "model", "hparams")
"""What people write before the name of a parameter."""
KEYWORDS = ("and", "or", "not", "if", "else", "for", "in", "true", "false")

_SEGMENT = r"(?:[A-Za-z0-9_]|\{[^{}]*\})+"
_TENSOR = re.compile(rf"({_SEGMENT}(?:\.{_SEGMENT})*)\.({'|'.join(ATTRIBUTES)})(?![A-Za-z0-9_.])")
_NUMBER = re.compile(r"(?:0|[1-9][0-9]*)(?:\.[0-9]*)?(?:[eE][-+]?[0-9]+)?|\.[0-9]+(?:[eE][-+]?[0-9]+)?")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_STRING = re.compile(r"'([^'\\\n]*)'|\"([^\"\\\n]*)\"")
_OPERATOR = re.compile(r"\*\*|//|<=|>=|==|!=|[-+*/%<>()\[\],:=]")
_WORD = re.compile(r"[A-Za-z0-9_.]+")
_SPACE = re.compile(r"\s+")


TokenKind: TypeAlias = Literal["number", "string", "name", "keyword", "tensor", "operator", "end"]


@dataclass(frozen=True, slots=True)
class Token:
    """A token with the characters that it is."""

    kind: TokenKind
    text: str
    start: int
    end: int
    value: Number | str = ""
    """Of a number or a string."""


def tokens(text: str, pos: int = 0) -> list[Token]:
    """The tokens of the expression that begins at a character, and an end; raises ExpressionError."""
    found: list[Token] = []
    while pos < len(text):
        if space := _SPACE.match(text, pos):
            pos = space.end()
            continue
        token = _token(text, pos)
        found.append(token)
        pos = token.end
    found.append(Token("end", "", len(text), len(text) + 1))
    return found


def _token(text: str, pos: int) -> Token:
    if m := _TENSOR.match(text, pos):
        return Token("tensor", m[0], pos, m.end())
    if m := _NUMBER.match(text, pos):
        return _number(text, m)
    if m := _NAME.match(text, pos):
        if text[m.end() : m.end() + 1] == ".":
            raise _attribute(text, pos)
        return Token("keyword" if m[0] in KEYWORDS else "name", m[0], pos, m.end())
    if m := _STRING.match(text, pos):
        return Token("string", m[0], pos, m.end(), m[1] if m[1] is not None else m[2])
    if m := _OPERATOR.match(text, pos):
        return Token("operator", m[0], pos, m.end())
    message = "this quote is never closed" if text[pos] in "'\"" else f"'{text[pos]}' does not fit here"
    meant = {"!": "`not` negates, `!=` compares", "&": "`and`", "|": "`or`", "^": "`**` is the power"}
    raise ExpressionError("NS301", message, meant.get(text[pos], ""), (pos, pos + 1))


def _number(text: str, m: re.Match[str]) -> Token:
    after = _WORD.match(text, m.end())
    if after:
        word = text[m.start() : after.end()]
        help_ = "numbers are decimal, without leading zeros"
        raise ExpressionError("NS301", f"'{word}' is not a number", help_, (m.start(), after.end()))
    value = float(m[0]) if any(c in m[0] for c in ".eE") else int(m[0]) if len(m[0]) < 20 else math.inf
    if isinstance(value, float) and not math.isfinite(value) or abs(value) >= 2**63:
        message = f"the number {m[0][:24]} is out of bounds"
        raise ExpressionError("NS303", message, "numbers are below 2^63", m.span())
    return Token("number", m[0], m.start(), m.end(), value)


def _attribute(text: str, pos: int) -> ExpressionError:
    found = _WORD.match(text, pos)
    word = found[0] if found else ""
    prefix, _, name = word.rpartition(".")
    help_ = f"a tensor has {', '.join(ATTRIBUTES)}"
    if prefix in ("math", "np", "numpy", "torch", "tf"):
        help_ = f"a function has no prefix: `{name}(...)`"
    elif prefix in PREFIXES:
        help_ = f"a parameter is read by its name alone: `={name}`"
    return ExpressionError("NS301", f"'{word}' ends in no attribute of a tensor", help_, (pos, pos + len(word)))
