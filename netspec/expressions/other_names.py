"""What other libraries call the values of an expression, for suggestions in messages."""

from __future__ import annotations

import re
from collections.abc import Sequence

from netspec.diagnostics.errors import nearest

_VALUES = {
    "in.channels": "inchannels cin inplanes channels c inputchannels nin ch",
    "in.height": "height h inheight",
    "in.width": "width w inwidth",
    "in.features": "infeatures features",
}
"""What is meant in an expression -> what people type."""

VALUES = {name: meant for meant, names in _VALUES.items() for name in names.split()}


def normal(name: str) -> str:
    """A name as it stands in the tables."""
    return re.sub(r"[^a-z0-9]", "", name.rpartition(".")[2].lower())


def value_name_help(name: str, known: Sequence[str]) -> str:
    """The help for a value that nobody knows in an expression."""
    if name in ("True", "False"):
        return f"write `{name.lower()}`"
    if name == "None":
        return "there is no null"
    meant = VALUES.get(normal(name))
    return f"`{meant}` is that of what enters the step" if meant is not None and nearest(name, known) is None else ""
