"""Specs with one thing changed in their text: what the tests of error messages try on every shipped spec."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from netspec.check.check_file import check_file
from netspec.diagnostics.errors import Diagnostic, Reporter
from netspec.syntax.tree import Map, Scalar, Seq, Tree
from netspec.syntax.yaml_reader import Source, parse

HERE = Path(__file__).parent
GOOD = sorted((HERE / "good").glob("*.yaml"))
SHIPPED = sorted((HERE.parent / "specs").rglob("*.yaml"))


def tree_of(text: str) -> Map:
    """The located tree of a text."""
    tree = parse(Source("t.yaml", text), Reporter())
    assert tree is not None
    return tree


def scalars(tree: Tree) -> Iterator[Scalar]:
    """Every scalar below a tree that stands in one line, keys included."""
    if isinstance(tree, Scalar):
        if tree.span.line == tree.span.end_line and tree.span.col < tree.span.end_col:
            yield tree
    elif isinstance(tree, Seq):
        for item in tree.items:
            yield from scalars(item)
    else:
        for key, value in tree.entries:
            yield from scalars(key)
            yield from scalars(value)


def replaced(text: str, at: Scalar, new: str) -> str:
    """The text with another scalar, quoted, in the place of one."""
    lines = text.split("\n")
    line = lines[at.span.line - 1]
    lines[at.span.line - 1] = line[: at.span.col - 1] + json.dumps(new) + line[at.span.end_col - 1 :]
    return "\n".join(lines)


def found(text: str, folder: Path, variant: str | None = None) -> list[Diagnostic]:
    """What `check` says of a text, of all its variants or of one."""
    path = folder / "mutated.yaml"
    path.write_text(text, encoding="utf-8")
    reporter = Reporter()
    check_file(path, reporter, variant=variant)
    return list(reporter.sorted())


def errors(text: str, folder: Path, variant: str | None = None) -> list[Diagnostic]:
    """The errors among them."""
    return [d for d in found(text, folder, variant) if d.severity == "error"]


def first_variant(text: str) -> str | None:
    """The first variant of a spec, if it has any."""
    variants = tree_of(text).get("variants")
    return variants.keys()[0] if isinstance(variants, Map) else None


KEYWORDS = ("from", "when", "only_if", "else", "repeat", "for", "each", "share", "doc", "title")
JOINS = ("concat", "add", "mul", "mean", "max")


def steps(tree: Tree | None) -> Iterator[tuple[Scalar, Tree | None]]:
    """The head and the arguments of every step of a list, and of the steps inside it."""
    for item in tree.items if isinstance(tree, Seq) else ():
        if isinstance(item, Scalar):
            yield item, None
        elif isinstance(item, Map):
            for key, value in item.entries:
                if key.text == "else":
                    yield from steps(value)
                elif key.text not in KEYWORDS:
                    yield key, value
                    op = key.text.rpartition("=")[2].strip()
                    if op in ("do", "tee"):
                        yield from steps(value)
                    elif op in JOINS:
                        branches = [v for _, v in value.entries] if isinstance(value, Map) else []
                        for branch in value.items if isinstance(value, Seq) else branches:
                            yield from steps(branch.get("do") if isinstance(branch, Map) else branch)


def bodies(tree: Map) -> Iterator[Tree | None]:
    """The body of a document, and those of its blocks."""
    yield tree.get("body")
    blocks = tree.get("blocks")
    for _, block in blocks.entries if isinstance(blocks, Map) else ():
        if isinstance(block, Map):
            yield block.get("body")


def one_line(at: Tree | None) -> bool:
    """Whether something is a scalar that stands in one line."""
    return isinstance(at, Scalar) and at.span.line == at.span.end_line and at.span.col < at.span.end_col


def broken(text: str) -> Iterator[tuple[str, str]]:
    """The text with exactly one step broken, in every way and at every step; each with what was done."""
    tree = tree_of(text)
    for body in bodies(tree):
        for head, args in steps(body):
            if not one_line(head):
                continue
            name, equals, op = head.text.rpartition("=")
            name, op = name.strip(), op.strip()
            where = f"line {head.span.line}"
            yield f"{where}: the op '{op}' misspelt", replaced(text, head, f"{name} = {op}qx" if equals else f"{op}qx")
            if equals:
                yield f"{where}: the name '{name}' refused", replaced(text, head, f"train = {op}")
                yield f"{where}: a placeholder that is cut", replaced(text, head, f"{name}{{1 + }} = {op}")
            if op in ("do", "tee", *JOINS):
                continue
            values = (
                [v for _, v in args.entries]
                if isinstance(args, Map)
                else list(args.items)
                if isinstance(args, Seq)
                else [args]
            )
            for value in values[:1]:
                if one_line(value):
                    yield f"{where}: an argument that cannot be computed", replaced(text, value, "=1 // 0")
                    yield f"{where}: an argument of an unknown name", replaced(text, value, "=no_such_name")
            for key, _ in args.entries if isinstance(args, Map) else ():
                if one_line(key):
                    yield f"{where}: the argument '{key.text}' misspelt", replaced(text, key, f"{key.text}qx")
    blocks = tree.get("blocks")
    for key, _ in blocks.entries if isinstance(blocks, Map) else ():
        if one_line(key):
            yield f"the name of the block '{key.text}' refused", replaced(text, key, "train")
            yield f"the name of the block '{key.text}' malformed", replaced(text, key, f"{key.text} x")


def entries(tree: Tree) -> Iterator[tuple[Scalar, Tree]]:
    """Every entry of every mapping below a tree."""
    if isinstance(tree, Map):
        for key, value in tree.entries:
            yield key, value
            yield from entries(value)
    elif isinstance(tree, Seq):
        for item in tree.items:
            yield from entries(item)


def declared(text: str) -> Iterator[tuple[str, str]]:
    """The text with one name that others read changed, a keyword misspelt, or a library; each with what was done."""
    tree = tree_of(text)
    for body in bodies(tree):
        for head, _ in steps(body):
            name, equals, op = (part.strip() for part in head.text.rpartition("="))
            if equals and one_line(head):
                yield f"line {head.span.line}: a name with a space", replaced(text, head, f"a b = {op}")
                if "{" not in name:
                    yield f"line {head.span.line}: another name", replaced(text, head, f"{name}qx = {op}")
    for key, value in entries(tree):
        if key.text in KEYWORDS and key.text not in ("doc", "title") and one_line(key):
            yield f"line {key.span.line}: '{key.text}' misspelt", replaced(text, key, key.text + "qx")
        if key.text in ("for", "each") and isinstance(value, Map) and one_line(value.entries[0][0]):
            yield f"line {key.span.line}: no name of a loop", replaced(text, value.entries[0][0], "a;b")
    blocks = tree.get("blocks")
    owners = [tree, *(v for _, v in blocks.entries if isinstance(v, Map))] if isinstance(blocks, Map) else [tree]
    for owner in owners:
        for section in ("params", "let", "variants"):
            part = owner.get(section)
            for key, _ in part.entries if isinstance(part, Map) else ():
                if one_line(key):
                    yield f"'{key.text}' of `{section}` refused", replaced(text, key, "a b")
    used = tree.get("use")
    for item in used.items if isinstance(used, Seq) else ():
        if isinstance(item, Scalar) and one_line(item):
            yield f"the library '{item.text}' misspelt", replaced(text, item, item.text + "qx")
