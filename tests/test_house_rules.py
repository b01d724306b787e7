"""The measures of the code: short modules and functions, few parameters, types in place of `Any`, one formatter."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PRODUCT = ("netspec", "backends")
CODE = (*PRODUCT, "tools", "tests")
LINES_OF_A_MODULE = 400
LINES_OF_A_FUNCTION = 60
PARAMETERS = 6
ANY = 20
"""How often the product may use `Any` as a type."""


@dataclass(frozen=True)
class Function:
    """A function and where it stands."""

    where: str
    node: ast.FunctionDef | ast.AsyncFunctionDef

    @property
    def lines(self) -> int:
        """Its length, without decorators."""
        return (self.node.end_lineno or 0) - self.node.lineno + 1

    @property
    def parameters(self) -> int:
        """How many it takes, without `self` and `cls`."""
        a = self.node.args
        names = [arg.arg for arg in (*a.posonlyargs, *a.args, *a.kwonlyargs)]
        return len(names) - (names[:1] in (["self"], ["cls"]))

    @property
    def decorators(self) -> set[str]:
        """The names of its decorators."""
        return {re.split(r"\(", ast.unparse(decorator))[0] for decorator in self.node.decorator_list}


@cache
def texts(*folders: str) -> dict[str, str]:
    """Every module below some folders by its path."""
    paths = [path for folder in folders for path in sorted((ROOT / folder).rglob("*.py"))]
    return {path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8") for path in paths}


@cache
def tree(text: str) -> ast.Module:
    """A module, parsed once."""
    return ast.parse(text)


def functions(modules: dict[str, str]) -> Iterator[Function]:
    """Every function and method."""
    for path, text in modules.items():
        for node in ast.walk(tree(text)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                yield Function(f"{path}:{node.lineno} {node.name}", node)


def long_modules(modules: dict[str, str]) -> list[str]:
    lines = {path: len(text.splitlines()) for path, text in modules.items()}
    most = LINES_OF_A_MODULE
    return [f"{path}: {count} lines, {most} are allowed: split it" for path, count in lines.items() if count > most]


def long_functions(modules: dict[str, str]) -> list[str]:
    return [f"{f.where}: {f.lines} lines" for f in functions(modules) if f.lines > LINES_OF_A_FUNCTION]


def many_parameters(modules: dict[str, str]) -> list[str]:
    """Without ops, whose signature is their schema, and callbacks of commands, whose signature is their options."""
    free = {"op", "click.command"}
    found = [f for f in functions(modules) if f.parameters > PARAMETERS and not f.decorators & free]
    return [f"{f.where}: {f.parameters} parameters" for f in found]


def uses_of_any(modules: dict[str, str]) -> list[str]:
    """Where `Any` is a type; the import itself is none."""
    names = {path: [n for n in ast.walk(tree(text)) if isinstance(n, ast.Name)] for path, text in modules.items()}
    return [f"{path}:{name.lineno}" for path, found in names.items() for name in found if name.id == "Any"]


def test_no_module_is_too_long() -> None:
    assert long_modules(texts(*CODE)) == []


def test_no_function_is_too_long() -> None:
    assert long_functions(texts(*CODE)) == []


def test_no_function_takes_too_many_parameters() -> None:
    assert many_parameters(texts(*PRODUCT, "tools")) == []


def test_any_is_the_exception() -> None:
    found = uses_of_any(texts(*PRODUCT))
    assert len(found) <= ANY, f"{len(found)} uses"


@pytest.mark.parametrize("mark", ["fmt: " + "skip", "fmt: " + "off", "noqa: " + "F811"])
def test_nothing_is_kept_from_the_tools(mark: str) -> None:
    """The formatter formats everything, and a fixture is a fixture, not an import that is named again."""
    assert [path for path, text in texts(*CODE).items() if mark in text] == []


def test_what_breaks_a_rule_is_found() -> None:
    body = "\n".join("    x = 1" for _ in range(LINES_OF_A_FUNCTION))
    many = "a, b, c, d, e, f, g"
    text = f"from typing import Any\ndef long(x: Any) -> 'int':\n{body}\ndef many({many}): ...\n"
    text += f"@op(kind='norm')\ndef free({many}): ...\nclass A:\n    def method(self, {many[:-3]}): ...\n"
    planted = {"m.py": text, "n.py": "\n" * (LINES_OF_A_MODULE + 1)}
    assert long_modules(planted) == ["n.py: 401 lines, 400 are allowed: split it"]
    assert long_functions(planted) == ["m.py:2 long: 61 lines"]
    assert many_parameters(planted) == ["m.py:63 many: 7 parameters"]
    assert uses_of_any(planted) == ["m.py:2"]
