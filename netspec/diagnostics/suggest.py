"""What was probably meant: by a name of a spec that is written in another way, and by a path that is no step."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from itertools import islice
from typing import TYPE_CHECKING

from netspec.diagnostics.errors import MAX_KNOWN

if TYPE_CHECKING:
    from netspec.ir.graph import Graph

MAX_LISTED = 12


def key(text: str) -> str:
    """The letters and digits of a name: `ResNet-50`, `resnet_50` and `resnet50` are one."""
    return "".join(c for c in text.casefold() if c.isalnum())


def spellings(text: str) -> set[str]:
    """The names that a title holds: `GoogLeNet (Inception v1)` is GoogLeNet, Inception v1, and all of it."""
    return {key(part) for part in [text, *re.split(r"[()]", text)]} - {""}


def rank(asked: str, names: Sequence[str], prose: str = "") -> int | None:
    """How well a row fits a name that is asked for: 0 it is the name, 1 a part of it, 2 words of the prose; or None."""
    wanted = key(asked)
    if any(wanted in spellings(text) for text in names):
        return 0
    if any(whole.startswith(wanted) for text in names for whole in _runs(text)):
        return 1
    return 2 if wanted in {key(word) for word in re.split(r"\W+", prose)} else None


def _runs(text: str) -> list[str]:
    """The ends of a name or title that begin with one of its words."""
    words = [key(word) for word in re.split(r"[\W_]+", text)]
    return ["".join(words[i:]) for i in range(len(words))]


def name(asked: str, known: Mapping[str, Sequence[str]]) -> str | None:
    """The known name that is meant, by its spelling, by its further texts, or by likeness; None where none is near."""
    wanted = key(asked)
    if not wanted:
        return None
    same = next((n for n in known if key(n) == wanted), None)
    same = same or next((n for n, texts in known.items() if wanted in map(key, texts)), None)
    same = same or next((n for n, texts in known.items() if any(wanted in spellings(t) for t in texts)), None)
    if same is not None:
        return same
    keys = {key(n): n for n in reversed(list(known))}
    near = get_close_matches(wanted[:80], list(keys), n=1, cutoff=0.7)
    return keys[near[0]] if near else None


def step(path: str, graph: Graph) -> str:
    """A help line for a path at which a graph has no step: the step that is meant, or what there is to name."""
    paths = (p[:i] for p in islice(graph.nodes, MAX_KNOWN) for i, c in enumerate(p + ".") if c == ".")
    known = list(dict.fromkeys(islice(paths, 4 * MAX_KNOWN)))
    same = [p for p in known if key(p) == key(path) and key(p)]
    if path in graph.outputs:
        return f"the output '{path}' is the step '{graph.outputs[path].ref.node}'"
    parts = path.strip(".").split(".")
    ends = [p for p in known if p.split(".")[-len(parts) :] == parts]
    called = [s.path for s in graph.scopes.values() if s.block == path and path]
    if same or ends or called:
        found = same or ends or called
        more = f", or {len(found) - 3} more" if len(found) > 3 else ""
        which = " or ".join(f"'{p}'" for p in found[:3])
        return (
            f"the block '{path}' is called as {', '.join(found[:3])}{more}"
            if found is called
            else (f"did you mean {which}{more}?")
        )
    while parts and ".".join(parts) not in known:
        parts.pop()
    above = ".".join(parts)
    prefix = f"{above}." if above else ""
    children = list(dict.fromkeys(p[len(prefix) :].split(".")[0] for p in known if p.startswith(prefix)))
    missing = path[len(prefix) :].split(".")[0]
    near = get_close_matches(missing, children, n=1, cutoff=0.6) or get_close_matches(path, known, n=1, cutoff=0.6)
    if near:
        return f"did you mean '{prefix if near[0] in children else ''}{near[0]}'?"
    listed = ", ".join(f"{prefix}{c}" for c in children[:MAX_LISTED])
    if not children:
        return f"'{above}' is one step, without parts"
    return f"known: {listed}{', ...' if len(children) > MAX_LISTED else ''}"
