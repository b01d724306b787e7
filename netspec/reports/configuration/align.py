"""Sequences of several networks side by side: what is the same of them in one row."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from difflib import SequenceMatcher
from typing import TypeVar

T = TypeVar("T")


def aligned(sequences: Sequence[Sequence[T]], key: Callable[[T], Hashable]) -> list[list[T | None]]:
    """Rows of an item of each sequence, all of one key, in an order that keeps that of each; None for a lack of one."""
    rows: list[list[T | None]] = []
    keys: list[Hashable] = []
    for column, sequence in enumerate(sequences):
        own = [key(item) for item in sequence]
        merged: list[list[T | None]] = []
        merged_keys: list[Hashable] = []
        for _, old_from, old_to, new_from, new_to in SequenceMatcher(None, keys, own, autojunk=False).get_opcodes():
            same = keys[old_from:old_to] == own[new_from:new_to]
            for i in range(old_from, old_to):
                merged.append([*rows[i], sequence[new_from + i - old_from] if same else None])
                merged_keys.append(keys[i])
            for i in range(new_from, new_to) if not same else ():
                merged.append([*[None] * column, sequence[i]])
                merged_keys.append(own[i])
        rows, keys = merged, merged_keys
    return rows
