"""Checks the structure of a document against the table of places: errors in our words, where they are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeGuard

from netspec.diagnostics.errors import Reporter, Span
from netspec.expressions.identifiers import Kind, clipped, why_not
from netspec.syntax.common_mistakes import key_help, meant_column, meant_key, missing_help, name_help, value_help
from netspec.syntax.keywords import BRANCH, DOCUMENT, INPUT, arguments_of, place, split_name
from netspec.syntax.place import Place, Type
from netspec.syntax.tree import Map, Scalar, Seq, Tree


def validate(tree: Map, reporter: Reporter) -> set[Tree]:
    """Reports what is not accepted where it is written; gives these nodes, which become error nodes."""
    validator = Validator(reporter)
    validator.document(tree)
    return validator.refused


_TYPES: dict[type, tuple[Type, ...]] = {
    bool: ("boolean",),
    int: ("integer", "number"),
    float: ("number",),
    str: ("string",),
    type(None): ("null",),
}
"""An integer is an int alone, neither 3.0 nor a bool."""
_WORDS: dict[Type, str] = {
    "array": "a list",
    "object": "a mapping",
    "string": "a string",
    "integer": "an integer",
    "number": "a number",
    "boolean": "true or false",
    "null": "nothing",
}


class Validator:
    """Walks a tree along the table of places; `refused` are the nodes at fault, keys among them."""

    def __init__(self, reporter: Reporter) -> None:
        self.reporter = reporter
        self.refused: set[Tree] = set()
        self.sizes: Map | None = None
        """An `input` that is refused as a whole."""

    def document(self, tree: Map) -> None:
        """The whole of a file."""
        given = tree.get("input")
        if _is_sizes(given):  # `input: {channels: 3, height: 32, width: 32}` is one error
            help_ = "a list, [channels, height, width]"
            self.reporter.error("NS110", f"'input' expects {help_}, got {_kind(given)}", head_of(given.span))
            self.sizes = given
            self.refused.add(given)
            self.names(given, INPUT)
        self.mapping(tree, DOCUMENT, None)

    def check(self, tree: Tree, at: Place | str, key: Scalar | None = None) -> None:
        """One node, below a key where it is the value of one."""
        at = place(at)
        if isinstance(tree, Map) and at.unless is not None and all(tree.get(key) is None for key in at.unless[0]):
            at = place(at.unless[1])
        if at.types and not _fits(tree, at):
            near = meant_column(tree.text, list(map(str, at.one_of))) if isinstance(tree, Scalar) else None
            self.wrong(tree, at.expected or _listed(at), key, f"did you mean '{near}'?" if near else "")
        elif isinstance(tree, Map):
            self.mapping(tree, at, key)
        elif isinstance(tree, Seq):
            self.count(tree, len(tree.items), at, key)
            if at.item is not None:
                for item in tree.items:
                    self.check(item, at.item)
        elif at.least and isinstance(tree, Scalar) and isinstance(tree.value, str) and not tree.text.strip():
            self.wrong(tree, at.expected, key)
        if at.name is not None and isinstance(tree, Scalar):
            self.name(tree, at.name, tree)

    def mapping(self, tree: Map, at: Place, key: Scalar | None) -> None:
        """The entries of a mapping."""
        if at is BRANCH and tree.entries and all(name.text not in at.keys for name, _ in tree.entries):
            help_ = "a branch is a list of steps: [[conv: [16, 1]], []]"
            self.reporter.error("NS110", "a branch is expected here, this is a step", tree.span, help_)
            self.refused.add(tree)
            return
        for name, value in tree.entries:
            if value is self.sizes:
                continue
            if (inner := at.keys.get(name.text)) is not None:
                self.check(value, inner, name)
            elif (help_ := at.misplaced.get(name.text, "")) != "":
                self.reporter.error("NS113", f"'{name.text}' has no meaning here", name.span, help_)
                self.refused |= {name, value}
            elif at.is_step:
                self.check(value, arguments_of(split_name(name.text).op), name)
            elif at.no_other_keys:
                self.unknown(name, value, at)
            elif at.others is not None:
                self.check(value, at.others, name)
        if not at.op:  # an argument too many is one that the op has not
            self.count(tree, len(tree.entries), at, key)
        missing = [name for name in at.required if tree.get(name) is None]
        if at.any_of and all(tree.get(name) is None for name in at.any_of):
            missing.append(" or ".join(at.any_of))
        if missing:
            self.missing(tree, missing, at, key)
        if at.key_name is not None:
            self.names(tree, at)

    def unknown(self, name: Scalar, value: Tree, at: Place) -> None:
        """A key that a mapping without other keys has not."""
        rest = name.text.endswith((")", "]")) and isinstance(value, Scalar) and value.plain and value.text == ""
        if not rest:  # else the rest of an expression that YAML cut: it is reported there
            code, what = ("NS206", f"'{at.op}' has no parameter") if at.op else ("NS111", "there is no key")
            help_ = key_help(name, value, list(at.keys), at.op)
            self.reporter.error(code, f"{what} '{clipped(name.text)}'", name.span, help_)
        self.refused |= {name, value}

    def missing(self, tree: Map, missing: Sequence[str], at: Place, key: Scalar | None) -> None:
        """Keys that a mapping must have, unless they are there misspelt, which is an error of its own."""
        unknown = [name for name in tree.keys() if name not in at.keys]
        if not any(meant_key(name, list(at.keys)) in (*missing, *at.any_of) for name in unknown[:20]):
            where = head_of(key.span if key is not None else tree.span)
            self.reporter.error("NS112", f"'{missing[0]}' is missing", where, missing_help(missing))
        if at is not DOCUMENT:
            self.refused.add(tree)

    def count(self, tree: Seq | Map, entries: int, at: Place, key: Scalar | None) -> None:
        """The number of entries of a list or mapping."""
        few = entries < at.least
        if few or (at.most is not None and entries > at.most):
            many = "at least one entry" if few else "fewer entries" if at.most else "no arguments"
            self.wrong(tree, many if at.counts else at.expected, key)

    def wrong(self, tree: Tree, expected: str, key: Scalar | None, help: str = "") -> None:
        """A value of another kind than is expected."""
        what = f"'{key.text}' expects" if key is not None else "expected"
        help_ = help or value_help(tree, key.text if key is not None else "", expected)
        self.reporter.error("NS110", f"{what} {expected}, got {_kind(tree)}", head_of(tree.span), help_)
        self.refused.add(tree)

    def names(self, tree: Map, at: Place) -> None:
        """The keys of a mapping that are names; those of steps and branches may have placeholders: the reader's."""
        for key, value in tree.entries:
            if at.several:
                self.loop_variables(key, value)
            elif at.key_name not in (None, Kind.BRANCH) and key.text != at.also:
                self.name(key, at.key_name, key, value)

    def loop_variables(self, key: Scalar, value: Tree) -> None:
        """The names before the colon of `for: {k, v: ...}`."""
        start = 0
        for part in key.text.split(","):
            name, at = part.strip(), start + len(part) - len(part.lstrip())
            if why := why_not(name, Kind.LOOP_VARIABLE):
                self.bad_name(name, Kind.LOOP_VARIABLE, why, key.at(at, at + max(1, len(name))), key, value)
            start += len(part) + 1

    def name(self, at: Scalar, kind: Kind, *nodes: Tree) -> None:
        """A name as it is written; where it cannot be one, what it names is refused with it."""
        if why := why_not(at.text, kind):
            self.bad_name(at.text, kind, why, at.span, *nodes)

    def bad_name(self, text: str, kind: Kind, why: str, span: Span, *nodes: Tree) -> None:
        """Reports a text that cannot be a name."""
        message = f"'{clipped(text)}' cannot be the name of {kind.value}: {why}"
        self.reporter.error("NS205", message, span, name_help(text, kind))
        self.refused |= set(nodes)


