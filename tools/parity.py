"""Loads a checkpoint of every torchvision and timm model that a target names; writes the table of docs/parity.md.

The comparison is tests/test_checkpoints.py; what it measures is taken from its report. With names of networks as
arguments it compares these alone, and leaves the other rows of the table as they are.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ET
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TEST = "test_a_checkpoint_gives_the_outputs_of_its_library"

MARKS = re.compile(r"(<!-- parity: .*? -->\n).*?(<!-- /parity -->)", re.DOTALL)
ROW = re.compile(r"^\| `(\w+)` \| \S+ \| (.*)$", re.MULTILINE)
HEAD = """\
| network | model | tensors | PyTorch | onnxruntime | compared in |
| --- | --- | ---: | ---: | ---: | --- |
"""


def compared(variants: Sequence[str]) -> dict[str, str]:
    """Runs the comparison of these networks, or of all; gives rows of the table, or ends where a network differs."""
    tests = [f"tests/test_checkpoints.py::{TEST}[{v}]" for v in variants] or ["tests/test_checkpoints.py", "-k", TEST]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "parity.xml"
        command = [sys.executable, "-m", "pytest", "-q", "--slow", "--full-size", f"--junitxml={path}", *tests]
        if status := subprocess.run(command, cwd=ROOT).returncode:
            sys.exit(status)
        cases = list(ET.parse(path).getroot().iter("testcase"))
    found = {}
    for case in cases:
        name, _, variant = case.get("name", "").partition("[")
        if name == TEST:
            measured = {p.get("name"): p.get("value", "") for p in case.iter("property")}
            errors = " | ".join(f"{float(measured[name]):.0e}" for name in ("torch", "onnxruntime"))
            kind = "float64" if measured["float64"] == "True" else "float32"
            found[variant.rstrip("]")] = f"{measured['tensors']} | {errors} | {kind} |"
    return found


def main() -> None:
    """Writes the page; ends where a network with a checkpoint would have no row."""
    targets = json.loads((ROOT / "tests" / "data" / "targets.json").read_text(encoding="utf-8"))["targets"]
    checkpoints = {target["variant"]: target["checkpoint"] for target in targets if "checkpoint" in target}
    page = ROOT / "docs" / "parity.md"
    text = page.read_text(encoding="utf-8")
    kept = dict(ROW.findall(text.partition("<!-- /parity -->")[0])) if sys.argv[1:] else {}
    if missing := [v for v in checkpoints if sys.argv[1:] and v not in {*kept, *sys.argv[1:]}]:
        sys.exit(f"these have no row yet, name them too: {' '.join(missing)}")
    found = {**kept, **compared(sys.argv[1:])}
    table = HEAD + "".join(f"| `{v}` | {checkpoint} | {found[v]}\n" for v, checkpoint in checkpoints.items())
    page.write_text(MARKS.sub(lambda m: m[1] + table + m[2], text), encoding="utf-8")


if __name__ == "__main__":
    main()
