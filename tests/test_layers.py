"""The folders are the pipeline: each imports only what stands before it, wherever in a module the import stands."""

from __future__ import annotations

import ast
import re
from collections.abc import Collection, Iterator
from functools import cache
from pathlib import Path

import networkx as nx
import pytest

ROOT = Path(__file__).resolve().parent.parent

LAYERS = (
    ("diagnostics",),
    ("arguments", "optional", "plugins", "files", "collector", "processes"),
    ("expressions",),
    ("ops",),
    ("syntax",),
    ("ir",),
    ("passes",),
    ("elaborate",),
    ("analysis",),
    ("weights",),
    ("running",),
    ("check",),
    ("draw",),
    ("reports",),
    ("backend",),
    ("network",),
    ("session", "shipped"),
    ("",),  # `netspec` itself, with its version and the public names
    ("cli",),
    ("__main__",),
)
"""The parts of the core in their order: those of one layer may import each other, and what stands before."""

BACKENDS = ("netspec_torch", "netspec_onnx")


def modules(root: Path) -> dict[str, Path]:
    """Every module of the core and of the backends, by name."""
    found = {}
    for base, package in ((root, "netspec"), *((root / "backends", name) for name in BACKENDS)):
        for path in sorted((base / package).rglob("*.py")):
            parts = path.relative_to(base).with_suffix("").parts
            found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def imports(name: str, text: str, known: Collection[str]) -> Iterator[str]:
    """The known modules that the text of a module imports, in functions and under TYPE_CHECKING too."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in known)
        elif isinstance(node, ast.ImportFrom):
            assert node.module and not node.level, f"{name}: import by absolute names"
            for alias in node.names:
                target = f"{node.module}.{alias.name}"
                yield from (t for t in (target if target in known else node.module,) if t in known)


@cache
def arrows() -> frozenset[tuple[str, str]]:
    """Who imports whom."""
    files = modules(ROOT)
    texts = {name: path.read_text(encoding="utf-8") for name, path in files.items()}
    return frozenset((name, to) for name, text in texts.items() for to in imports(name, text, files) if name != to)


def layer(module: str) -> int:
    """The layer of a module of the core, or of a backend: those come after the core."""
    package, _, rest = module.partition(".")
    if package != "netspec":
        return len(LAYERS)
    part = rest.partition(".")[0]
    return next(i for i, parts in enumerate(LAYERS) if part in parts)


def part(module: str) -> str:
    """The folder, or the module next to the folders, that a module belongs to."""
    return ".".join(module.split(".")[:2]) if module.startswith("netspec.") else module.partition(".")[0]


def violations(found: Collection[tuple[str, str]]) -> set[tuple[str, str]]:
    """The imports of a later layer, of another backend, and by a backend of the command line."""

    def allowed(name: str, target: str) -> bool:
        if part(name) == part(target):
            return True
        if layer(name) == len(LAYERS) and (layer(target) == len(LAYERS) or part(target) == "netspec.cli"):
            return False
        siblings = layer(name) == layer(target) and part(name) != part(target)
        return layer(target) < layer(name) or siblings and layer(name) < len(LAYERS)

    return {(name, target) for name, target in found if not allowed(name, target)}


def cycles(found: Collection[tuple[str, str]]) -> list[list[str]]:
    """Groups of modules each of which imports itself by way of the others."""
    return [sorted(group) for group in nx.strongly_connected_components(nx.DiGraph(list(found))) if len(group) > 1]


def test_every_part_of_the_core_has_a_layer() -> None:
    parts = {name.removeprefix("netspec").lstrip(".").partition(".")[0] for name in modules(ROOT) if name[7:8] != "_"}
    assert parts == {part for parts in LAYERS for part in parts}


def test_a_folder_imports_only_what_stands_before_it() -> None:
    found = arrows()
    assert len(found) > 300  # the graph was read
    assert violations(found) == set()


def test_no_module_imports_itself_by_way_of_others() -> None:
    assert cycles(arrows()) == []


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("netspec.ops.conv", "from netspec.syntax import schema"),
        ("netspec.passes.resize", "def f():\n    from netspec.elaborate import elaborate"),
        ("netspec.draw.model", "if TYPE_CHECKING:\n    from netspec.network import Network"),
        ("netspec.diagnostics.errors", "from netspec import optional"),
        ("netspec.network", "import netspec_torch.codegen"),
        ("netspec_onnx.write", "from netspec_torch import quote"),
        ("netspec_onnx.write", "from netspec.cli.options import say"),
    ],
)
def test_a_planted_violation_is_found(name: str, text: str) -> None:
    planted = {(name, target) for target in imports(name, text, modules(ROOT))}
    assert len(planted) == 1 and violations(planted) == planted
    assert violations(arrows() | planted) >= planted


def test_a_planted_cycle_is_found() -> None:
    planted = {("netspec.ir.graph", t) for t in imports("", "def f():\n    import netspec.ir.text", modules(ROOT))}
    assert any({"netspec.ir.graph", "netspec.ir.text"} <= set(group) for group in cycles(arrows() | planted))


FOLDERS = sorted(path.parent.relative_to(ROOT).as_posix() for path in modules(ROOT).values() if path.stem == "__init__")


@pytest.mark.parametrize("folder", [f for f in FOLDERS if f != "netspec"])
def test_a_folder_says_what_enters_and_what_leaves_it(folder: str) -> None:
    text = ast.get_docstring(ast.parse((ROOT / folder / "__init__.py").read_text(encoding="utf-8"))) or ""
    first = text.partition("\n\n")[0].replace("\n", " ")
    assert re.fullmatch(r".+: in goe?s? .+; out comes? .+\.", first), first


def test_the_architecture_page_draws_the_folders_in_this_order() -> None:
    page = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    drawn = re.findall(r"^  (\w+)(?:/|\.py) ", page[page.index("\nnetspec/\n") : page.index("\nbackends/\n")], re.M)
    single = {"arguments", "optional", "plugins", "collector", "processes", "", "__main__"}
    assert drawn == [part for parts in LAYERS for part in parts if part not in single]
    assert all(re.search(rf"^  {name} ", page, re.M) for name in BACKENDS)
    assert all(f"{name}.py" in page for name in ("arguments", "optional", "plugins", "collector"))
