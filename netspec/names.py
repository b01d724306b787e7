"""What can be said of names without elaborating: blocks that nothing calls, and things that nothing reads."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from netspec.document import Document
from netspec.errors import Reporter, did_you_mean
from netspec.expr import ExprError, free_names, parse_expr, parse_template
from netspec.ops import OPS, lookup
from netspec.parse import Map, Scalar, Seq, Tree
from netspec.steps import JOINS, BlockDecl, Branch, Step, entries

CONDITIONS = ("when", "only_if", "repeat", "each", "training_only")


def check_block(decl: BlockDecl, reporter: Reporter) -> None:
    """Checks the names and expressions of a block without arguments for it."""
    known = {p.name for p in decl.params} | {k.text for k, _ in decl.lets}
    blocks = {p.name for p in decl.params if p.type == "block"}
    for tree in [*(p.default for p in decl.params if p.default), *(v for _, v in decl.lets)]:
        _expressions(tree, known, reporter)
    _check_steps(decl.body, decl.home, known, blocks, reporter)


def _check_steps(steps: Iterable[Step], home: Document, known: set[str], blocks: set[str], reporter: Reporter) -> None:
    for step in steps:
        inner = known | _loop_names(step.keywords)
        if step.op not in (*JOINS, "do", "tee") and step.op not in blocks:
            target = home.callable(step.op) or lookup(step.op)
            if target is None:
                reporter.error(
                    "NS201",
                    f"there is no op or block '{step.op}'",
                    step.span,
                    did_you_mean(step.op, [*OPS, *home.blocks, *home.used, *blocks]),
                )
            elif isinstance(target, BlockDecl) and isinstance(step.args, Map):
                names = [p.name for p in target.params]
                for key, _ in entries(step.args, home.bad):
                    if key.text not in names:
                        reporter.error(
                            "NS206",
                            f"'{step.op}' has no parameter '{key.text}'",
                            key.span,
                            did_you_mean(key.text, names),
                        )
        if not step.branches and step.op not in ("do", "tee"):
            _expressions(step.args, inner, reporter)
        for word, tree in step.keywords.items():
            if word != "else":
                _expressions(tree, inner, reporter, always=word in CONDITIONS)
        _check_steps((*step.steps, *step.otherwise), home, inner, blocks, reporter)
        for branch in step.branches:
            _check_branch(branch, home, inner, blocks, reporter)


def _check_branch(branch: Branch, home: Document, known: set[str], blocks: set[str], reporter: Reporter) -> None:
    inner = known | _loop_names(branch.keywords)
    for word, tree in branch.keywords.items():
        _expressions(tree, inner, reporter, always=word in CONDITIONS)
    _check_steps(branch.steps, home, inner, blocks, reporter)


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


def _expressions(tree: Tree | None, known: set[str], reporter: Reporter, always: bool = False) -> None:
    """Parses every expression below a tree and looks for names that nothing declares."""
    for scalar, start in expressions(tree, always):
        try:
            parsed = parse_expr(scalar.text[start:], lambda i, j, s=scalar, o=start: s.at(i + o, j + o))  # type: ignore[misc]
        except ExprError as e:
            reporter.error(e.code, e.message, e.span or scalar.span, e.help)
            continue
        for name in sorted(free_names(parsed) - known):
            reporter.error("NS202", f"there is no value '{name}'", scalar.span, did_you_mean(name, known))


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
