"""What can be said of names without elaborating: blocks that nothing calls, and things that nothing reads."""

from __future__ import annotations

import re
from collections import ChainMap
from collections.abc import Iterable, Iterator, Mapping
from typing import TypeAlias

from netspec.diagnostics.errors import Reporter, SemanticError, Span, did_you_mean, nearest
from netspec.elaborate.arguments import torn
from netspec.expressions.expression import Template, free_names, parse_expr, parse_template, place_of
from netspec.ops import OPS, lookup
from netspec.syntax.keywords import JOINS
from netspec.syntax.library import libraries_of
from netspec.syntax.meant import argument_help, op_help
from netspec.syntax.reader import Document
from netspec.syntax.step_reader import BlockDecl, ParamDecl, Step, entries
from netspec.syntax.tree import Map, Scalar, Seq, Tree

CONDITIONS = ("when", "only_if", "repeat", "each", "training_only")


def check_names(doc: Document, reporter: Reporter) -> None:
    """Checks the names and expressions of the body and of every block of a file, without running a step."""
    # What elaboration has said already; it says a missing `use` once.
    said = [(d.message.split("'")[1], d.span) for d in reporter.diagnostics if d.code == "NS201" and "'" in d.message]
    missing = {libraries_of(name): [span] for name, span in said if span is not None}
    for decl in doc.blocks.values():
        look = _Look(doc, decl.params, decl.open, reporter, missing)
        known = _known([*(p.name for p in decl.params), *(k.text for k, _ in decl.lets)])
        for tree in [*(p.default for p in decl.params if p.default), *(v for _, v in decl.lets)]:
            look.expressions(tree, known)
        look.steps(decl.body, known)
    look = _Look(doc, doc.params, bool(doc.open & {"params", "let"}), reporter, missing)
    look.steps(doc.body, _known(doc.values))


Known: TypeAlias = ChainMap[str, None]


def _known(names: Iterable[str]) -> Known:
    return ChainMap(dict.fromkeys(names))


def _with(known: Known, names: set[str]) -> Known:
    """The names with those of a loop; without any the same, so that a long body does not copy them at each step."""
    return known.new_child(dict.fromkeys(names)) if names else known


