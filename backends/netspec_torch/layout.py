"""Lays source out as `ruff format` does at its defaults: 88 columns, brackets broken from the outside inwards.

The printer writes this form itself, so that no formatter is needed to write a source that a formatter leaves alone.
"""

from __future__ import annotations

import ast
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

WIDTH = 88
STEP = 4


@dataclass(frozen=True, slots=True)
class Bracketed:
    """A call, a collection or a signature, with what stands before and in its brackets."""

    head: str
    """With the opening bracket."""
    items: tuple[Expr, ...]
    tail: str = ")"
    each: bool = False
    """Whether each item has a line of its own, however short they are."""
    collection: bool = False
    """A list or the like: items stand in one line with the brackets, or in one each; those of a call may share one."""
    separator: str = ","


@dataclass(frozen=True, slots=True)
class Chain:
    """Operands with one operator, `a + b + c`, or with what is done to all, `(a + b + c) / 3`.

    An operand that is a chain stands in brackets.
    """

    operands: tuple[str | Chain, ...]
    operator: str
    end: str = ""


Expr: TypeAlias = "str | Bracketed | Chain"


def call(head: str, items: Sequence[Expr], each: bool = False) -> Bracketed:
    """A call of `head`."""
    return Bracketed(f"{head}(", tuple(items), each=each)


def collection(head: str, items: Sequence[Expr], tail: str, each: bool = False) -> Bracketed:
    """A list, tuple or dict literal."""
    return Bracketed(head, tuple(items), tail, each, collection=True)


def repeated(item: Expr, count: str) -> Bracketed:
    """So many of an item, for a call that takes any number: `*[item for _ in range(count)]`."""
    return Bracketed("*[", (item, f"for _ in range({count})"), "]", collection=True, separator="")


def after(prefix: str, expr: Expr) -> Expr:
    """An expression behind a text, such as `name=`."""
    if isinstance(expr, Bracketed):
        return replace(expr, head=prefix + expr.head)
    return prefix + flat(expr)


def flat(expr: Expr) -> str:
    """An expression in one line."""
    if isinstance(expr, str):
        return expr
    if isinstance(expr, Chain):
        inner = f" {expr.operator} ".join(o if isinstance(o, str) else f"({flat(o)})" for o in expr.operands)
        return f"({inner}){expr.end}" if expr.end else inner
    return f"{expr.head}{_joined(expr)}{expr.tail}"


def _joined(expr: Bracketed) -> str:
    return f"{expr.separator} ".join(map(flat, expr.items))


def _spread(expr: Expr) -> bool:
    """Whether something in it has lines of its own."""
    return isinstance(expr, Bracketed) and (expr.each or any(map(_spread, expr.items)))


def width(text: str) -> int:
    """The columns that a text takes."""
    return sum(2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)


def lines(expr: Expr, indent: int, before: str = "", end: str = "") -> list[str]:
    """An expression between two texts, broken where it is too long."""
    pad, inner = " " * indent, " " * (indent + STEP)
    whole = f"{pad}{before}{flat(expr)}{end}"
    if isinstance(expr, str) or not _spread(expr) and width(whole) <= WIDTH:
        return [whole]
    if isinstance(expr, Chain):
        one = inner + flat(replace(expr, end=""))
        several = [one] if width(one) <= WIDTH else _operands(expr, indent + STEP)
        return [f"{pad}{before}(", *several, f"{pad}){expr.end}{end}"]
    start, stop = f"{pad}{before}{expr.head}", f"{pad}{expr.tail}{end}"
    shared = inner + _joined(expr)
    if not expr.collection and not _spread(expr) and width(shared) <= WIDTH:
        return [start, shared, stop]
    sole = [item for item in expr.items if isinstance(item, Bracketed) and item.collection]
    alone = not expr.collection and len(sole) == len(expr.items) == 1
    end = "" if alone else expr.separator
    return [start, *(line for item in expr.items for line in lines(item, indent + STEP, "", end)), stop]


def _operands(chain: Chain, indent: int) -> list[str]:
    """The operands of a chain, each in a line; one in brackets that is too long has lines of its own."""
    shown: list[str] = []
    for i, operand in enumerate(chain.operands):
        start = " " * indent + (f"{chain.operator} " if i else "")
        one = start + (operand if isinstance(operand, str) else f"({flat(operand)})")
        if isinstance(operand, str) or width(one) <= WIDTH:
            shown.append(one)
        else:
            shown += [f"{start}(", *_operands(operand, indent + STEP), f"{' ' * indent})"]
    return shown


def statement(text: str, indent: int, comment: str = "") -> list[str]:
    """A statement of one line, broken where it is too long; a comment for which there is no room stands above it."""
    pad = " " * indent
    shown = [pad + text]
    if width(shown[0]) > WIDTH:
        shown = _broken(text, indent)
    if comment and width(shown[-1]) + 2 + width(comment) <= WIDTH:
        shown[-1] += f"  {comment}"
    elif comment:
        shown.insert(0, pad + comment)
    return shown


def _broken(text: str, indent: int) -> list[str]:
    """An assignment, `return` or expression over several lines; the head of an `if`, which is one name, stays."""
    if text.endswith(":"):
        return [" " * indent + text]
    start = len("return ") if text.startswith("return ") else 0
    if not start:
        made = ast.parse(text).body[0]
        if not isinstance(made, ast.Assign | ast.AugAssign | ast.Expr):
            return [" " * indent + text]
        start = made.value.col_offset
    return lines(parsed(text[start:]), indent, text[:start])


def parsed(text: str) -> Expr:
    """The text of an expression, by its brackets."""
    return _expression(ast.parse(text, mode="eval").body, text)


def _expression(node: ast.expr, text: str) -> Expr:
    own = text[node.col_offset : node.end_col_offset]
    if isinstance(node, ast.Call):
        given = [_expression(argument, text) for argument in node.args]
        named = [after(f"{k.arg}=", _expression(k.value, text)) for k in node.keywords if k.arg]
        return call(text[node.col_offset : node.func.end_col_offset], [*given, *named])
    if isinstance(node, ast.List):
        return collection("[", [_expression(item, text) for item in node.elts], "]")
    if isinstance(node, ast.Tuple) and not own.startswith("("):
        return collection("(", [_expression(item, text) for item in node.elts], ")")
    if isinstance(node, ast.Dict):
        pairs = zip(node.keys, node.values, strict=True)
        items = [after(f"{text[k.col_offset : k.end_col_offset]}: ", _expression(v, text)) for k, v in pairs if k]
        return collection("{", items, "}")
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div) and text[node.col_offset] == "(":
        inner = _expression(node.left, text)
        if isinstance(inner, Chain):
            return replace(inner, end=text[(node.left.end_col_offset or 0) + 1 : node.end_col_offset])
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add | ast.Mult):
        rights: list[ast.expr] = []
        left: ast.expr = node
        while isinstance(left, ast.BinOp) and type(left.op) is type(node.op) and left.col_offset == node.col_offset:
            rights.append(left.right)
            left = left.left
        operands = tuple(_operand(operand, text) for operand in (left, *reversed(rights)))
        chain = Chain(operands, "+" if isinstance(node.op, ast.Add) else "*")
        return chain if flat(chain) == own else own
    return own


def _operand(node: ast.expr, text: str) -> str | Chain:
    """An operand: a chain where it is one in brackets."""
    found = _expression(node, text) if isinstance(node, ast.BinOp) else None
    return found if isinstance(found, Chain) and not found.end else text[node.col_offset : node.end_col_offset]