def _fits(tree: Tree, at: Place) -> bool:
    """Whether a node is of one of the types of a place."""
    if isinstance(tree, Scalar):
        value = tree.value
        accepted = any(kind in at.types for kind in _TYPES[type(value)])
        if at.within is not None and isinstance(value, (int, float)) and not at.within[0] <= value <= at.within[1]:
            return False
        return accepted and (not at.one_of or value in at.one_of) and not (at.is_step and value == "")
    return ("object" if isinstance(tree, Map) else "array") in at.types


def _listed(at: Place) -> str:
    """The types of a place in words."""
    return at.known if at.types == ("object",) and at.no_other_keys else " or ".join(_WORDS[kind] for kind in at.types)


def _is_sizes(tree: Tree | None) -> TypeGuard[Map]:
    """Whether a mapping of inputs holds nothing but numbers."""
    return (
        isinstance(tree, Map)
        and bool(tree.entries)
        and all(isinstance(v, Scalar) and isinstance(v.value, int) for _, v in tree.entries)
    )


def head_of(span: Span) -> Span:
    """The first line of a place that goes over several."""
    if span.line == span.end_line:
        return span
    return Span(span.source, span.line, span.col, span.line, span.col + 1)


def _kind(node: Tree) -> str:
    if isinstance(node, Map):
        return "a mapping" if node.entries else "an empty mapping"
    if isinstance(node, Seq):
        return "a list" if node.items else "an empty list"
    if node.value is None:
        return "nothing"
    if not node.text.strip():
        return "an empty text"
    kind = {bool: "", int: "the number ", float: "the number "}.get(type(node.value), "the string ")
    return f"{kind}{clipped(node.text)}" if kind != "the string " else f"the string '{clipped(node.text)}'"
