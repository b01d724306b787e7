"""What can be said of names without elaborating: blocks that nothing calls, and things that nothing reads."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from netspec.document import Document
from netspec.errors import Reporter, did_you_mean
from netspec.expr import ExprError, free_names, parse_expr, parse_template
from netspec.ops import OPS, lookup
from netspec.parse import Map, Scalar, Seq, Tree
from netspec.steps import JOINS, BlockDecl, Step, entries

CONDITIONS = ("when", "only_if", "repeat", "each", "training_only")


def check_block(decl: BlockDecl, reporter: Reporter) -> None:
    """Checks the names and expressions of a block without arguments for it."""
    known = {p.name for p in decl.params} | {k.text for k, _ in decl.lets}
    look = _Look(decl.home, {p.name for p in decl.params if p.type == "block" or p.failed}, decl.open, reporter)
    for tree in [*(p.default for p in decl.params if p.default), *(v for _, v in decl.lets)]:
        look.expressions(tree, known)
    look.steps(decl.body, known)


class _Look:
    """Looks for names that nothing declares; `open` says that declarations are missing, so that any may be one."""

    def __init__(self, home: Document, blocks: set[str], open: bool, reporter: Reporter) -> None:
        self.home, self.blocks, self.open, self.reporter = home, blocks, open, reporter
        self.said: set[str] = set()

    def steps(self, steps: Iterable[Step], known: set[str]) -> None:
        for step in steps:
            inner = known | _loop_names(step.keywords)
            if step.op not in (*JOINS, "do", "tee") and step.op not in self.blocks and not step.failed:
                self.call(step)
            if not step.branches and step.op not in ("do", "tee"):
                self.expressions(step.args, inner)
            for word, tree in step.keywords.items():
                if word != "else":
                    self.expressions(tree, inner, always=word in CONDITIONS)
            self.steps((*step.steps, *step.otherwise), inner)
            for branch in step.branches:
                loops = inner | _loop_names(branch.keywords)
                for word, tree in branch.keywords.items():
                    self.expressions(tree, loops, always=word in CONDITIONS)
                self.steps(branch.steps, loops)

    def call(self, step: Step) -> None:
        """The op of a step, and the names of its arguments."""
        target = self.home.callable(step.op) or lookup(step.op)
        if target is None and not self.home.open & {"use", "blocks"}:
            known = [*OPS, *self.home.blocks, *self.home.used, *self.blocks]
            message = f"there is no op or block '{step.op}'"
            self.reporter.error("NS201", message, step.span, did_you_mean(step.op, known))
        elif isinstance(target, BlockDecl) and isinstance(step.args, Map) and not target.failed:
            names = [p.name for p in target.params]
            for key, _ in entries(step.args, self.home.bad):
                if key.text not in names:
                    message = f"'{step.op}' has no parameter '{key.text}'"
                    self.reporter.error("NS206", message, key.span, did_you_mean(key.text, names))

    def expressions(self, tree: Tree | None, known: set[str], always: bool = False) -> None:
        """Parses every expression below a tree and looks for names that nothing declares."""
        for scalar, start in expressions(tree, always):
            try:
                parsed = parse_expr(scalar.text[start:], lambda i, j, s=scalar, o=start: s.at(i + o, j + o))  # type: ignore[misc]
            except ExprError as e:
                self.reporter.error(e.code, e.message, e.span or scalar.span, e.help)
                continue
            for name in sorted(free_names(parsed) - known - self.said) if not self.open else ():
                self.said.add(name)
                self.reporter.error("NS202", f"there is no value '{name}'", scalar.span, did_you_mean(name, known))


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


def warn_unused(doc: Document, reporter: Reporter) -> None:
    """Warns of params, `let` values and blocks of a file that nothing reads."""
    reads, words = _reads(doc.tree)
    for decl in (*doc.params, *(p for b in doc.blocks.values() for p in b.params)):
        if decl.name not in reads and decl.name not in words:
            reporter.warning(
                "NS209", f"nothing reads the parameter '{decl.name}'", decl.at.span, "delete it, or use it"
            )
    for key, _ in (*doc.lets, *(k for b in doc.blocks.values() for k in b.lets)):
        if key.text not in reads:
            reporter.warning("NS209", f"nothing reads '{key.text}'", key.span, "delete it, or use it")
    for name, block in doc.blocks.items():
        if not doc.is_library and name not in words:
            reporter.warning("NS209", f"nothing calls the block '{name}'", block.at.span, "delete it, or call it")


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
            except ExprError:
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
        except ExprError:
            pass  # a text with braces that is no template
