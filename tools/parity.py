"""Loads a checkpoint of every torchvision and timm model that a target names; writes the table of docs/parity.md.

The comparison is tests/test_checkpoints.py; what it measures is taken from its report. With a report as argument, that.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ET
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TEST = "test_a_checkpoint_gives_the_outputs_of_its_library"

MARKS = re.compile(r"(<!-- parity: .*? -->\n).*?(<!-- /parity -->)", re.DOTALL)
HEAD = """\
| network | model | tensors | PyTorch | onnxruntime | compared in |
| --- | --- | ---: | ---: | ---: | --- |
"""


def report() -> Path:
    """Runs the comparison; gives pytest's report, or ends where a network differs."""
    path = Path(tempfile.mkdtemp()) / "parity.xml"
    command = [sys.executable, "-m", "pytest", "-q", "--slow", "--full-size", "-k", TEST, f"--junitxml={path}"]
    if status := subprocess.run([*command, "tests/test_checkpoints.py"], cwd=ROOT).returncode:
        sys.exit(status)
    return path


def rows(path: Path) -> list[str]:
    """The rows of the table, in the order of the targets; ends where a target is missing."""
    targets = json.loads((ROOT / "tests" / "data" / "targets.json").read_text(encoding="utf-8"))["targets"]
    found = {}
    for case in ET.parse(path).getroot().iter("testcase"):
        name, _, variant = case.get("name", "").partition("[")
        if name == TEST and case.find("failure") is None and case.find("error") is None:
            found[variant.rstrip("]")] = {p.get("name"): p.get("value", "") for p in case.iter("property")}
    lines = []
    for target in targets:
        if "checkpoint" in target:
            if target["variant"] not in found:
                sys.exit(f"{target['variant']} was not compared")
            measured = found[target["variant"]]
            errors = " | ".join(f"{float(measured[name]):.0e}" for name in ("torch", "onnxruntime"))
            kind = "float64" if measured["float64"] == "True" else "float32"
            name = f"`{target['variant']}` | {target['checkpoint']}"
            lines.append(f"| {name} | {measured['tensors']} | {errors} | {kind} |")
    return lines


def main() -> None:
    """Writes the page."""
    lines = rows(Path(sys.argv[1]) if len(sys.argv) > 1 else report())
    page = ROOT / "docs" / "parity.md"
    table = HEAD + "\n".join(lines) + "\n"
    page.write_text(MARKS.sub(lambda m: m[1] + table + m[2], page.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