class _Look:
    """Looks for names that nothing declares; `open` says that declarations are missing, so that any may be one."""

    def __init__(
        self,
        home: Document,
        params: Iterable[ParamDecl],
        open: bool,
        reporter: Reporter,
        missing: dict[tuple[str, ...], list[Span]],
    ) -> None:
        self.home, self.open, self.reporter, self.missing = home, open, reporter, missing
        self.blocks = {p.name for p in params if p.type == "block" or p.failed or p.default is not None}
        self.said: set[str] = set()

    def steps(self, steps: Iterable[Step], known: Known) -> None:
        for step in steps:
            if step.failed and step.keys.keys() & {"for", "each", "repeat"}:
                continue  # perhaps the names of its loop cannot be read
            inner = _with(known, _loop_names(step.keywords))
            self.filled(step.name, step.keywords)
            understood = step.op in (*JOINS, "do", "tee") or step.op in self.blocks or step.failed or self.call(step)
            if understood and not step.branches and step.op not in ("do", "tee"):
                self.arguments(step, inner)
            for word, tree in step.keywords.items():
                if word != "else":
                    self.expressions(tree, inner, always=word in CONDITIONS)
            self.steps((*step.steps, *step.otherwise), inner)
            for branch in step.branches:
                if branch.failed:
                    continue
                loops = _with(inner, _loop_names(branch.keywords))
                self.filled(branch.name, branch.keywords)
                for word, tree in branch.keywords.items():
                    self.expressions(tree, loops, always=word in CONDITIONS)
                self.steps(branch.steps, loops)

    def filled(self, name: Template | None, keywords: Mapping[str, Tree]) -> None:
        """What fills placeholders of names and paths is evaluated before the rest, and unknown names are said there."""
        self.said |= name.names if name is not None else frozenset()
        for word in ("from", "share"):
            for scalar, _ in _uses(keywords[word]) if word in keywords else ():
                _template_names(scalar, self.said)

    def call(self, step: Step) -> bool:
        """The op of a step, and the names of its arguments; whether the op is known."""
        target = self.home.callable(step.op) or lookup(step.op)
        if target is None and not self.home.open & {"use", "blocks"} and not self.open:
            known = [*OPS, *self.home.blocks, *self.home.used, *self.blocks]
            message = f"there is no op or block '{step.op}'"
            libraries = libraries_of(step.op)
            places = self.missing.setdefault(libraries, []) if libraries else []
            places.append(step.span)
            if places[0] == step.span:
                self.reporter.error("NS201", message, step.span, op_help(step.op, known, places))
        elif isinstance(target, BlockDecl) and isinstance(step.args, Map) and not target.failed and not torn(step.args):
            names = [p.name for p in target.params]
            for key, _ in entries(step.args, self.home.bad):
                if key.text not in names:
                    message = f"'{step.op}' has no parameter '{key.text}'"
                    self.reporter.error("NS206", message, key.span, argument_help(key.text, names, step.op))
        return target is not None

    def arguments(self, step: Step, known: Known) -> None:
        """The expressions in the arguments of a step; the variant of a network and where it ends are none."""
        if isinstance(step.args, Map) and isinstance(self.home.callable(step.op), Document):
            for key, value in step.args.entries:
                if key.text not in ("variant", "until"):
                    self.expressions(value, known)
        elif torn(step.args) is None:
            self.expressions(step.args, known)

    def expressions(self, tree: Tree | None, known: Known, always: bool = False) -> None:
        """Parses every expression below a tree and looks for names that nothing declares."""
        for scalar, start in expressions(tree, always):
            try:
                parsed = parse_expr(scalar.text[start:], lambda i, j, s=scalar, o=start: s.at(i + o, j + o))  # type: ignore[misc]
            except SemanticError as e:
                self.reporter.error(e.code, e.message, e.span or scalar.span, e.help)
                continue
            unknown = [] if self.open else [name for name in free_names(parsed) if name not in known]
            if unknown:  # elaboration stops at the first one too
                at, name = min(((place_of(parsed, n), n) for n in unknown), key=lambda found: found[0][1:3])
                if name not in self.said:
                    self.reporter.error("NS202", f"there is no value '{name}'", at, did_you_mean(name, list(known)))
                self.said.add(name)


def _loop_names(keywords: dict[str, Tree]) -> set[str]:
    """The names that the loops of a step bring."""
    found = {"i"} if "repeat" in keywords else set()
    for word in ("for", "each"):
        tree = keywords.get(word)
        if isinstance(tree, Map):
            found |= {n.strip() for key, _ in tree.entries for n in key.text.split(",")}
        elif tree is not None:
            found.add("i")
    return found


def expressions(tree: Tree | None, always: bool = False) -> Iterator[tuple[Scalar, int]]:
    """The scalars below a tree that are expressions, with where the expression begins."""
    if isinstance(tree, Scalar):
        marked = tree.text.startswith("=") and len(tree.text) > 1
        if marked or (always and isinstance(tree.value, str)):
            yield tree, int(marked)
    elif isinstance(tree, Seq):
        for item in tree.items:
            yield from expressions(item)
    elif isinstance(tree, Map):
        for key, value in tree.entries:
            yield from expressions(value, always or key.text in CONDITIONS or key.text == "for")


MAX_UNKNOWN = 20


def warn_unused(doc: Document, reporter: Reporter) -> None:
    """Warns of params, `let` values and blocks of a file that nothing reads, but not of what an unknown name means."""
    unread = list(_unread(doc))
    unknown = [d.message.split("'")[1] for d in reporter.diagnostics if d.code in ("NS201", "NS202")]
    wrong = [d.span.source.line(d.span.line) for d in reporter.diagnostics if d.severity == "error" and d.span]
    few = len(unread) * (len(unknown) + len(wrong)) <= MAX_UNKNOWN**2
    for name, message, span, help in unread if few else ():
        if nearest(name, unknown) is None and not any(re.search(rf"\b{re.escape(name)}\b", line) for line in wrong):
            reporter.warning("NS209", message, span, help)


