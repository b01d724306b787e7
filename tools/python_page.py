"""The page of the Python interface, from the signatures and docstrings of what `netspec` lists."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from pathlib import Path

import netspec
from netspec.draw.drawing import Drawing, ViewOptions
from netspec.elaborate.compiled import Compiled
from netspec.network import TableOptions
from netspec.reports.table import Table
from netspec.weights.checkpoints.choices import CheckpointChoices, ModuleChoices

PAGE = Path(__file__).resolve().parent.parent / "docs" / "python.md"
MARKS = re.compile(r"(<!-- names: .*? -->\n).*?(<!-- /names -->)", re.DOTALL)
WRAPPED = 100
"""Letters of a signature on one line."""
OF_COMPILED = ("name", "inference", "trained")
"""What a network has of its base class that users of Python need."""
INNER = ("cells",)
"""Methods for other modules of netspec."""


def page() -> str:
    """docs/python.md with all public names."""
    return MARKS.sub(lambda m: m[1] + "\n".join(_names()) + "\n" + m[2], PAGE.read_text(encoding="utf-8"))


def _names() -> Iterator[str]:
    functions = [name for name in netspec.__all__ if inspect.isfunction(getattr(netspec, name))]
    errors = [getattr(netspec, name) for name in netspec.__all__ if _is_error(getattr(netspec, name))]
    for name in functions:
        yield from _entry("###", f"netspec.{name}", getattr(netspec, name))
    for cls in (netspec.Network, netspec.Session, Table, Drawing):
        yield f"### {cls.__name__}\n\n{_doc(cls)}\n"
        for name, member in _members(cls):
            yield from _entry("####", f"{cls.__name__}.{name}", member)
    yield "### What pictures, tables and checkpoints are asked for\n"
    for options in (ViewOptions, TableOptions, CheckpointChoices, ModuleChoices):
        yield f"`{options.__name__}`: {_doc(options)} `{'`, `'.join(options.__annotations__)}`.\n"
    yield "### Errors\n\n| class | exit code | |\n| --- | ---: | --- |"
    for error in errors:
        yield f"| `{error.__name__}` | {error.exit_code} | {_doc(error)} |"


def _is_error(value: object) -> bool:
    return inspect.isclass(value) and issubclass(value, netspec.NetspecError)


class _Written(str):
    """An annotation, shown as it is written."""

    def __repr__(self) -> str:
        return str(self)


def _members(cls: type) -> Iterator[tuple[str, object]]:
    """The public methods and properties in the order in which they are written, then those of OF_COMPILED."""
    of_base = {name: value for name, value in vars(Compiled).items() if name in OF_COMPILED}
    for name, value in (vars(cls) | (of_base if issubclass(cls, Compiled) else {})).items():
        if (
            not name.startswith("_")
            and name not in INNER
            and (isinstance(value, property) or inspect.isfunction(value))
        ):
            yield name, value


def _entry(level: str, name: str, value: object) -> Iterator[str]:
    yield f"{level} `{name}`\n"
    if inspect.isfunction(value):
        yield f"```python\n{_signature(name, inspect.signature(value))}\n```\n"
    yield f"{_doc(value)}\n"


def _signature(name: str, signature: inspect.Signature) -> str:
    """On one line, or one line for each parameter."""
    parameters = [
        p.replace(annotation=p.annotation if p.annotation is p.empty else _Written(p.annotation))
        for p in signature.parameters.values()
        if p.name != "self"
    ]
    gives = f" -> {signature.return_annotation}"
    text = f"{name}{inspect.Signature(parameters)}{gives}"
    if len(text) <= WRAPPED:
        return text
    keyword = next((i for i, p in enumerate(parameters) if p.kind is p.KEYWORD_ONLY), -1)
    lines = [f"    {'*, ' * (i == keyword)}{p},\n" for i, p in enumerate(parameters)]
    return f"{name}(\n{''.join(lines)}){gives}"


def _doc(value: object) -> str:
    """A docstring, each of its paragraphs on a line."""
    return "\n\n".join(" ".join(part.split()) for part in (inspect.getdoc(value) or "").split("\n\n"))
