"""How text and values of a spec enter Python source: each kind of place has one function, and nothing else writes them.

The text of a spec is untrusted: whatever stands in it, it stays a literal, a docstring or a comment.
"""

from __future__ import annotations

import builtins
import keyword
import re
from collections.abc import Container, Sequence
from math import ulp

from netspec_torch.helpers import HELPERS

# What generated source uses by these names: classes, parameters and local variables of a spec get others.
GLOBAL_NAMES = frozenset({"self", "torch", "nn", "F", "OrderedDict", *HELPERS, *dir(builtins)})


def literal(value: object) -> str:
    """A number, a bool, None, a text, or a tuple or list of them as Python writes it; raises TypeError."""
    if isinstance(value, str):
        return string(value)
    if isinstance(value, (list, tuple)):
        inner = ", ".join(map(literal, value))
        return f"[{inner}]" if isinstance(value, list) else f"({inner}{',' * (len(value) == 1)})"
    if value is None or isinstance(value, (bool, int)):
        return repr(value)
    if isinstance(value, float):
        return _number(value) if value == value and abs(value) != float("inf") else f'float("{value!r}")'
    raise TypeError(f"a {type(value).__name__} is not a literal")


def _number(value: float) -> str:
    """A number as a person writes it: 0.0375, where a product came out as 0.037500000000000006."""
    short = float(f"{value:.12g}")
    return repr(short if abs(short - value) <= 4 * ulp(value) else value)


def string(text: str) -> str:
    """A text as a literal in double quotes, or in single ones where it has more of the others, as formatters choose."""
    quote = "'" if text.count('"') > text.count("'") else '"'
    return quote + text.encode("unicode_escape").decode("ascii").replace(quote, f"\\{quote}") + quote


def is_identifier(text: str) -> bool:
    """Whether a text can be a name in source as it is."""
    return re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", text) is not None and not keyword.iskeyword(text)


def identifier(text: str, taken: Container[str]) -> str:
    """A name like the text that hides nothing: neither what is taken nor what the source itself uses."""
    name = text if is_identifier(text) else "x_" + re.sub(r"\W", "_", text, flags=re.ASCII)
    unique, count = name, 1
    while unique in taken or unique in GLOBAL_NAMES:
        count += 1
        unique = f"{name}_{count}"
    return unique


def docstring(lines: Sequence[str], indent: int = 0) -> list[str]:
    """The lines of a docstring that says these lines; a single one ends where it began."""
    pad = " " * indent
    shown = [pad + _shown(line) if line else "" for line in lines]
    shown[0] = f'{pad}"""{_shown(lines[0])}'
    return [f'{shown[0]}"""'] if len(shown) == 1 else [*shown, f'{pad}"""']


def comment(text: str) -> str:
    """A text in a comment, which ends with its line."""
    return _shown(text)


def _shown(line: str) -> str:
    """A line in which nothing is an escape or ends a string; letters of all languages stay."""
    kept = (c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in line)
    return "".join(kept).replace("\\", "\\\\").replace('"', "'")
