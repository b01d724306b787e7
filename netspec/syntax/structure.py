"""What the table of places does not say: one op a step, keywords where they belong, names with placeholders."""

from __future__ import annotations

import re

from netspec.diagnostics.errors import Hint, Reporter, SemanticError, Span
from netspec.expressions.expression import parse_template
from netspec.expressions.identifiers import Kind, clipped, why_not, why_not_around
from netspec.ops import lookup
from netspec.syntax.common_mistakes import (
    meant_key,
    name_help,
    op_text_help,
    second_op_help,
)
from netspec.syntax.keywords import GROUPS, JOINS, KEYWORDS, MISPLACED, SECTIONS, split_name
from netspec.syntax.library import libraries_of
from netspec.syntax.tree import Map, Scalar, Seq, Tree
from netspec.syntax.validate import head_of


def check_structure(tree: Map, reporter: Reporter, bad: set[int]) -> None:
    """Reports it, and adds the nodes at fault to `bad`."""
    _Structure(reporter, bad).document(tree)


class _Structure:
    def __init__(self, reporter: Reporter, bad: set[int]) -> None:
        self.reporter, self.bad = reporter, bad
        self.blocks: set[str] = set()

    def document(self, tree: Map) -> None:
        blocks = tree.get("blocks")
        self.blocks = set(blocks.keys()) if isinstance(blocks, Map) else set()
        for _, value in blocks.entries if isinstance(blocks, Map) else ():
            if isinstance(value, Map):
                self.body(value.get("body"))
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
            self.reporter.error("NS112", "'input' is missing", head_of(tree.span), "input: [3, 224, 224]")
        self.body(tree.get("body"))

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

    def body(self, tree: Tree | None) -> None:
        for item in tree.items if isinstance(tree, Seq) else ():
            if id(item) in self.bad:
                continue
            if isinstance(item, Map):
                self.step(item)
            elif isinstance(item, Scalar) and (op := self.head(item, item)) in GROUPS:
                self.reporter.error("NS110", f"'{op}' has no steps", item.span, f"`{op}: [relu, ...]`")
                self.bad.add(id(item))

    def head(self, key: Scalar, node: Tree) -> str:
        """Checks the name of `name = op`; gives the op."""
        head = split_name(key.text)
        name, op = head.name, head.op
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
        return name in GROUPS or name in self.blocks or lookup(name) is not None or bool(libraries_of(name))

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
        for rule in MISPLACED:
            if rule.holds(op, keys):
                self.misplaced(*keys[rule.keyword], rule.help)
        if "else" in keys:
            self.body(keys["else"][1])
        if op in GROUPS:
            self.body(args)
        elif op in JOINS:
            self.join(key, args)

    def _heads(self, tree: Map, heads: list[tuple[Scalar, Tree]], second: Scalar | None) -> None:
        if second is None:
            self.reporter.error(
                "NS110", "this step has keywords and no op", head_of(tree.span), "`op: arguments` next to them"
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
        if any(k.text == "do" for k, _ in tree.entries):
            self.body(tree.get("do"))

    def misplaced(self, key: Scalar, value: Tree, help: str | Hint) -> None:
        """A keyword in a place where it has no meaning."""
        self.reporter.error("NS113", f"'{key.text}' has no meaning here", key.span, help)
        self.bad |= {id(key), id(value)}
