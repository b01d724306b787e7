"""Without an optional library every entry says what to install, with exit code 3 or MissingError; the others work."""

from __future__ import annotations

import ast
import inspect
import json
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import entry_points
from pathlib import Path

import click
import pytest
from conftest import how_many
from optional_harness import COMMANDS, DRAWS, PLOTS, READS, RUNS, WRITES, prepare, python_calls
from packaging.requirements import Requirement

import netspec
from netspec import draw, optional
from netspec.cli import main as cli
from netspec.diagnostics.errors import MissingError

HARNESS = Path(__file__).with_name("optional_harness.py")
ROOT = Path(netspec.__file__).parent.parent
SOURCES = [*sorted((ROOT / "netspec").rglob("*.py")), *sorted((ROOT / "backends").rglob("*.py"))]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("optional")
    prepare(path)
    return path


@pytest.mark.slow
@pytest.mark.parametrize(
    "hidden",
    [*([name] for name in optional.LIBRARIES), [], list(optional.LIBRARIES)],
    ids=lambda hidden: "all" if len(hidden) > 1 else "".join(hidden) or "none",
)
def test_every_entry_without_a_library(folder: Path, hidden: list[str]) -> None:
    """All without any library, a third with all; without one of them a sixteenth, another one for each."""
    parts = {0: how_many(quick=3, slow=3, full=1), 1: how_many(quick=16, slow=16, full=1)}.get(len(hidden), 1)
    part = optional.LIBRARIES.index(hidden[0]) % parts if hidden else 0
    expected = len(COMMANDS[part::parts]) + len(python_calls_in(folder)[part::parts])
    assert len(check_calls(folder, hidden, "all", part, parts)) == expected


@pytest.mark.quick(1)
@pytest.mark.slow
def test_what_needs_a_library_names_it_without_any(folder: Path) -> None:
    assert len(check_calls(folder, list(optional.LIBRARIES), "few")) > 50


def check_calls(folder: Path, hidden: list[str], which: str, part: int = 0, parts: int = 1) -> list[list[object]]:
    command = [sys.executable, str(HARNESS), ",".join(hidden), which, str(part), str(parts)]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-4000:]
    wrong = []
    results = [json.loads(line) for line in done.stdout.splitlines()]
    for name, needs, status, said in results:
        absent = [need for need in needs if all(library in hidden for library in need.split("|"))]
        expected = 3 if absent else 0
        named = any(optional.NAMES.get(library, library) in said for need in absent for library in need.split("|"))
        if status != expected or absent and not ("pip install" in said and named) or "a bug of netspec" in said:
            wrong.append(f"{name}: {status} instead of {expected}: {said[:300]}")
    assert not wrong, "\n".join(wrong)
    return results


def python_calls_in(folder: Path) -> list[str]:
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        return list(python_calls())


# The tables are held against the program, so that what is new is covered, or fails here.


def commands() -> Iterator[tuple[str, click.Command]]:
    for name in cli.COMMANDS:
        command = cli.cli.get_command(click.Context(cli.cli), name)
        assert command is not None
        yield name, command
        for inner, below in getattr(command, "commands", {}).items():
            yield f"{name} {inner}", below


def test_every_command_and_every_option_that_reads_a_file_or_chooses_a_kind_is_called() -> None:
    lines = [line for line, _ in COMMANDS]
    for name, command in commands():
        own = [line.split() for line in lines if f"{line} ".startswith(f"{name} ")]
        assert own, f"no call of 'netspec {name}'"
        for param in command.params:
            kinds = param.type.choices if isinstance(param.type, click.Choice) else ()
            for kind in kinds:
                if kind != "cuda":  # another library than this one, or a device, is missing for it
                    assert any(str(kind) in line for line in own), f"no call of 'netspec {name}' with {kind}"
            shown = param.metavar or "" if isinstance(param, click.Option) else ""
            files = "FILE" in shown or "FOLDER" in shown
            if files and not kinds and (name, param.name) != ("tune", "profile"):  # which tune refuses
                assert any(set(param.opts) & set(line) for line in own), f"no call of {name} with {param.opts}"


