"""What a command does not need it does not import: asserted on sys.modules of a new process."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
GOOGLENET = str(ROOT / "specs" / "googlenet.yaml")
FRAMEWORKS = {"torch", "onnx", "onnx_ir", "onnxruntime", "netspec_torch", "netspec_onnx"}

# Modules go to a file, as a command may print to both streams.
PROGRAM = """
import json, sys
target, lines = sys.argv[1], json.loads(sys.argv[2])
status = 0
import netspec
for line in lines:
    from netspec.cli.main import main
    sys.argv = ["netspec", *line]
    try:
        status = status or main()
    except SystemExit as end:
        status = status or end.code
with open(target, "w", encoding="utf-8") as file:
    json.dump(sorted(sys.modules), file)
sys.exit(status)
"""


def imported(folder: Path, *lines: list[str]) -> set[str]:
    """The top-level modules that command lines import, one after the other; with none, those of `import netspec`."""
    target = folder / "modules.json"
    command = [sys.executable, "-c", PROGRAM, str(target), json.dumps(lines)]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return {name.partition(".")[0] for name in json.loads(target.read_text(encoding="utf-8"))}


def test_import_netspec_is_light(tmp_path: Path) -> None:
    heavy = {"numpy", "networkx", "jsonschema", "yaml", "click", "rich", *FRAMEWORKS}
    assert not imported(tmp_path) & heavy


def test_check_imports_no_framework_and_no_arrays(tmp_path: Path) -> None:
    found = imported(tmp_path, ["check", GOOGLENET])
    assert not found & {"numpy", "rich", "networkx", "jsonschema", *FRAMEWORKS}
    assert {"netspec", "yaml", "click"} <= found  # the command did its work in the process that was looked at


@pytest.mark.slow
def test_looking_at_a_spec_imports_no_framework(tmp_path: Path) -> None:
    """Commands in one process: what none of them leaves in sys.modules, each leaves out."""
    looks = [
        ["summary", GOOGLENET],
        ["draw", GOOGLENET, "-o", "g.svg"],
        ["list", "specs"],
        ["list", "blocks"],
        ["list", "ops"],
        ["--help"],
    ]
    found = imported(tmp_path, *looks)
    assert not found & FRAMEWORKS and "pygraphviz" in found


@pytest.mark.slow
def test_compile_to_onnx_never_imports_torch(tmp_path: Path) -> None:
    found = imported(tmp_path, ["compile", GOOGLENET, "--to", "onnx", "-o", "g.onnx"])
    assert not found & {"torch", "netspec_torch", "onnxruntime", "networkx"}
    assert {"onnx", "netspec_onnx"} <= found


def test_help_imports_no_command(tmp_path: Path) -> None:
    """The list of commands stands in rows, and none of them is imported to print it."""
    found = imported(tmp_path, ["--help"])
    assert "click" in found and not found & {"numpy", "networkx", "yaml", "jsonschema", "rich", *FRAMEWORKS}


@pytest.mark.slow
def test_json_needs_no_arrays_and_no_backend(tmp_path: Path) -> None:
    found = imported(tmp_path, ["compile", GOOGLENET, "--to", "json", "-o", "g.json"])
    assert (tmp_path / "g.json").exists() and not found & {"numpy", *FRAMEWORKS}


@pytest.mark.slow
def test_source_without_weights_needs_no_arrays(tmp_path: Path) -> None:
    found = imported(tmp_path, ["compile", GOOGLENET, "--to", "torch", "--no-weights", "-o", "g.py"])
    assert "netspec_torch" in found and not found & {"numpy", "torch", "netspec_onnx"}
