"""YAML text -> a tree in which every node keeps its place; events with budgets, because specs are untrusted."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any, TypeAlias

import yaml

from netspec.diagnostics.errors import Reporter, Source, Span
from netspec.files.kinds import foreign
from netspec.files.pipes import MAX_BYTES, from_file
from netspec.syntax.keywords import COMPUTED
from netspec.syntax.tree import FLOAT, INT, Map, Scalar, Seq, Tree
from netspec.syntax.yaml_help import report_syntax

MAX_DEPTH = 64
MAX_TREE_NODES = 50_000
MAX_EXPRESSIONS = 100_000
"""Characters of expressions and of names with placeholders; reading one takes some microseconds a character."""
_PROSE = ("doc", "title", "source", "printed", "misprint", "differs", "why", "name")

Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

_REFUSED = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff\ufffe\uffff]|\r(?!\n)")


_NodeEvent: TypeAlias = yaml.ScalarEvent | yaml.SequenceStartEvent | yaml.MappingStartEvent | yaml.AliasEvent


class _Stop(Exception):
    """Reading cannot go on; the error is reported already."""


def read(path: Path, reporter: Reporter, name: str | None = None, data: bytes | None = None) -> Map | None:
    """The tree of a file, or of data read already; None after an error; raises UsageError where it can be none."""
    name = name or str(path)
    data = from_file(path, name) if data is None else data
    if (other := foreign(name, data)) is not None:
        raise other
    if len(data) > MAX_BYTES:
        source = Source(name, "")
        reporter.error("NS105", "the file is larger than 4 MiB", Span(source, 1, 1, 1, 1))
        return None
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as e:
        before = data[: e.start].decode("utf-8", "replace")
        line, col = before.count("\n") + 1, len(before) - before.rfind("\n")
        source = Source(name, data.decode("utf-8", "replace"))
        reporter.error(
            "NS101",
            f"byte 0x{data[e.start]:02x} is not UTF-8",
            Span(source, line, col, line, col + 1),
            "save the file as UTF-8",
        )
        return None
    return parse(Source(name, text), reporter)


def parse(source: Source, reporter: Reporter) -> Map | None:
    """The tree of a text that is a mapping, or None after an error."""
    failed = reporter.errors
    tree = parse_any(source, reporter)
    if isinstance(tree, Map):
        return tree
    if reporter.errors == failed:
        reporter.error(
            "NS110",
            "a spec is a mapping: `netspec: 1`, `name: ...`",
            tree.span if tree else Span(source, 1, 1, 1, 1),
            "`netspec new network` writes one to begin with; is this a spec?",
        )
    return None


def parse_any(source: Source, reporter: Reporter) -> Tree | None:
    """The tree of a text, or None after an error, or where there is nothing in it."""
    refused = list(islice(_REFUSED.finditer(source.text), 20))
    for found in refused:
        before = source.text[: found.start()]
        line, col = before.count("\n") + 1, found.start() - before.rfind("\n")
        reporter.error(
            "NS101",
            f"the character U+{ord(found[0][0]):04X} is not allowed in a spec",
            Span(source, line, col, line, col + 1),
            "lines end in LF or CRLF; write others by escapes",
        )
    if refused:
        return None
    try:
        tree = _Builder(source, reporter).document()
    except _Stop:
        return None
    except yaml.YAMLError as e:
        report_syntax(source, reporter, e)
        return None
    return tree


class _Builder:
    """Builds the tree from events, so that nothing is built which is over budget."""

    def __init__(self, source: Source, reporter: Reporter) -> None:
        self.source, self.reporter = source, reporter
        self.count = self.expressions = 0
        self.anchors: dict[str | None, tuple[Tree, int, int]] = {}
        self.open_anchors: set[str] = set()
        self.events: Iterator[Any] = iter(yaml.parse(source.text, Loader))

    def document(self) -> Tree | None:
        """The one document of the text."""
        tree: Tree | None = None
        documents = 0
        for event in self.events:
            if isinstance(event, yaml.DocumentStartEvent):
                documents += 1
                if documents > 1:
                    self.error("NS104", "a second document", event, "a file holds one spec")
                    raise _Stop
                if event.version or event.tags:
                    self.error("NS104", "directives are not allowed", event, "delete the line that begins with %")
            elif isinstance(
                event, (yaml.ScalarEvent, yaml.SequenceStartEvent, yaml.MappingStartEvent, yaml.AliasEvent)
            ):
                tree = self.node(event, 1)
        return tree

    def span(self, first: yaml.Event, last: yaml.Event) -> Span:
        """The place from the start of an event to the end of another."""
        start, end = first.start_mark, last.end_mark
        assert start is not None and end is not None  # what is parsed from a text has marks
        return Span(self.source, start.line + 1, start.column + 1, end.line + 1, end.column + 1)

    def error(self, code: str, message: str, event: yaml.Event, help: str = "") -> None:
        """Reports an error at an event."""
        self.reporter.error(code, message, self.span(event, event), help)

    def budget(self, event: yaml.Event, more: int = 1) -> None:
        """Counts nodes against the budget."""
        self.count += more
        if self.count > MAX_TREE_NODES:
            self.error("NS105", f"more than {MAX_TREE_NODES:,} nodes, aliases expanded", event)
            raise _Stop

    def node(self, event: _NodeEvent, depth: int) -> Tree:
        """The node that an event begins."""
        self.budget(event)
        if depth > MAX_DEPTH:
            self.error("NS105", f"nested more than {MAX_DEPTH} deep", event)
            raise _Stop
        if isinstance(event, yaml.AliasEvent):
            return self.alias(event)
        if event.tag is not None and not (event.tag == "!" and isinstance(event, yaml.ScalarEvent)):
            self.error("NS104", f"tags are not allowed: '{event.tag[:40]}'", event, "delete it; quotes make a string")
        elif event.tag == "!":
            self.error("NS104", "tags are not allowed: '!'", event, "delete it; quotes make a string")
        before, expressions = self.count, self.expressions
        if event.anchor:
            self.open_anchors.add(event.anchor)
        if isinstance(event, yaml.ScalarEvent):
            tree: Tree = self.scalar(event)
        elif isinstance(event, yaml.SequenceStartEvent):
            tree = self.sequence(event, depth)
        else:
            tree = self.mapping(event, depth)
        if event.anchor:
            self.open_anchors.discard(event.anchor)
            self.anchors[event.anchor] = (tree, self.count - before + 1, self.expressions - expressions)
        return tree

    def alias(self, event: yaml.AliasEvent) -> Tree:
        """The node of an alias; its nodes and the expressions in it count again."""
        if event.anchor in self.open_anchors:
            self.error("NS104", f"the alias '{event.anchor}' contains itself", event)
            raise _Stop
        if event.anchor not in self.anchors:
            self.error("NS102", f"there is no anchor '{str(event.anchor)[:40]}'", event)
            raise _Stop
        tree, size, expressions = self.anchors[event.anchor]
        self.budget(event, size)
        self.spend(event, expressions)
        return tree

    def scalar(self, event: yaml.ScalarEvent) -> Scalar:
        """A scalar; numbers have bounds."""
        span = self.span(event, event)
        scalar = Scalar(event.value, not event.style, span)
        if scalar.plain and scalar.text[:1] in "-+0123456789.":
            if len(scalar.text) > 40 and (INT.match(scalar.text) or FLOAT.match(scalar.text)):
                self.error("NS303", f"a number of {len(scalar.text)} characters", event, "numbers are below 2^63")
                return Scalar("0", True, span)
            value = scalar.value
            if isinstance(value, float) and not math.isfinite(value):
                self.error("NS303", f"the number {scalar.text} is infinite", event)
                return Scalar("1", True, span)
            elif isinstance(value, int) and not isinstance(value, bool) and abs(value) >= 2**63:
                self.error("NS303", f"the number {scalar.text} is out of bounds", event, "numbers are below 2^63")
        return scalar

    def computed(self, tree: Tree, event: yaml.Event, always: bool = False) -> None:
        """Counts the characters of what is computed against their limit."""
        if isinstance(tree, Scalar) and (always or tree.text.startswith("=") or "{" in tree.text):
            self.spend(event, len(tree.text))

    def spend(self, event: yaml.Event, characters: int) -> None:
        """Counts so many characters of expressions against their limit."""
        self.expressions += characters
        if self.expressions > MAX_EXPRESSIONS:
            self.error("NS105", f"more than {MAX_EXPRESSIONS:,} characters of expressions and placeholders", event)
            raise _Stop

    def sequence(self, start: yaml.Event, depth: int) -> Seq:
        """A list up to its end."""
        items: list[Tree] = []
        for event in self.events:
            if isinstance(event, yaml.SequenceEndEvent):
                return Seq(tuple(items), self.span(start, event))
            items.append(self.node(event, depth + 1))
            self.computed(items[-1], event)
        raise _Stop

    def mapping(self, start: yaml.Event, depth: int) -> Map:
        """A mapping up to its end; a key is a string, and each is there once."""
        entries: list[tuple[Scalar, Tree]] = []
        seen: dict[str, Scalar] = {}
        for event in self.events:
            if isinstance(event, yaml.MappingEndEvent):
                return Map(tuple(entries), self.span(start, event))
            key = self.node(event, depth + 1)
            self.computed(key, event)
            value = self.node(next(self.events), depth + 1)
            if isinstance(key, Scalar) and key.text not in _PROSE:
                self.computed(value, event, key.text in COMPUTED)
            if isinstance(key, Map):
                help_ = 'quote a name that starts with a placeholder: `- "{k} = conv": 64`'
                self.error("NS104", "a key is a string", event, help_)
                raise _Stop
            if not isinstance(key, Scalar):
                self.error("NS104", "a key is a string", event, "keys are strings or numbers")
            elif key.text == "<<" and key.plain:
                self.error("NS104", "merge keys are not allowed", event, "write the entries out; blocks share steps")
            elif key.text in seen:
                self.reporter.error(
                    "NS103",
                    f"the key '{key.text[:60]}' is a duplicate: line {seen[key.text].span.line} and here",
                    key.span,
                    "delete one of them",
                )
            else:
                seen[key.text] = key
                entries.append((key, value))
        raise _Stop