def test_every_kind_is_in_the_tables() -> None:
    from netspec.draw.formats.render import FORMATS
    from netspec.files.checkpoints import BEGINNINGS, INDEX

    assert set(READS) == {*BEGINNINGS, f".safetensors{INDEX}"}
    assert set(DRAWS) == set(FORMATS)
    backends = {point.name for point in entry_points(group="netspec.backends")}
    assert set(RUNS) == backends and set(WRITES) == backends | {"json"}
    assert PLOTS


def test_every_optional_dependency_is_known() -> None:
    """The extras of the manifest bring what the table says, and the table has all of them but the developers' tools."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    found: dict[str, set[str]] = {}
    for extra, listed in project["optional-dependencies"].items():
        for text in listed if extra != "dev" else ():
            name = Requirement(text).name.removesuffix("-gpu")
            found.setdefault(name, set()).add(extra)
    known = {optional.NAMES.get(library, library): extra for library, extra in optional.EXTRAS.items()}
    assert set(found) == set(known)
    assert all(extra in found[name] for name, extra in known.items())


def module_name(source: Path) -> str:
    base = ROOT / "backends" if "backends" in source.parts else ROOT
    return ".".join(source.relative_to(base).with_suffix("").parts).removesuffix(".__init__")


def reaching(source: Path) -> Iterator[str]:
    """The public functions and methods of a file that import a library, or call one of the same file that does."""
    tree, calls = ast.parse(source.read_text(encoding="utf-8")), {}
    for node in tree.body:
        for name, part in (
            [(node.name, node)]
            if isinstance(node, ast.FunctionDef)
            else [
                (f"{node.name}.{inner.name}", inner)
                for inner in getattr(node, "body", ())
                if isinstance(node, ast.ClassDef) and isinstance(inner, ast.FunctionDef)
            ]
        ):
            called = [n.func for n in ast.walk(part) if isinstance(n, ast.Call)]
            calls[name] = {getattr(f, "id", getattr(f, "attr", "")) for f in called}
    found, size = {"importing", "needing"}, 0
    while size != len(found):
        size = len(found)
        found |= {name.rpartition(".")[2] for name, called in calls.items() if called & found}
    yield from (
        f"{module_name(source)}.{name}"
        for name, called in calls.items()
        if called & found and not any(part.startswith("_") for part in name.split("."))
    )


@pytest.mark.slow
def test_every_public_function_that_leads_to_such_an_import_is_called(folder: Path) -> None:
    called = {name.partition(" ")[0] for name in python_calls_in(folder)}
    public = {f"netspec.draw.{name}" for name in draw.__all__ if inspect.isfunction(getattr(draw, name))}
    public |= {f"netspec.{name}" for name in netspec.__all__ if inspect.isfunction(getattr(netspec, name))}
    public |= {f"netspec.network.Network.{name}" for name in vars(netspec.Network) if not name.startswith("_")}
    assert len(public) > 8
    for source in SOURCES:
        public |= set(reaching(source))
    assert {"netspec.weights.checkpoints.safetensors.read_safetensors", "netspec_torch.TorchBackend.run"} <= public
    assert not public - called - INSIDE, sorted(public - called - INSIDE)


INSIDE = {
    "netspec.cli.run.command",
    "netspec_onnx.calibration.first_images",
    "netspec_onnx.calibration.read_calibration",
    "netspec.network.Network.optimised",
}
"""Called by the entries alone: as commands."""


def imports(tree: ast.AST, guarded: bool = False) -> Iterator[tuple[str, bool, bool]]:
    """Each import that is executed: the module, whether it is under `importing`, whether it is at the top."""
    for node in ast.iter_child_nodes(tree):
        top = isinstance(tree, ast.Module)
        if isinstance(node, ast.Import):
            yield from ((alias.name, guarded, top) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module, guarded, top
        elif isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            continue
        else:
            held = isinstance(node, ast.With) and any(
                isinstance(call := item.context_expr, ast.Call)
                and isinstance(call.func, ast.Name)
                and call.func.id in ("importing", "needing")
                for item in node.items
            )
            yield from ((m, g, False) for m, g, _ in imports(node, guarded or held))


@pytest.mark.slow
def test_every_import_of_an_optional_library_is_guarded() -> None:
    """Where a module imports one at its top, its own import is guarded in turn."""
    found = {}
    for source in SOURCES:
        found[module_name(source)] = list(imports(ast.parse(source.read_text(encoding="utf-8"))))
    tainted, size = set(optional.LIBRARIES), -1
    while size != len(tainted):
        size = len(tainted)
        tainted |= {
            name
            for name, listed in found.items()
            if any(top and (m in tainted or m.partition(".")[0] in tainted) for m, _, top in listed)
        }
    assert "netspec_torch.runtime" in tainted and "netspec" not in tainted and "netspec_torch" not in tainted
    bare = [
        f"{name} imports {m}"
        for name, listed in found.items()
        for m, guarded, top in listed
        if (m in tainted or m.partition(".")[0] in tainted) and not guarded and not top and name not in tainted
    ]
    assert not bare, bare


@pytest.mark.parametrize(
    "error, said",
    [
        (ModuleNotFoundError("No module named 'torch'", name="torch"), "needs torch, which is not installed"),
        (ImportError("DLL load failed", name="torch._C"), "needs torch, which cannot be imported: DLL load failed"),
        (ImportError("no symbol"), "needs torch, which cannot be imported: no symbol"),
        (
            OSError("libcudart.so.12: cannot open shared object file"),
            "needs torch, which cannot be imported: libcudart",
        ),
    ],
)
def test_a_broken_library_is_missing_too(error: Exception, said: str) -> None:
    with pytest.raises(MissingError, match=said) as info:
        with optional.importing("it", "torch"):
            raise error
    assert info.value.help == "pip install 'netspec-compiler[torch]'"


def test_an_error_in_our_own_modules_stays_a_bug() -> None:
    with pytest.raises(ImportError, match="nothing"):
        with optional.importing("it", "torch"):
            from netspec.optional import nothing  # type: ignore[attr-defined]  # noqa: F401


@pytest.mark.parametrize(
    "more, files", [([], {"x.py", "x.safetensors"}), pytest.param(["--no-weights"], {"x.py"}, marks=pytest.mark.slow)]
)
def test_the_source_is_written_without_torch_and_its_weights_load_with_it(
    folder: Path, tmp_path: Path, more: list[str], files: set[str]
) -> None:
    program = (
        "import sys; sys.modules['torch'] = None\nfrom netspec.cli.main import main\nsys.argv[0] = 'netspec'; main()\n"
    )
    command = ["compile", str(folder / "net.yaml"), "--to", "torch", "-o", "x.py", "--seed", "5", *more]
    done = subprocess.run(
        [sys.executable, "-c", program, *command], cwd=tmp_path, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    assert {p.name for p in tmp_path.iterdir()} == files
    assert ("torch, which is not installed" in done.stderr) == (not more)
    if not more:
        import torch
        from safetensors.torch import load_file

        module = netspec.load(folder / "net.yaml").to_torch(seed=5)
        state = load_file(tmp_path / "x.safetensors")
        assert list(state) and set(state) == set(module.state_dict())
        assert all(torch.equal(value, state[key]) for key, value in module.state_dict().items())


def test_no_weights_goes_with_source(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(folder)
    for line in ("--to onnx --no-weights", "--to torch --no-weights --weights w.npz"):
        assert cli.run(["compile", "net.yaml", *line.split()]) == 2
        assert "--no-weights" in capsys.readouterr().err
