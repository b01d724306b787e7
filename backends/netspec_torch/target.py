"""The name of the file that the source is written to, as Python would import it."""

from __future__ import annotations

import ast
import keyword
import re
import sys
from pathlib import Path

from netspec.diagnostics.errors import UsageError

NEEDED = ("torch", "safetensors", "numpy")
"""Libraries that the source, or torch itself, imports."""


def check_name(target: Path, source: str) -> None:
    """Raises UsageError where the file would hide a module that its source imports: it would import itself."""
    if target.suffix.lower() != ".py":
        return
    tree = ast.parse(source)
    names = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    names |= {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.module}
    if target.stem in {name.partition(".")[0] for name in names} | set(NEEDED):
        raise UsageError(
            f"{target} would hide the module '{target.stem}', which the source in it imports",
            f"name another file with -o, such as {target.with_stem(f'{target.stem}_net')}",
        )


def remarks(target: Path) -> list[str]:
    """Why a file cannot be imported, or what it hides in its folder; nothing of a file that is not named *.py."""
    stem = target.stem
    if target.suffix.lower() != ".py":
        return []
    if stem in sys.stdlib_module_names:
        return [f"{target} hides Python's own module '{stem}' from what runs in its folder, torch included"]
    if stem.isidentifier() and not keyword.iskeyword(stem) and target.suffix == ".py":
        return []
    name = re.sub(r"\W", "_", stem)
    name = f"net_{name}" if not name.isidentifier() or keyword.iskeyword(name) else name
    return [f"{target} cannot be imported under this name; -o {target.with_name(f'{name}.py')} can"]
