"""The tokens of expressions; a dotted path that ends in a tensor's attribute is one token."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Any

from netspec.expressions.arithmetic import Fault

ATTRIBUTES = ("channels", "height", "width", "features", "shape")
PREFIXES = ("params", "self", "args", "cfg", "config", "let", "model", "hparams")
"""What people write before the name of a parameter."""
WORDS = ("and", "or", "not", "if", "else", "for", "in", "true", "false")

_SEGMENT = r"(?:[A-Za-z0-9_]|\{[^{}]*\})+"
_TENSOR = re.compile(rf"({_SEGMENT}(?:\.{_SEGMENT})*)\.({'|'.join(ATTRIBUTES)})(?![A-Za-z0-9_.])")
_NUMBER = re.compile(r"(?:0|[1-9][0-9]*)(?:\.[0-9]*)?(?:[eE][-+]?[0-9]+)?|\.[0-9]+(?:[eE][-+]?[0-9]+)?")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_STRING = re.compile(r"'([^'\\\n]*)'|\"([^\"\\\n]*)\"")
_OPERATOR = re.compile(r"\*\*|//|<=|>=|==|!=|[-+*/%<>()\[\],:=]")
_BLANK = re.compile(r"\s+")


@dataclass(frozen=True, slots=True)
class Token:
    """A token with its characters' places."""

    kind: str
    """number, string, name, word, tensor, op or end."""
    text: str
    start: int
    end: int
    value: Any = None


def tokens(text: str) -> list[Token]:
    """The tokens of an expression and an end; raises Fault."""
    found: list[Token] = []
    pos = 0
    while pos < len(text):
        if blank := _BLANK.match(text, pos):
            pos = blank.end()
            continue
        token = _token(text, pos)
        found.append(token)
        pos = token.end
    found.append(Token("end", "", len(text), len(text) + 1))
    return found


def _token(text: str, pos: int) -> Token:
    if m := _TENSOR.match(text, pos):
        return Token("tensor", m[0], pos, m.end(), (m[1], m[2]))
    if m := _NUMBER.match(text, pos):
        return _number(text, m)
    if m := _NAME.match(text, pos):
        if text[m.end() : m.end() + 1] == ".":
            raise _attribute(text, pos)
        return Token("word" if m[0] in WORDS else "name", m[0], pos, m.end())
    if m := _STRING.match(text, pos):
        return Token("string", m[0], pos, m.end(), m[1] if m[1] is not None else m[2])
    if m := _OPERATOR.match(text, pos):
        return Token("op", m[0], pos, m.end())
    message = "this quote is never closed" if text[pos] in "'\"" else f"'{text[pos]}' does not fit here"
    help_ = {"!": "`not` negates, `!=` compares", "&": "`and`", "|": "`or`", "^": "`**` is the power"}.get(
        text[pos], ""
    )
    raise Fault("NS301", message, help_, pos, pos + 1)


def _number(text: str, m: re.Match[str]) -> Token:
    after = re.compile(r"[A-Za-z0-9_.]+").match(text, m.end())
    if after:
        word = text[m.start() : after.end()]
        raise Fault(
            "NS301", f"'{word}' is not a number", "numbers are decimal, without leading zeros", m.start(), after.end()
        )
    value: Any = float(m[0]) if any(c in m[0] for c in ".eE") else int(m[0]) if len(m[0]) < 20 else math.inf
    if isinstance(value, float) and not math.isfinite(value) or abs(value) >= 2**63:
        raise Fault("NS303", f"the number {m[0][:24]} is out of bounds", "numbers are below 2^63", m.start(), m.end())
    return Token("number", m[0], m.start(), m.end(), value)


def _attribute(text: str, pos: int) -> Fault:
    word = re.compile(r"[A-Za-z0-9_.]*").match(text, pos)[0]  # type: ignore[index]
    prefix, _, name = word.rpartition(".")
    help_ = f"a tensor has {', '.join(ATTRIBUTES)}"
    if prefix in ("math", "np", "numpy", "torch", "tf"):
        help_ = f"a function has no prefix: `{name}(...)`"
    elif prefix in PREFIXES:
        help_ = f"a parameter is read by its name alone: `={name}`"
    return Fault(
        "NS301",
        f"'{word}' ends in no attribute of a tensor",
        help_,
        pos,
        pos + len(word),
    )
