"""The types of parameters: which values fit, and how one that does not is fixed."""

from __future__ import annotations

import re
from collections.abc import Container

from netspec.diagnostics.errors import did_you_mean
from netspec.elaborate.values import BlockValue
from netspec.expressions.values import Value
from netspec.syntax.ast import Expression, Literal, ValueNode
from netspec.syntax.other_names import TYPES

EXPECTED = {
    "int": "an integer",
    "float": "a number",
    "bool": "true or false",
    "str": "a string",
    "list": "a list",
    "size": "an integer or [height, width]",
    "pad": "an integer, [h, w], four sides, or one of valid, half, same_upper",
    "parts": "a count or a list of sizes",
    "block": "the name of a block or op",
}

PAD_WORDS = ("valid", "half", "same_upper")
PAD_MODES = dict.fromkeys(("reflect", "reflection"), "reflect") | dict.fromkeys(("replicate", "edge"), "replicate")
"""What a `pad` of other libraries says, by the `pad_mode` of the op `pad`."""
_BOOLS = dict.fromkeys(("true", "yes", "on", "y"), "true") | dict.fromkeys(("false", "no", "off", "n", "none"), "false")


def fits(value: Value, type_: str) -> bool:
    """Whether a value is of a type; '' takes anything."""
    whole = isinstance(value, int) and not isinstance(value, bool)
    match type_:
        case "":
            return True
        case "int":
            return whole
        case "float":
            return whole or isinstance(value, float)
        case "bool":
            return isinstance(value, bool)
        case "str":
            return isinstance(value, str)
        case "list":
            return isinstance(value, list)
        case "size":
            return whole or _ints(value, 2)
        case "pad":
            return whole or _ints(value, 2, 4) or (isinstance(value, str) and value in PAD_WORDS)
        case "parts":
            return whole or (_ints(value) and value != [])
    raise AssertionError(type_)


def _ints(value: Value, *lengths: int) -> bool:
    """Whether a value is a list of integers, of one of some lengths."""
    if not isinstance(value, list) or (lengths and len(value) not in lengths):
        return False
    return all(isinstance(v, int) and not isinstance(v, bool) for v in value)


def type_of(value: Value) -> str:
    """The type that a default gives its parameter."""
    for kind, cls in (("bool", bool), ("int", int), ("float", float), ("str", str), ("list", list)):
        if isinstance(value, cls):
            return kind
    return "block" if isinstance(value, BlockValue) else ""


def describe(value: Value) -> str:
    """A value in a message: `the string 'half'`, `the number 0.5`."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return f"the integer {value}"
    if isinstance(value, float):
        return f"the number {value!r}"
    if isinstance(value, str):
        return f"the string '{value if len(value) < 40 else value[:37] + '...'}'"
    if isinstance(value, list):
        return f"a list of {len(value)}"
    return "nothing" if value is None else f"the block '{value}'"


def suggestion(value: Value, type_: str, node: ValueNode, known: Container[str]) -> str:
    """How to fix a value of the wrong type; `known` are the names of values that could be meant."""
    if isinstance(value, str):
        return _for_string(value, type_, isinstance(node, (Literal, Expression)) and node.quoted, known)
    if isinstance(value, list) and type_ in ("size", "pad", "parts"):
        wrong = (f"entry {i} is {describe(v)}, not an integer" for i, v in enumerate(value, 1) if not fits(v, "int"))
        return next(wrong, "")
    if isinstance(value, float) and type_ in ("int", "size"):
        written = node.text if isinstance(node, (Literal, Expression)) else ""
        if "/" in written and "//" not in written:
            return "`//` divides integers"
        plain = value.is_integer() and not written.startswith("=")
        return f"write {int(value)}" if plain else "`int(...)`, `round(...)`, `//` give integers"
    if type_ == "bool" and value in (0, 1):
        return f"write {'true' if value else 'false'}"
    if isinstance(value, (int, float)) and type_ == "str":
        return "quote it to make it a string"
    return ""


def _for_string(text: str, type_: str, quoted: bool, known: Container[str]) -> str:
    """How to fix a string where another type is expected."""
    word = text.lower()
    named = re.fullmatch(r"\$?\{{0,2}\s*(\w+)\s*\}{0,2}", text)
    if named is not None and named[1] in known:
        return f"`={named[1]}` is the value of '{named[1]}'"
    if word in TYPES and type_ in ("int", "float", "bool", "size", "list"):
        return f"the type of a parameter is written `{TYPES[word]}`"
    if type_ == "size" and (both := re.fullmatch(r"(\d+) ?[xX*] ?(\d+)", text)):
        return f"write [{both[1]}, {both[2]}]"
    if type_ in ("size", "list", "pad", "parts") and (several := re.fullmatch(r"\((.+,.+)\)", text)):
        return f"write [{several[1]}]"
    if type_ == "float" and (share := re.fullmatch(r"(\d{1,3})\s*%", text)):
        return f"write {int(share[1]) / 100:g}"
    if type_ in ("int", "float", "size", "parts"):
        return _for_number(text, quoted)
    if type_ == "bool" and word in _BOOLS:
        return f"write {_BOOLS[word]}"
    if type_ == "pad" and word in PAD_WORDS:
        return f"write {word}"
    if type_ == "pad" and word in ("same", "same_lower"):
        return "`half` pads both sides alike (PyTorch), `same_upper` as TensorFlow does"
    if type_ == "pad" and word in PAD_MODES:
        return f"the op `pad` does that: `pad: {{pad: 1, pad_mode: {PAD_MODES[word]}}}`"
    if type_ == "pad":
        return str(did_you_mean(text, PAD_WORDS, f"known: {', '.join(PAD_WORDS)}"))
    return f"write `={text}` to compute it" if re.fullmatch(r"[^\s]+\s*[-+*/%(<>=].*", text) else ""


def _for_number(text: str, quoted: bool) -> str:
    """How to fix a string where a number is expected: the decimal form of what other languages would read as one."""
    if quoted and re.fullmatch(r"-?[0-9.]+", text):
        return f"write {text} without quotes: a quoted number is a string"
    if re.fullmatch(r"[\w.]+(,\s*[\w.]+)+", text):
        return f"several arguments are a list: [{text}]"
    if re.fullmatch(r"0[xX][0-9a-fA-F]{1,15}", text):
        return f"write {int(text, 16)}: numbers are decimal"
    if re.fullmatch(r"0[0-9]{1,15}", text):
        return f"write {int(text)}: a number has no leading zeros"
    if re.fullmatch(r"[0-9][0-9_]{1,20}", text):
        return f"write {int(text.replace('_', ''))}"
    return f"write `={text}` to compute it" if re.search(r"[-+*/%(]", text) else ""