def _unread(doc: Document) -> Iterator[tuple[str, str, Span, str]]:
    """What nothing reads: its name, the message, the place, and the help."""
    reads, words = _reads(doc.tree)
    passed = _passed(doc)
    for decl in (*doc.params, *(p for name, b in doc.blocks.items() if name not in passed for p in b.params)):
        if decl.name not in reads and decl.name not in words:
            help_ = "read it, or delete it with what gives it a value"
            yield decl.name, f"nothing reads the parameter '{decl.name}'", decl.at.span, help_
    for key, _ in (*doc.lets, *(k for b in doc.blocks.values() for k in b.lets)):
        if key.text not in reads:
            yield key.text, f"nothing reads '{key.text}'", key.span, "read it, or delete it"
    for name, block in doc.blocks.items():
        if not doc.is_library and name not in words:
            yield name, f"nothing calls the block '{name}'", block.at.span, "call it, or delete it"


def _passed(doc: Document) -> set[str]:
    """The blocks that are values somewhere: their callers decide which parameters they must have."""
    given: list[Tree | None] = [p.default for p in doc.params]
    given += [tree for _, tree in doc.lets]
    given += [tree for v in doc.variants.values() for _, tree in v.settings.values()]
    todo = [*doc.body]
    for block in doc.blocks.values():
        todo += block.body
        given += [*(p.default for p in block.params), *(tree for _, tree in block.lets)]
    while todo:
        step = todo.pop()
        todo += [*step.steps, *step.otherwise, *(inner for branch in step.branches for inner in branch.steps)]
        if not step.branches and step.op not in ("do", "tee"):
            given.append(step.args)
        given.append(step.keywords.get("for"))
        given.append(step.keywords.get("each"))
    return {word for tree in given if tree is not None for word in _words(tree)} & set(doc.blocks)


def _words(tree: Tree) -> Iterator[str]:
    """Every string below a tree, keys included: `{leaky_relu: 0.1}` is a block as a value; expressions' strings too."""
    if isinstance(tree, Scalar):
        yield tree.text
        yield from re.findall(r"['\"](\w+)['\"]", tree.text)
    elif isinstance(tree, Seq):
        for item in tree.items:
            yield from _words(item)
    else:
        for key, value in tree.entries:
            yield key.text
            yield from _words(value)


def _reads(tree: Tree) -> tuple[set[str], set[str]]:
    """The names that expressions and templates read, and the words and ops that are written, anywhere in a file."""
    reads: set[str] = set()
    words: set[str] = set()
    for node, always in _uses(tree):
        words.add(node.text.rpartition("=")[2].strip())
        _template_names(node, reads)
        for scalar, start in expressions(node, always):
            try:
                reads.update(free_names(parse_expr(scalar.text[start:], scalar.at)))
            except SemanticError:
                pass  # reported where it is evaluated
    return reads, words


def _uses(tree: Tree, section: str = "", always: bool = False) -> Iterator[tuple[Scalar, bool]]:
    """The scalars of a document in which something can be used, keys included: a declaration is no use."""
    if isinstance(tree, Scalar):
        yield tree, always
    elif isinstance(tree, Seq):
        for item in tree.items:
            yield from _uses(item)
    else:
        for key, value in tree.entries:
            declares = section in ("params", "let", "blocks")
            if not declares and key.text != "for":
                yield key, False
            inner = key.text if key.text in ("params", "let", "blocks") and section in ("", "block") else ""
            yield from _uses(
                value, "block" if section == "blocks" else inner, always or key.text in CONDITIONS or key.text == "for"
            )


def _template_names(scalar: Scalar, reads: set[str]) -> None:
    if "{" in scalar.text and not scalar.text.startswith("="):
        try:
            reads.update(parse_template(scalar.text, scalar.at).names)
        except SemanticError:
            pass  # a text with braces that is no template
