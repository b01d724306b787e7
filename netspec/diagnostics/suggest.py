"""What was probably meant by a name of a spec that is written in another way."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from difflib import get_close_matches

_NUMBER = re.compile(r"\d+")


def key(text: str) -> str:
    """The letters and digits of a name: `ResNet-50`, `resnet_50` and `resnet50` are one."""
    return "".join(c for c in text.casefold() if c.isalnum())


def spellings(text: str) -> set[str]:
    """The names that a title holds: `GoogLeNet (Inception v1)` is GoogLeNet, Inception v1, and all of it."""
    return {key(part) for part in [text, *re.split(r"[()]", text)]} - {""}


def rank(asked: str, names: Sequence[str], prose: str = "") -> int | None:
    """How well a row fits a name that is asked for: 0 it is the name, 1 a part of it, 2 words of the prose; or None."""
    sought = key(asked)
    if any(sought in spellings(text) for text in names):
        return 0
    if any(whole.startswith(sought) for text in names for whole in _runs(text)):
        return 1
    words = {key(word) for word in re.split(r"[\W_]+", prose)}
    parts = [key(word) for word in re.split(r"[\W_]+", asked)]
    return 2 if sought in words or all(part in words for part in parts if part) else None


def _runs(text: str) -> list[str]:
    """The ends of a name or title that begin with one of its words."""
    words = [key(word) for word in re.split(r"[\W_]+", text)]
    return ["".join(words[i:]) for i in range(len(words))]


def name(asked: str, known: Mapping[str, Sequence[str]]) -> str | None:
    """The known name that is meant, by its spelling, by its further texts, or by likeness; None where none is near."""
    sought = key(asked)
    if not sought:
        return None
    numbers = _NUMBER.findall(asked)
    for spelled in (
        [(n, n) for n in known if key(n) == sought],
        [(n, t) for n, texts in known.items() for t in texts if key(t) == sought],
        [(n, t) for n, texts in known.items() for t in texts if sought in spellings(t)],
    ):
        if spelled:  # RegNetX-1.6GF and RegNetX-16GF have the same letters and digits
            return min(spelled, key=lambda found: _NUMBER.findall(found[1]) != numbers)[0]
    keys = {key(n): n for n in reversed(list(known))}
    near = nearest_first(sought[:80], get_close_matches(sought[:80], list(keys), n=8, cutoff=0.7))
    return keys[near[0]] if near else None


def nearest_first(asked: str, found: Sequence[str]) -> list[str]:
    """Names by how many edits make them of what was asked for; of as many, those that were found first.

    What two names have in common, which difflib measures, favours long ones: resnet51 has more of resnet50_v1 than of
    resnet50, and is one edit from the latter.
    """
    return sorted(found, key=lambda other: edits(asked[:100], other[:100]))


def edits(one: str, other: str) -> int:
    """The fewest characters changed, put in, left out or swapped with the next (Damerau 1964) that turn one into other.

    A part of a text is swapped once (optimal string alignment).
    """
    before: list[int] = []
    row = list(range(len(other) + 1))
    for i, a in enumerate(one, 1):
        before, last, row = row, before, [i]
        for j, b in enumerate(other, 1):
            least = min(before[j] + 1, row[j - 1] + 1, before[j - 1] + (a != b))
            if i > 1 and j > 1 and a == other[j - 2] and one[i - 2] == b:
                least = min(least, last[j - 2] + 1)
            row.append(least)
    return row[-1]
