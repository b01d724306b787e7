"""Findings about structure: those of the JSON Schema in our words and places, and what a schema cannot say."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Any

from netspec.diagnostics.errors import Hint, Reporter, SemanticError, Span, did_you_mean
from netspec.expressions.expression import parse_template
from netspec.expressions.identifiers import Kind, clipped, why_not, why_not_around
from netspec.ops import lookup
from netspec.syntax.common_mistakes import (
    SECTIONS,
    branch_help,
    key_help,
    meant_key,
    missing_help,
    name_help,
    op_text_help,
    second_op_help,
    value_help,
)
from netspec.syntax.library import libraries_of
from netspec.syntax.step_reader import JOINS, KEYWORDS, split_name
from netspec.syntax.tree import Map, Scalar, Seq, Tree


def report_violation(tree: Tree, error: Any, reporter: Reporter, bad: set[int]) -> None:
    """Reports one error of jsonschema and marks its node."""
    node, key = _locate(tree, error.absolute_path)
    schema = error.schema
    if error.validator == "additionalProperties" and isinstance(node, Map):
        known = list(schema.get("properties", {}))
        if "do" in known and (trap := branch_help(node)):
            reporter.error("NS110", "a branch is expected here, this is a step", node.span, trap)
            bad.add(id(node))
            return
        for name, value in node.entries:
            if name.text not in known and name.text.endswith((")", "]")) and _empty(value):
                bad |= {id(name), id(value)}  # the rest of an expression that YAML cut: it is reported there
            elif name.text == "when" and "only_if" in known and "do" in known:
                bad |= {id(name), id(value)}  # said as a keyword that has no meaning in a branch
            elif name.text not in known:
                code, what = (
                    ("NS206", f"'{schema['op']}' has no parameter") if "op" in schema else ("NS111", "there is no key")
                )
                help_ = key_help(name, value, known, schema.get("op", ""))
                reporter.error(code, f"{what} '{clipped(name.text)}'", name.span, help_)
                bad |= {id(name), id(value)}
        return
    if error.validator == "required":
        missing = [n for n in schema["required"] if not isinstance(node, Map) or node.get(n) is None]
        place = key.span if key is not None else node.span
        if not _misspelt(node, missing, schema):
            reporter.error(
                "NS112", f"'{missing[0] if missing else '?'}' is missing", _head(place), missing_help(missing)
            )
        if node is not tree:
            bad.add(id(node))
        return
    what = f"'{key.text}' expects" if key is not None else "expected"
    wanted = schema.get("wanted") or _wanted(error)
    given = tree.get("input") if isinstance(tree, Map) and list(error.absolute_path)[:1] == ["input"] else None
    if given is not None and isinstance(node, Scalar) and _is_sizes(given):
        # `input: {channels: 3, height: 32, width: 32}` is one error
        node, what, wanted = given, "'input' expects", "a list, [channels, height, width]"
    help_ = value_help(node, key.text if key is not None else "", wanted)
    reporter.error("NS110", f"{what} {wanted}, got {_kind(node)}", _head(node.span), help_)
    bad.add(id(node))


def _is_sizes(tree: Tree | None) -> bool:
    """Whether a mapping of inputs holds nothing but numbers."""
    return isinstance(tree, Map) and all(isinstance(v, Scalar) and isinstance(v.value, int) for _, v in tree.entries)


def _misspelt(node: Tree, missing: Sequence[str], schema: Any) -> bool:
    """Whether what is missing is there under an unknown key like it, which is an error of its own."""
    known = list(schema.get("properties", {}))
    given = node.keys() if isinstance(node, Map) else []
    unknown = [key for key in given if key not in known]
    return any(meant_key(key, known) in missing for key in unknown[:20])


def _empty(value: Tree) -> bool:
    return isinstance(value, Scalar) and value.plain and value.text == ""


def _locate(tree: Tree, path: Iterable[str | int]) -> tuple[Tree, Scalar | None]:
    """The node at a path of keys and indices, and the key that it stands under."""
    key: Scalar | None = None
    for part in path:
        if isinstance(tree, Map):
            key, tree = _by_key(tree)[str(part)]
        elif isinstance(tree, Seq):
            key, tree = None, tree.items[int(part)]
    return tree, key


@lru_cache(maxsize=64)
def _by_key(tree: Map) -> dict[str, tuple[Scalar, Tree]]:
    """The entries of a mapping; a mapping with many errors is asked for each of them."""
    return {key.text: (key, value) for key, value in tree.entries}


def _head(span: Span) -> Span:
    """The first line of a place that goes over several."""
    if span.line == span.end_line:
        return span
    return Span(span.source, span.line, span.col, span.line, span.col + 1)


def _wanted(error: Any) -> str:
    kinds = {
        "array": "a list",
        "object": "a mapping",
        "string": "a string",
        "integer": "an integer",
        "number": "a number",
        "boolean": "true or false",
        "null": "nothing",
    }
    if error.validator == "type":
        types = error.validator_value if isinstance(error.validator_value, list) else [error.validator_value]
        return " or ".join(kinds[t] for t in types)
    if error.validator in ("minItems", "minProperties"):
        return "at least one entry"
    if error.validator in ("maxItems", "maxProperties"):
        return "fewer entries"
    return "another value"


def _kind(node: Tree) -> str:
    if isinstance(node, Map):
        return "a mapping" if node.entries else "an empty mapping"
    if isinstance(node, Seq):
        return "a list" if node.items else "an empty list"
    if node.value is None:
        return "nothing"
    kind = {bool: "", int: "the number ", float: "the number "}.get(type(node.value), "the string ")
    return f"{kind}{clipped(node.text)}" if kind != "the string " else f"the string '{clipped(node.text)}'"


def check_structure(tree: Map, reporter: Reporter, bad: set[int]) -> None:
    """What the schema cannot say: one op a step, keywords where they belong, names that can be given."""
    _Structure(reporter, bad).document(tree)


_DECLARATIONS = {"params": Kind.PARAM, "let": Kind.LET, "blocks": Kind.BLOCK, "variants": Kind.VARIANT}


class _Structure:
    def __init__(self, reporter: Reporter, bad: set[int]) -> None:
        self.reporter, self.bad = reporter, bad
        self.blocks: set[str] = set()

    def document(self, tree: Map) -> None:
        blocks = tree.get("blocks")
        self.blocks = set(blocks.keys()) if isinstance(blocks, Map) else set()
        for section, kind in _DECLARATIONS.items():
            part = tree.get(section)
            for key, value in part.entries if isinstance(part, Map) else ():
                self.name(key, kind, value)
                if section == "blocks" and isinstance(value, Map):
                    self.block(value)
        variants = tree.get("variants")
        settings = [value for _, value in variants.entries] if isinstance(variants, Map) else []
        for holder in (tree, *settings):
            given = holder.get("input") if isinstance(holder, Map) else None
            for key, value in given.entries if isinstance(given, Map) else ():
                if key.text != "input":  # the name that a single input has when none is written
                    self.name(key, Kind.INPUT, value)
        outputs = tree.get("outputs")
        for key, value in outputs.entries if isinstance(outputs, Map) else ():
            self.name(key, Kind.OUTPUT, value)
            self.output(value)
        name = tree.get("name")
        if isinstance(name, Scalar):
            self.name(name, Kind.DOCUMENT)
        meant = {meant_key(key, SECTIONS) for key in tree.keys()[:100] if key not in SECTIONS}
        if tree.get("body") is None and tree.get("blocks") is None and "body" not in {*tree.keys(), *meant}:
            self.reporter.error(
                "NS112",
                "a document has a `body` or `blocks`",
                Span(tree.span.source, tree.span.line, tree.span.col, tree.span.line, tree.span.col + 1),
            )
        given = next((key for key, _ in tree.entries if key.text == "input"), None)
        if given is not None and tree.get("blocks") is not None and "body" not in tree.keys():
            self.reporter.error("NS112", "'body' is missing", given.span, "a library of blocks has no `input`")
        if tree.get("body") is not None and tree.get("input") is None and "input" not in meant:
            self.reporter.error("NS112", "'input' is missing", _head(tree.span), "input: [3, 224, 224]")
        self.body(tree.get("body"))

    def name(self, node: Scalar, kind: Kind, *more: Tree) -> None:
        """A name as it is written; where it cannot be one, elaboration skips it and what it names."""
        if why := why_not(node.text, kind):
            self.refuse(node.text, kind, why, node.span, node, *more)

    def refuse(self, text: str, kind: Kind, why: str, span: Span, *nodes: Tree) -> None:
        message = f"'{clipped(text)}' cannot be the name of {kind.value}: {why}"
        self.reporter.error("NS205", message, span, name_help(text, kind))
        self.bad |= set(map(id, nodes))

    def template(self, text: str, kind: Kind, node: Scalar, span: Span) -> None:
        """A name of a step or branch that may have placeholders; what fills them is checked when it is known."""
        try:
            template = parse_template(text, node.at)
        except SemanticError as e:
            self.reporter.error(e.code, e.message, e.span or span, e.help)
            self.bad.add(id(node))
            return
        # Placeholders count as digits: nothing that a name cannot hold may stand around them.
        why = why_not(text, kind) if template.is_plain else why_not_around(template.written("0"), kind)
        if why:
            self.refuse(text, kind, why, span, node)

    def loop_variables(self, tree: Tree | None) -> None:
        """The names before the colon of `for: {k, v: ...}`."""
        for key, value in tree.entries if isinstance(tree, Map) else ():
            start = 0
            for part in key.text.split(","):
                name, at = part.strip(), start + len(part) - len(part.lstrip())
                if why := why_not(name, Kind.LOOP_VARIABLE):
                    span = key.at(at, at + max(1, len(name)))
                    self.refuse(name, Kind.LOOP_VARIABLE, why, span, key, value)
                start += len(part) + 1

    def block(self, tree: Map) -> None:
        for section in ("params", "let"):
            part = tree.get(section)
            for key, value in part.entries if isinstance(part, Map) else ():
                self.name(key, _DECLARATIONS[section], value)
        inputs = tree.get("inputs")
        for item in inputs.items if isinstance(inputs, Seq) else ():
            if isinstance(item, Scalar):
                self.name(item, Kind.INPUT)
        self.body(tree.get("body"))

    def output(self, value: Tree) -> None:
        if not isinstance(value, Map):
            return
        known = ("from", "loss_weight", "training_only", "only_if", "doc")
        for key, inner in value.entries:
            if key.text == "when":
                self.misplaced(key, inner, "an output is there or not: `only_if`")
            elif key.text not in known:
                self.reporter.error(
                    "NS111", f"there is no key '{clipped(key.text)}'", key.span, did_you_mean(key.text, known)
                )
                self.bad |= {id(key), id(inner)}

    def body(self, tree: Tree | None) -> None:
        for item in tree.items if isinstance(tree, Seq) else ():
            if id(item) in self.bad:
                continue
            if isinstance(item, Map):
                self.step(item)
            elif isinstance(item, Scalar) and (op := self.head(item, item)) in ("do", "tee"):
                self.reporter.error("NS110", f"'{op}' has no steps", item.span, f"`{op}: [relu, ...]`")
                self.bad.add(id(item))

    def head(self, key: Scalar, node: Tree) -> str:
        """Checks the name of `name = op`; gives the op."""
        name, op, _ = split_name(key.text)
        if re.fullmatch(r"(?:\w+\s*=\s*)?[\w.]+\(.*\)", key.text):  # a call, whose `=` gives an argument
            name, op = None, key.text.rpartition("= ")[2] if "(" not in key.text.partition("= ")[0] else key.text
        if name is not None:
            self.template(name, Kind.STEP, key, key.at(0, max(1, len(name))))
        elif key.text.count("{") != key.text.count("}"):  # a placeholder that is never closed hides the `=`
            self.template(key.text, Kind.STEP, key, key.span)
        if id(key) in self.bad:
            self.bad.add(id(node))
            return op
        if not re.fullmatch(r"[A-Za-z_]\w*", op, re.ASCII):
            if op in self.blocks:  # its name is refused where it is declared
                self.bad.add(id(node))
                return op
            help_ = op_text_help(key.text, op, self.blocks, self.is_op)
            self.reporter.error("NS110", f"'{clipped(op)}' is not the name of an op", key.span, help_)
            self.bad.add(id(node))
        return op

    def is_op(self, name: str) -> bool:
        """Whether a step may be called so."""
        return name in ("do", "tee") or name in self.blocks or lookup(name) is not None or bool(libraries_of(name))

    def step(self, tree: Map) -> None:
        heads = [(k, v) for k, v in tree.entries if k.text not in KEYWORDS]
        if len(heads) != 1:
            second = heads[1][0] if len(heads) > 1 else None
            self._heads(tree, heads, second)
            self.bad.add(id(tree))
            return
        key, args = heads[0]
        op = self.head(key, tree)
        keys = {k.text: (k, v) for k, v in tree.entries if k.text in KEYWORDS}
        if "only_if" in keys and op != "tee":
            self.misplaced(*keys["only_if"], "steps take `when`; branches, tees and outputs take `only_if`")
        if "when" in keys and op == "tee":
            self.misplaced(*keys["when"], "branches, tees and outputs take `only_if`; steps take `when`")
        elif "when" in keys and "from" in keys:
            self.misplaced(
                *keys["when"], "false would make the step the identity of two values: put one in a group, `do`"
            )
        if "for" in keys and "from" in keys and "each" not in keys:
            self.misplaced(*keys["from"], "a group takes it: `do: [...]` with `from` around the loop")
        if "each" in keys and ("for" in keys or "repeat" in keys):
            help_ = "iterations are side by side or one after the other; a group, `do`, does both"
            self.misplaced(*keys["each"], help_)
        for word in ("for", "each"):
            if word in keys:
                self.loop_variables(keys[word][1])
        if "else" in keys:
            if "when" not in keys:
                self.misplaced(*keys["else"], "`else` is what runs when `when` is false")
            self.body(keys["else"][1])
        if op in ("do", "tee"):
            self.body(args)
        elif op in JOINS:
            self.join(key, args)

    def _heads(self, tree: Map, heads: list[tuple[Scalar, Tree]], second: Scalar | None) -> None:
        if second is None:
            self.reporter.error(
                "NS110", "this step has keywords and no op", _head(tree.span), "`op: arguments` next to them"
            )
            return
        known = second_op_help(heads[0][0], second)
        self.reporter.error("NS111", f"there is no keyword '{clipped(second.text)}'", second.span, known)

    def join(self, key: Scalar, args: Tree) -> None:
        branches: list[Tree] = []
        if isinstance(args, Map):
            for name, value in args.entries:
                if name.text in KEYWORDS:
                    help_ = f"branches stand two columns further, `{name.text}: ...` at the column of `{key.text}`"
                    self.misplaced(name, value, help_)
                    continue
                self.template(name.text, Kind.BRANCH, name, name.span)
                if id(name) in self.bad:
                    self.bad.add(id(value))
                branches.append(value)
        elif isinstance(args, Seq):
            branches = list(args.items)
        for branch in branches:
            if id(branch) in self.bad:
                continue
            if isinstance(branch, Map):
                self.branch(branch)
            else:
                self.body(branch)

    def branch(self, tree: Map) -> None:
        for key, value in tree.entries:
            if key.text == "when":
                self.misplaced(key, value, "branches, tees and outputs take `only_if`; steps take `when`")
        self.loop_variables(tree.get("each"))
        if any(k.text == "do" for k, _ in tree.entries):
            self.body(tree.get("do"))

    def misplaced(self, key: Scalar, value: Tree, help: str | Hint) -> None:
        """A keyword in a place where it has no meaning."""
        self.reporter.error("NS113", f"'{key.text}' has no meaning here", key.span, help)
        self.bad |= {id(key), id(value)}
