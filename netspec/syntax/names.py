"""Visitors of the syntax tree: its steps, its values, and the names that it reads."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from netspec.expressions.ast import free_names
from netspec.expressions.expression import Template
from netspec.syntax.ast import (
    Error,
    Expression,
    ListNode,
    MapNode,
    PathNode,
    Paths,
    ShareWith,
    Source,
    Unevaluable,
    ValueNode,
    loop_counts,
    loop_rows,
    parts_of,
)
from netspec.syntax.document import BlockDecl, Document, ParamDecl
from netspec.syntax.rules import names_read
from netspec.syntax.steps import Branch, Join, NoAction, OpCall, Step


def steps_in(steps: Iterable[Step]) -> Iterator[Step]:
    """All steps of a body, those in groups, branches and `else` too."""
    for step in steps:
        yield step
        yield from steps_in(step.inner)
        for branch in step.branches:
            yield from steps_in(branch.steps)


def bodies(doc: Document) -> Iterator[Step]:
    """All steps of a file."""
    yield from steps_in(doc.body)
    for block in doc.blocks.values():
        yield from steps_in(block.body)


def arguments_in(step: Step) -> ValueNode | None:
    """The arguments of a step, where these are values."""
    return step.action.args if isinstance(step.action, (OpCall, Join, NoAction)) else None


def iterated(element: Step | Branch) -> Iterator[ValueNode]:
    """What the loops of a step or branch count and go over."""
    yield from loop_counts(element.loop)
    if (rows := loop_rows(element.loop)) is not None:
        yield rows.over


def control_of(element: Step | Branch) -> list[ValueNode]:
    """What decides whether and how often a step or branch runs, in source order."""
    found = list(iterated(element))
    found += element.conditions if isinstance(element, Step) else filter(None, [element.only_if])
    return sorted(found, key=lambda node: (node.span.line, node.span.col))


def loop_names(element: Step | Branch) -> set[str]:
    """The names that the loops of a step or branch bring."""
    rows = loop_rows(element.loop)
    return {*(rows.variables if rows is not None else ()), *(["i"] if loop_counts(element.loop) else [])}


def paths_in(source: Source | None) -> Iterator[PathNode]:
    """The paths that `from` names."""
    if isinstance(source, Paths):
        for item in source.items:
            yield from paths_in(item)
    elif isinstance(source, PathNode):
        yield source


def paths_of(element: Step | Branch) -> Iterator[PathNode]:
    """The paths that a step or branch reads or shares."""
    yield from paths_in(element.source)
    if isinstance(element, Branch):
        yield from paths_in(element.path)
    elif isinstance(element.share, ShareWith):
        for path in (element.share.of, *element.share.own):
            yield from paths_in(path)


def computed_in(node: ValueNode | None) -> Iterator[Expression | Unevaluable]:
    """The expressions in a value."""
    if isinstance(node, (ListNode, MapNode)):
        for part in parts_of(node):
            yield from computed_in(part)
    elif isinstance(node, (Expression, Unevaluable)):
        yield node


def words_in(node: ValueNode | None) -> Iterator[str]:
    """Every string in a value, keys included: `{leaky_relu: 0.1}` is a block as a value; expressions' strings too."""
    if isinstance(node, MapNode):
        yield from (name.text for name, _ in node.entries)
    if isinstance(node, (ListNode, MapNode)):
        for part in parts_of(node):
            yield from words_in(part)
    elif node is not None and not isinstance(node, Error):
        yield node.text
        yield from re.findall(r"['\"](\w+)['\"]", node.text)


def declared_values(declared: Document | BlockDecl) -> Iterator[ValueNode]:
    """The values of the params and `let` of a block or file."""
    yield from filter(None, (p.default for p in declared.params))
    yield from (let.value for let in declared.lets)


def _limits(params: Iterable[ParamDecl]) -> Iterator[ValueNode]:
    for p in params:
        yield from filter(None, (p.one_of, p.min))


def _declaring(doc: Document) -> tuple[Document | BlockDecl, ...]:
    return (doc, *doc.blocks.values())


def values_in(doc: Document) -> Iterator[ValueNode]:
    """All values of a file."""
    for declared in _declaring(doc):
        yield from declared_values(declared)
        yield from _limits(declared.params)
    for variant in doc.variants.values():
        yield from (value for _, value in variant.settings.values())
    for inputs in (doc.input, *(v.input for v in doc.variants.values())):
        yield from (item.shape for item in (inputs.items if inputs is not None else ()))
    for output in doc.outputs.items if doc.outputs is not None else ():
        yield from filter(None, (output.only_if, output.loss_weight, output.training_only))
    for block in doc.blocks.values():
        yield from filter(None, (example.args for example in block.examples))
    for step in bodies(doc):
        yield from filter(None, (arguments_in(step), *control_of(step)))
        for branch in step.branches:
            yield from control_of(branch)


def _wrong_in(part: object) -> Iterator[ValueNode]:
    """What is written in a part of the tree, or in what is in it, where it cannot be read."""
    if isinstance(part, (ListNode, MapNode, Paths)):
        for item in part.items if isinstance(part, Paths) else parts_of(part):
            yield from _wrong_in(item)
    elif isinstance(part, ShareWith):
        for path in (part.of, *part.own):
            yield from _wrong_in(path)
    elif isinstance(part, Unevaluable):
        yield part
    elif isinstance(part, Error) and part.written is not None:
        yield part.written


def unread_in(doc: Document) -> Iterator[ValueNode]:
    """What is written where a file cannot be read: it may read any name that it mentions."""
    yield from doc.dropped
    parts: list[object] = [*values_in(doc)]
    parts += [output.path for output in (doc.outputs.items if doc.outputs is not None else ())]
    for step in bodies(doc):
        parts += [step.name, step.source, step.loop, step.share, step.orelse, step.title]
        parts += [step.action.misplaced] if isinstance(step.action, Join) else []
        written = [step.action.written] if isinstance(step.action, NoAction) else []
        for branch in step.branches:
            parts += [branch.name, branch.source, branch.path]
            written.append(branch.written)
        yield from filter(None, written)
    for part in parts:
        yield from _wrong_in(part)


def read_names(doc: Document) -> tuple[set[str], set[str]]:
    """The names that expressions and placeholders of a file read, and the strings and ops that are written."""
    reads: set[str] = set()
    words: set[str] = {name for variant in doc.variants.values() for name in variant.settings}
    for value in values_in(doc):
        words.update(words_in(value))
        for node in computed_in(value):
            if isinstance(node, Expression):
                reads.update(free_names(node.expr.tree))
    elements: list[Step | Branch] = []
    for text in (text for node in unread_in(doc) for text in words_in(node)):
        found = {text, *re.findall(r"\w+", text)}  # nobody knows which of them it reads
        reads |= found
        words |= found
    for step in bodies(doc):
        words.add(step.op)
        elements += [step, *step.branches]
    outputs = [output.path for output in (doc.outputs.items if doc.outputs is not None else ())]
    paths = [path for element in elements for path in paths_of(element)] + [p for o in outputs for p in paths_in(o)]
    words.update(path.text for path in paths)
    templates = [path.template for path in paths] + [e.template for e in elements if e.template is not None]
    templates += [e.title for e in elements if isinstance(e, Step) and isinstance(e.title, Template)]
    for template in templates:
        reads |= template.names
    if doc.checkpoints is not None:
        reads |= names_read(doc.checkpoints)
    return reads, words
