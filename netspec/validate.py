"""A JSON Schema as functions over the located tree: as much of it as the schema of specs uses, in linear time.

A validator for any schema takes forty times as long, which a large spec cannot afford; the tests compare with one.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, TypeAlias

from netspec.parse import Map, Scalar, Seq, Tree

HEAD = r"^(?:[^=]*=)?\s*(?:"
"""Before the names of ops in a pattern of a step's keys: `conv` and `stem = conv`."""

_HEAD_OF = re.compile(r"(?:[^=]*=)?\s*(\w+)$", re.ASCII)
_ENTRIES = ("properties", "patternProperties", "additionalProperties")
_SILENT = {"wanted", "op", "description", "default", "title", "$schema", "$defs", "then", "else"}


@dataclass(frozen=True, slots=True)
class Violation:
    """A node that breaks a keyword of a schema."""

    node: Tree
    key: Scalar | None
    """The key that it stands under; None for an item of a list and for the document."""
    keyword: str
    schema: dict[str, Any]


Checker: TypeAlias = Callable[[Tree, Scalar | None, list[Violation]], None]
Test: TypeAlias = Callable[[Tree], bool]


def compiled(schema: dict[str, Any]) -> Checker:
    """A function that adds the violations of a tree to a list; raises KeyError for a keyword that it does not know."""
    made: dict[str, Checker] = {}

    def named(ref: str) -> Checker:
        name = ref.removeprefix("#/$defs/")

        def check(node: Tree, key: Scalar | None, found: list[Violation]) -> None:
            if name not in made:
                made[name] = build(schema["$defs"][name])
            made[name](node, key, found)

        return check

    def build(part: dict[str, Any]) -> Checker:
        checks: list[Checker] = []
        for keyword, value in part.items():
            if keyword in _SILENT:
                continue
            if keyword == "$ref":
                checks.append(named(value))
            elif keyword in _TESTS:
                checks.append(_fails(_TESTS[keyword](value), keyword, part))
            elif keyword == "if":
                none: dict[str, Any] = {}
                checks.append(_choice(*(build(part.get(k, none)) for k in ("if", "then", "else"))))
            elif keyword == "not":
                checks.append(_fails(_valid(build(value)), keyword, part))
            elif keyword == "items":
                checks.append(_items(build(value)))
            elif keyword in _ENTRIES:
                if keyword == next(k for k in part if k in _ENTRIES):  # the three of them are one check
                    checks.append(_entries(part, build))
            else:
                raise KeyError(keyword)
        return _all(checks)

    return build(schema)


def _all(checks: list[Checker]) -> Checker:
    if len(checks) == 1:
        return checks[0]

    def check(node: Tree, key: Scalar | None, found: list[Violation]) -> None:
        for each in checks:
            each(node, key, found)

    return check


def _valid(check: Checker) -> Test:
    def test(node: Tree) -> bool:
        found: list[Violation] = []
        check(node, None, found)
        return not found

    return test


def _fails(wrong: Test, keyword: str, part: dict[str, Any]) -> Checker:
    def check(node: Tree, key: Scalar | None, found: list[Violation]) -> None:
        if wrong(node):
            found.append(Violation(node, key, keyword, part))

    return check


def _choice(condition: Checker, then: Checker, other: Checker) -> Checker:
    test = _valid(condition)

    def check(node: Tree, key: Scalar | None, found: list[Violation]) -> None:
        (then if test(node) else other)(node, key, found)

    return check


def _items(check_item: Checker) -> Checker:
    def check(node: Tree, key: Scalar | None, found: list[Violation]) -> None:
        if isinstance(node, Seq):
            for item in node.items:
                check_item(item, None, found)

    return check


def _entries(part: dict[str, Any], build: Callable[[dict[str, Any]], Checker]) -> Checker:
    """The entries of a mapping: those that are named, steps by their op, and all others."""
    named = {name: build(inner) for name, inner in part.get("properties", {}).items()}
    heads: dict[str, Checker] = {}
    for pattern, inner in part.get("patternProperties", {}).items():
        if not (pattern.startswith(HEAD) and pattern.endswith(")$")):
            raise KeyError(pattern)
        heads |= dict.fromkeys(pattern[len(HEAD) : -2].split("|"), build(inner))
    rest = part.get("additionalProperties", {})
    other = build(rest) if rest else None

    def check(node: Tree, key: Scalar | None, found: list[Violation]) -> None:
        if not isinstance(node, Map):
            return
        unknown = False
        for name, value in node.entries:
            inner = named.get(name.text)
            if inner is None and heads and (head := _HEAD_OF.match(name.text)):
                inner = heads.get(head[1])
            if inner is not None:
                inner(value, name, found)
            elif other is not None:
                other(value, name, found)
            else:
                unknown = True
        if unknown and rest is False:
            found.append(Violation(node, key, "additionalProperties", part))

    return check


def _kind(node: Tree) -> str:
    """The type of JSON that a node has; an integer is an int alone, neither 3.0 nor a bool."""
    if isinstance(node, Map):
        return "object"
    if isinstance(node, Seq):
        return "array"
    if not node.plain:
        return "string"
    return _KINDS[type(node.value)]


_KINDS = {str: "string", bool: "boolean", int: "integer", float: "number", type(None): "null"}


def _no_type(wanted: str | list[str]) -> Test:
    kinds = {wanted} if isinstance(wanted, str) else set(wanted)
    if "number" in kinds:
        kinds.add("integer")
    return lambda node: _kind(node) not in kinds


def _in_none(values: Iterable[Any]) -> Test:
    pairs = {(type(v), v) for v in values}
    return lambda node: not isinstance(node, Scalar) or (type(node.value), node.value) not in pairs


def _size(kind: type[Map] | type[Seq], wrong: Callable[[int], bool]) -> Test:
    def test(node: Tree) -> bool:
        if isinstance(node, Map):
            return kind is Map and wrong(len(node.entries))
        return isinstance(node, Seq) and kind is Seq and wrong(len(node.items))

    return test


_TESTS: dict[str, Callable[[Any], Test]] = {
    "type": _no_type,
    "enum": _in_none,
    "const": lambda value: _in_none([value]),
    "required": lambda names: lambda node: isinstance(node, Map) and not set(names) <= set(node.keys()),
    "minItems": lambda low: _size(Seq, lambda n: n < low),
    "maxItems": lambda high: _size(Seq, lambda n: n > high),
    "minProperties": lambda low: _size(Map, lambda n: n < low),
    "maxProperties": lambda high: _size(Map, lambda n: n > high),
    "minLength": lambda low: lambda node: _kind(node) == "string" and len(node.text) < low,  # type: ignore[union-attr]
}
"""Whether a node breaks a keyword, by the keyword's value."""
