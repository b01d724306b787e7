"""Rules of a set, changed: for a file whose names have a component changed, added or left out."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from math import prod

from netspec.diagnostics.errors import SemanticError
from netspec.expressions.values import Value
from netspec.syntax.rules import Rule

Shape = tuple[int, ...]
_PLACEHOLDER = re.compile(r"\{\w+\}")
_NUMBER = re.compile(r"\d+")
_VARYING = re.compile(r"\{\w+\}|\d+")
_MOST = 4
"""The most changes of one rule."""


@dataclass(frozen=True, slots=True)
class Adapted:
    """A changed rule: its texts, whether it reshapes, and the paths of the keys that it is for."""

    start: str
    target: str
    reshape: bool
    paths: Mapping[str, str]


@dataclass(frozen=True, slots=True, order=True)
class Candidate:
    """A rule as it could be: how much is changed, which rule, its `from`, and the placeholder that got a value."""

    change: float
    order: int
    start: str
    placeholder: str = ""
    value: str = ""


def adapted(
    rules: Sequence[Rule],
    values: Mapping[str, Value],
    keys: Mapping[str, Shape],
    paths: Mapping[str, Shape],
    known: Iterable[str],
) -> Iterator[Adapted]:
    """Changed rules that map keys without a place to places without a tensor, the least changed first.

    A rule is given where all the keys that it is for fit, and none of the `known` ones, which have their place.
    """
    keys, paths, known = dict(keys), dict(paths), list(known)
    left = list(_made(rules, values, keys, paths, known))
    while True:
        best: tuple[float, int] | None = None
        for candidate, made in left:
            if best is not None and candidate.change > best[0]:
                break
            mapped = _fitting(made, rules[candidate.order].reshape, keys, paths)
            if mapped and (best is None or -len(mapped) < best[1]):
                best, chosen, found = (candidate.change, -len(mapped)), candidate, mapped
        if best is None:
            return
        for key, path in found.items():
            del keys[key], paths[path]
        rule = rules[chosen.order]
        yield Adapted(chosen.start, _target(rule.target, chosen.placeholder, chosen.value), rule.reshape, found)


def _made(
    rules: Sequence[Rule],
    values: Mapping[str, Value],
    keys: Mapping[str, Shape],
    paths: Mapping[str, Shape],
    known: Sequence[str],
) -> Iterator[tuple[Candidate, dict[str, str | None]]]:
    """The candidates, the least changed first, and the paths that they make."""
    words = sorted(
        {w for path in paths for w in re.split(r"[._]", path)}
        | {w for p in paths for w in p.split(".")}
        | set(map(str, range(10))),
        key=lambda w: (len(w), w),
    )
    for candidate in sorted(_candidates(rules, keys)):
        pattern, rule = _pattern(candidate.start), rules[candidate.order]
        matches = {key: m for key in keys if (m := pattern.fullmatch(key))}
        if not matches or any(pattern.fullmatch(key) for key in known):
            continue
        first = next(iter(matches.values()))
        for value in words if candidate.placeholder else ("",):
            fixed = {candidate.placeholder: value} if candidate.placeholder else {}
            if not fixed or _path(rule, first, fixed, values) in paths:
                yield replace(candidate, value=value), {k: _path(rule, m, fixed, values) for k, m in matches.items()}


def _candidates(rules: Sequence[Rule], keys: Iterable[str]) -> set[Candidate]:
    """The changes of rules that make them match a key of each kind; kinds differ in more than numbers."""
    kinds = {_NUMBER.sub("#", key): key for key in keys}
    found = set()
    for order, rule in enumerate(rules):
        for key in list(kinds.values())[:400]:
            for change, words in _aligned(tuple(rule.start.split(".")), tuple(key.split(".")), _MOST):
                start = ".".join(words)
                lost = set(_PLACEHOLDER.findall(rule.start)) - set(_PLACEHOLDER.findall(start))
                if change and len(lost) < 2:
                    found.add(Candidate(change, order, start, *(placeholder[1:-1] for placeholder in lost)))
    return found


def _target(text: str, placeholder: str, value: str) -> str:
    """The `to` of a rule, with a value in place of a placeholder."""
    written = value if value.isdigit() else f"'{value}'"

    def filled(match: re.Match[str]) -> str:
        if match[1].strip() == placeholder:
            return value
        return "{" + re.sub(rf"\b{placeholder}\b", written, match[1]) + "}"

    return re.sub(r"\{([^{}]*)\}", filled, text) if placeholder else text


@lru_cache(maxsize=50_000)
def _aligned(rule: tuple[str, ...], key: tuple[str, ...], most: float) -> tuple[tuple[float, tuple[str, ...]], ...]:
    """The words of a rule, changed so that they match those of a key, with the number of changes."""
    if most < 0 or abs(len(rule) - len(key)) > most:
        return ()
    if not rule or not key:
        return () if any(_PLACEHOLDER.search(w) for w in rule) else ((float(len(rule) + len(key)), key),)
    found: dict[tuple[str, ...], float] = {}

    def add(change: float, first: tuple[str, ...], rest: tuple[tuple[float, tuple[str, ...]], ...]) -> None:
        for more, words in rest:
            if change + more <= most:
                whole = (*first, *words)
                found[whole] = min(change + more, found.get(whole, most + 1))

    if _pattern(rule[0]).fullmatch(key[0]) or _NUMBER.sub("#", rule[0]) == _NUMBER.sub("#", key[0]):
        add(0, (rule[0],), _aligned(rule[1:], key[1:], most))
    else:
        changed = _changed(rule[0], key[0])
        if changed is not None:
            add(1, (changed,), _aligned(rule[1:], key[1:], most - 1))
    if len(_PLACEHOLDER.findall(rule[0])) == 1 and len(key) > 1:  # what stands in a placeholder is another word
        add(1.5, (key[0],), _aligned(rule[1:], key[1:], most - 1.5))
    if len(key) > 1:
        add(1.2, (key[0],), _aligned(rule, key[1:], most - 1.2))
    if not _PLACEHOLDER.search(rule[0]):
        add(1.2, (), _aligned(rule[1:], key, most - 1.2))
    return tuple((change, words) for words, change in found.items())


def _changed(rule: str, word: str) -> str | None:
    """A part of a key with a rule's placeholders and numbers for its own; None where their counts differ."""
    own = _VARYING.findall(rule)
    if not own:
        return word
    if len(_NUMBER.findall(word)) != len(own):
        return None
    left = iter(own)
    return _NUMBER.sub(lambda _: next(left), word)


