"""Compiles a network of each family for the runtimes of its table, runs it there, compares; writes docs/interop.md.

Each runtime has an environment of its own in .interop, which is made when it is missing. With names of families as
arguments these alone are compared, and the other rows of the page stay; `--runtime NAME` chooses runtimes, and then
prints and writes nothing. A run that fails or crashes is a row with its reason.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import venv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
ENVS = ROOT / ".interop"
RUNNER = ROOT / "tools" / "interop_runner.py"
PAGE = ROOT / "docs" / "interop.md"
sys.path.insert(0, str(ROOT / "tests"))

from parity import TARGETS, network, small, torch_outputs  # noqa: E402

from netspec.weights.sample_inputs import contrasting  # noqa: E402

BOUND = 1e-4
"""Largest difference from torch that passes, of the largest value of an output."""
SECONDS = 60
"""After so long a run is ended."""
MARKS = re.compile(r"(<!-- interop: .*? -->\n).*?(<!-- /interop -->)", re.DOTALL)
DATA = re.compile(r"^\| `([\w/]+)` \| (.*) \|$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Runtime:
    """A runtime: its preset of `--for`, and what pip installs for it."""

    preset: str
    packages: tuple[str, ...]
    runner: str


RUNTIMES = {
    "onnxruntime 1.32.0": Runtime("onnxruntime", ("onnxruntime==1.32.0",), "onnxruntime"),
    "OpenVINO 2026.4.1": Runtime("openvino", ("openvino==2026.4.1",), "openvino"),
    "MNN 3.6.1": Runtime("mnn", ("mnn==3.6.1",), "mnn"),
    "tract 0.23.9": Runtime("tract", ("tract==0.23.9",), "tract"),
    "OpenCV 5.0.0.93": Runtime("opencv", ("opencv-python-headless==5.0.0.93",), "opencv"),
}
"""By name and version, in the order of the columns."""


def python_of(name: str) -> Path:
    """The Python of a runtime's environment, which is made first where its packages are not there."""
    folder, packages = ENVS / name.lower().replace(" ", "-"), "\n".join(RUNTIMES[name].packages)
    python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    stamp = folder / "packages.txt"
    if not stamp.exists() or stamp.read_text(encoding="utf-8") != packages:
        venv.create(folder, clear=True, with_pip=True)
        pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*pip, "numpy", *RUNTIMES[name].packages], check=True)
        stamp.write_text(packages, encoding="utf-8")
    return python


def quoted(text: str) -> str:
    """A message as one line of a table: printable ASCII without marks of Markdown, nor folders of this machine."""
    line = re.sub(r"(/[\w.+-]+){2,}/", "", " ".join(text.split()))
    return re.sub(r"[^ -~]|[`|<>\\]", "'", line)[:160]


def reason(stderr: str, code: int) -> str:
    """Why a process failed: the last line that it wrote, or the signal that ended it."""
    lines = [line for line in stderr.splitlines() if line.strip()]
    if code < 0:
        return f"crashed with signal {-code}" + (f": {quoted(lines[-1])}" if lines else "")
    start = max((i for i, line in enumerate(lines) if re.match(r"[\w.]+: ", line)), default=-1)
    return quoted(" ".join(lines[start:])) if lines else f"ended with {code}"


def outcome(command: Sequence[str | Path], out: Path, expected: Sequence[np.ndarray], limit: float = SECONDS) -> str:
    """Runs a command that writes outputs; gives the largest error as a number, or the reason of its failure."""
    try:
        done = subprocess.run(
            [str(part) for part in command], capture_output=True, text=True, errors="replace", timeout=limit
        )
    except subprocess.TimeoutExpired:
        return f"no result within {limit:g} s"
    if done.returncode or not out.exists():
        return reason(done.stderr, done.returncode)
    with np.load(out) as file:
        found = [file[str(i)] for i in range(len(file.files))]
    if len(found) != len(expected):
        return f"gives {len(found)} outputs, not {len(expected)}"
    worst = 0.0
    for value, right in zip(found, expected, strict=True):
        if value.size != right.size:
            return f"gives the shape {value.shape}, not {right.shape}"
        error = float(np.abs(value.reshape(right.shape) - right).max() / max(float(np.abs(right).max()), 1e-12))
        worst = error if not error <= worst else worst
    return f"{worst:.0e}" if worst <= BOUND else f"differs by {worst:.0e}"


