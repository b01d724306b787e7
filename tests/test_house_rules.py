"""The measures of the code: short modules and functions, few parameters, types in place of `Any`, one formatter."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
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


def unbounded_waits(modules: dict[str, str]) -> list[str]:
    """Where something waits for another process or thread however long that takes.

    A function between fork and exec (`preexec_fn`) is one: it may wait for a lock of a thread that is not there.
    """
    found = []
    may = {p: text for p, text in modules.items() if re.search(r"subprocess|preexec_fn|\.(wait|join|result)\(\)", text)}
    for path, text in may.items():
        for call in [n for n in ast.walk(tree(text)) if isinstance(n, ast.Call) and isinstance(n.func, ast.Attribute)]:
            assert isinstance(call.func, ast.Attribute)
            name, given = call.func.attr, {k.arg for k in call.keywords}
            runs = ast.unparse(call.func.value) == "subprocess" and name in (
                "run",
                "call",
                "check_call",
                "check_output",
            )
            waits = name in ("wait", "join", "communicate", "result") and not call.args
            if "preexec_fn" in given or (runs or waits) and "timeout" not in given:
                found.append(f"{path}:{call.lineno} {name}")
    return found


HELP_AT = {"UsageError": 1, "MissingError": 1, "DataError": 2}
"""The place of the help among the arguments of an error."""
CAUSE = re.compile(r"\b(e|error|why|wrong)\b")
"""How what somebody else's error says is called where it is told on: it says itself what is wrong."""


def errors_without_help(modules: dict[str, str]) -> list[str]:
    """Errors that do not say what to do, but for those that tell on what the system or a library says."""
    found = []
    for path, text in modules.items():
        for call in [n for n in ast.walk(tree(text)) if isinstance(n, ast.Call) and isinstance(n.func, ast.Name)]:
            assert isinstance(call.func, ast.Name)
            at = HELP_AT.get(call.func.id)
            starred = any(isinstance(arg, ast.Starred) for arg in call.args)
            if at is None or starred or len(call.args) > at or any(k.arg == "help" for k in call.keywords):
                continue
            parts = [
                ast.unparse(n.value) for arg in call.args for n in ast.walk(arg) if isinstance(n, ast.FormattedValue)
            ]
            if not any(map(CAUSE.search, parts)) and not any("str(e)" in ast.unparse(arg) for arg in call.args):
                found.append(f"{path}:{call.lineno} {ast.unparse(call)[:80]}")
    return found


def test_every_error_says_what_to_do() -> None:
    assert errors_without_help(texts(*PRODUCT)) == []


def test_no_test_waits_for_ever() -> None:
    assert unbounded_waits(texts("tests")) == []


@pytest.mark.slow
def test_a_test_that_hangs_is_ended_and_named(tmp_path: Path) -> None:
    (tmp_path / "test_it.py").write_text(
        "import threading\n\n\ndef test_it():\n    lock = threading.Lock()\n    lock.acquire()\n    lock.acquire()\n"
    )
    settings = ["-c", str(ROOT / "pyproject.toml"), "--rootdir", str(tmp_path), "-o", "faulthandler_timeout=1"]
    command = [sys.executable, "-m", "pytest", *settings, "-p", "no:cacheprovider", "-n", "1", "test_it.py"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert done.returncode == 1 and 'test_it.py", line 7 in test_it' in done.stderr
    assert "crashed while running 'test_it.py::test_it'" in done.stdout


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
    waiting = "import subprocess\nsubprocess.run(['a'])\nsubprocess.run(['a'], timeout=1)\nthread.join()\n"
    waiting += "','.join(parts)\nsubprocess.Popen(['a'], preexec_fn=f)\n"
    assert unbounded_waits({"w.py": waiting}) == ["w.py:2 run", "w.py:4 join", "w.py:6 Popen"]
    errors = (
        "UsageError('no')\nUsageError('no', 'do')\nDataError('NS1', f'{n} no')\nUsageError(f'{path}: {e.strerror}')\n"
    )
    assert [line[:7] for line in errors_without_help({"e.py": errors})] == ["e.py:1 ", "e.py:3 "]
    planted = {"m.py": text, "n.py": "\n" * (LINES_OF_A_MODULE + 1)}
    assert long_modules(planted) == ["n.py: 401 lines, 400 are allowed: split it"]
    assert long_functions(planted) == ["m.py:2 long: 61 lines"]
    assert many_parameters(planted) == ["m.py:63 many: 7 parameters"]
    assert uses_of_any(planted) == ["m.py:2"]
