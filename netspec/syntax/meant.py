"""What is probably meant by the name of an op or of an argument that nobody knows; worked out when it is shown."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from difflib import SequenceMatcher

from netspec.diagnostics.errors import Hint, Span, latest, nearest
from netspec.expressions.other_names import normal
from netspec.ops import OPS, aliases
from netspec.syntax.keywords import KEYWORDS
from netspec.syntax.library import family_of, libraries_of, shipped_blocks

# A name so much like a known one is read as it, to check what follows; a worse guess would make errors of its own.
ALIKE = 0.8


def op_help(name: str, known: Iterable[str], places: Sequence[Span] = ()) -> Hint:
    """The help for an unknown op: of the names that a step may have, of other libraries, and of what is shipped.

    `places` are all for which one `use` is missing, the first of which is reported; they may still become more.
    """
    names = latest(known)
    return Hint(lambda: "; ".join(filter(None, (_op(name, names), _also(places)))))


def _op(name: str, known: tuple[str, ...]) -> str:
    key = normal(name)
    if libraries := libraries_of(name):
        return _use(name, libraries)
    if same := next((k for k in known if normal(k) == key), None):
        return f"did you mean '{same}'?"
    if key in aliases.NO_OP:
        return ""
    if (meant := aliases.meant_by(name)) is not None:
        return _said(meant, known)
    if found := nearest(name, known):
        return _numbered(name, known) or f"did you mean '{found}'?"
    return _numbered(name, known) or _shipped(name)


def _said(meant: aliases.Meant, known: tuple[str, ...]) -> str:
    """What a name of another library means: an op with a remark, or what to write instead."""
    if not meant.name:
        return meant.remark
    found = f"did you mean '{meant.name}'?" + f" {meant.remark}" * bool(meant.remark)
    return found if meant.name in known else f"{found} {_use(meant.name, libraries_of(meant.name))}"


def _numbered(name: str, known: tuple[str, ...]) -> str:
    """`conv1: [64, 7]`: a name where an op is expected."""
    numbered = re.fullmatch(r"([a-z]+?(?:_[a-z]+)*)_?\d+[a-z]?(?:_\d+)?", name)
    op = _listed(numbered[1], known) if numbered is not None else None
    return f"a name stands before the op: `{name} = {op}: ...`" if op is not None else ""


def _shipped(name: str) -> str:
    """The nearest block of the shipped libraries, or the shipped network of that name."""
    if family := family_of(name):
        call = family if family == name else f"{family}: {{variant: {name}}}"
        return f"it is a shipped network: `use: [{family}]`, then `{call}`"
    if found := nearest(name, shipped_blocks()):
        return f"did you mean '{found}'? {_use(found, libraries_of(found))}"
    return ""


def _use(name: str, libraries: Sequence[str]) -> str:
    """Which library has a block."""
    which = " or ".join(f"`use: [{library}]`" for library in libraries)
    return f"'{name}' is a block of {' and '.join(libraries)}: {which}"


def _also(places: Sequence[Span]) -> str:
    """The other lines where the same is wrong."""
    lines = sorted({p.line for p in places[1:] if p.line != places[0].line})
    if not lines:
        return ""
    more = f" and {len(lines) - 8} more" if len(lines) > 8 else ""
    return f"also in line{'s' * (len(lines) > 1)} {', '.join(map(str, lines[:8]))}{more}"


def meant_op(name: str, known: Sequence[str]) -> str | None:
    """The op that is almost certainly meant by an unknown name; None where that is not sure."""
    key = normal(name)
    if key in aliases.NO_OP or aliases.meant_by(name) is not None:
        return _listed(name, known)
    return _listed(name, known) or _alike(name, known)


def _listed(name: str, known: Sequence[str]) -> str | None:
    """The op that a name means by the table, or by its letters alone."""
    meant = aliases.meant_by(name)
    return (
        meant.name
        if meant is not None and meant.name in known
        else next((k for k in known if normal(k) == normal(name)), None)
    )


def _alike(name: str, known: Iterable[str]) -> str | None:
    found = nearest(name, known)
    return found if found is not None and SequenceMatcher(None, name, found).ratio() >= ALIKE else None


def argument_help(name: str, known: Sequence[str], what: str, otherwise: str = "") -> Hint:
    """The help for an unknown argument of an op or block: of its parameters, and of other libraries."""
    names = latest(known)

    def help() -> str:
        key = normal(name)
        if name in KEYWORDS:
            return f"`{name}` is a keyword: it stands next to the op, in a line of its own"
        if meaning := aliases.SAID_OF_ARGUMENTS.get(f"{what} {key}"):
            return meaning
        if found := meant_argument(name, names):
            return f"did you mean '{found}'?"
        if meaning := aliases.SAID_OF_ARGUMENTS.get(key):
            return meaning
        if found := nearest(name, names):
            return f"did you mean '{found}'?"
        return otherwise or (f"known: {', '.join(sorted(names))}" if 0 < len(names) <= 12 else "")

    return Hint(help)


def meant_argument(name: str, known: Sequence[str]) -> str | None:
    """The parameter that is almost certainly meant by an unknown name; None where that is not sure."""
    key = normal(name)
    same = [k for k in known if normal(k) == key] + [k for k in aliases.ARGUMENTS.get(key, ()) if k in known]
    if same or key in aliases.SAID_OF_ARGUMENTS:
        return same[0] if same else None
    return _alike(name, known)


def numbers_to_a_join(op: str) -> str:
    """The help for `mean: [2, 3]`."""
    return OPS[op].numbers_help if op in OPS else ""