def measured(family: str, runtimes: Sequence[str]) -> list[tuple[str, str]]:
    """For each runtime what the file of its preset and the one of the default options give."""
    variant = next(name for name, target in TARGETS.items() if target["family"] == family)
    size = small(TARGETS[variant]["input"])
    net = network(variant) if "/" in family else network(variant, input=size)
    inputs = net.inference.inputs
    given = contrasting({n.path: n.shape for n in inputs}, {n.path: n.attrs.get("sample", "") for n in inputs}, 1, 0)
    expected = torch_outputs(net.to_torch(), *given.values())
    rows = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        np.savez(folder / "inputs.npz", **given)
        (folder / "outputs.txt").write_text("\n".join(net.inference.outputs), encoding="utf-8")
        for runtime in runtimes:
            chosen, cells = RUNTIMES[runtime], []
            for options in ({"for_": chosen.preset}, {}):
                model, out = folder / "model.onnx", folder / "out.npz"
                for old in (*folder.glob("model.*"), out):
                    old.unlink(missing_ok=True)
                try:
                    net.to_onnx(model, **options)
                except ValueError as e:
                    cells.append(f"not compiled: {quoted(str(e))}")
                    continue
                command = (python_of(runtime), RUNNER, chosen.runner, model, folder / "inputs.npz", out)
                cells.append(outcome(command, out, expected))
            rows.append((cells[0], cells[1]))
    return rows


def good(cell: str) -> bool:
    """Whether a cell is an error within the bound."""
    return bool(re.fullmatch(r"\de[-+]\d+", cell))


def rendered(rows: dict[str, str]) -> str:
    """The tables of the page, from the cells of each family, `preset; default` for each runtime."""
    lines = ["| family | " + " | ".join(RUNTIMES) + " |", "| --- |" + " --- |" * len(RUNTIMES)]
    lines += [f"| `{family}` | {cells} |" for family, cells in sorted(rows.items())]
    return "\n".join(lines) + "\n"


def cell(pair: tuple[str, str]) -> str:
    """A cell of the table: the two errors, or the reasons."""
    both = [text if good(text) else f"**no**: {text}" for text in pair]
    return both[0] if both[0] == both[1] else f"{both[0]}; default: {both[1]}"


def main() -> None:
    """Reads the command line; writes the page after each family, so that what was measured stays."""
    families = sorted({target["family"] for target in TARGETS.values()})
    parser = argparse.ArgumentParser(prog="tools/dev interop", description=__doc__)
    parser.add_argument("families", nargs="*", metavar="FAMILY", help="those to compare; all by default")
    parser.add_argument("--runtime", action="append", choices=RUNTIMES, help="try this one and write nothing")
    args = parser.parse_args()
    if unknown := sorted(set(args.families) - set(families)):
        parser.error(f"no family {json.dumps(unknown[0])}")
    text = PAGE.read_text(encoding="utf-8")
    rows = dict(DATA.findall(text))
    for family in args.families or families:
        found = measured(family, args.runtime or list(RUNTIMES))
        print(family, *map(cell, found), sep=" | ", flush=True)
        if not args.runtime:
            rows[family] = " | ".join(map(cell, found))
            table = rendered(rows)
            page = PAGE.read_text(encoding="utf-8")
            start, end = MARKS.search(page).span()
            opening, closing = MARKS.search(page).groups()
            PAGE.write_text(page[:start] + opening + table + closing + page[end:], encoding="utf-8")


if __name__ == "__main__":
    main()