@lru_cache(maxsize=50_000)
def _pattern(start: str) -> re.Pattern[str]:
    parts = [re.escape(part) for part in _PLACEHOLDER.split(start)]
    names = [placeholder[1:-1] for placeholder in _PLACEHOLDER.findall(start)]
    return re.compile(parts[0] + "".join(f"(?P<{n}>[A-Za-z0-9_]+){p}" for n, p in zip(names, parts[1:], strict=True)))


def _path(rule: Rule, match: re.Match[str], fixed: Mapping[str, str], values: Mapping[str, Value]) -> str | None:
    try:
        return rule.fill({**match.groupdict(), **fixed}, values)
    except SemanticError:
        return None


def _fitting(
    made: Mapping[str, str | None], reshape: bool, keys: Mapping[str, Shape], paths: Mapping[str, Shape]
) -> dict[str, str]:
    """The path of each key that a rule is for; nothing where one does not fit."""
    found: dict[str, str] = {}
    for key, path in made.items():
        if key in keys:
            shape, expected = keys[key], paths.get(path) if path is not None else None
            if (
                path is None
                or expected is None
                or expected != shape
                and not (reshape and prod(expected) == prod(shape))
            ):
                return {}
            found[key] = path
    return found if len(set(found.values())) == len(found) else {}
