"""Measures which passes pay in which runtime, and writes the table of `-O2` in netspec/passes/runtimes.py.

Each pass is tried on networks that it changes by `netspec tune`, on one thread. Run it on a quiet machine.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TABLE = ROOT / "netspec" / "passes" / "runtimes.py"
NETWORKS = {
    "merge_branches": ("repvgg_a0",),
    "pool_first": ("densenet121",),
    "merge_siblings": ("googlenet", "inception_v3"),
    "concat_as_sum": ("squeezenet", "googlenet"),
    "lrn_as_conv": ("googlenet", "alexnet"),
    "hard_swish_as_mul": ("mobilenet_v3_large",),
    "fill_blocks": ("shufflenet_v2_x1_0", "regnet_y_400mf"),
    "widen_groups": ("resnext50_32x4d", "regnet_y_400mf"),
    "winograd": ("vgg16",),
}
"""Networks of each pass; of the forms of ResNeXt that `group_branches` turns into the third, none is shipped."""
RUNTIMES = ("onnxruntime", "torch", "torch:channels_last", "torch:compile")
SLOWER = {"torch:compile": 4}
"""How many times as long a runtime gets, which compiles each network that it runs three times."""


def measured(runtime: str, name: str, network: str, seconds: float, folder: Path) -> str | None:
    """The figure of a pass and a network in the table; None where the time is over before there is one."""
    command = [sys.executable, "-m", "netspec", "tune", network, "--target", runtime, "--try", name, "--threads", "1"]
    longer = str(seconds * SLOWER.get(runtime, 1))
    more = ["--seconds", longer, "-f", "json", "-q", "-o", str(folder / "profile.json")]
    found = subprocess.run([*command, *more], cwd=ROOT, capture_output=True, text=True, check=True)
    row = next(row for row in json.loads(found.stdout) if row["where"] == "everywhere")
    if row["ratio"] is None:
        print(f"{runtime} {name} {network}: {row['why']}", flush=True)
        return None
    return f'Figure({row["ratio"]:.3f}, {row["noise"]:.3f}, "{network}")'


def lines_of(runtime: str, figures: Mapping[str, Sequence[str]]) -> list[str]:
    """The lines of a runtime in the table."""
    rows = [f'        "{name}": ({", ".join(own)}{"," * (len(own) == 1)}),' for name, own in figures.items() if own]
    return [f'    "{runtime}": {{', *rows, "    },"] if rows else [f'    "{runtime}": {{}},']


def as_before(table: str, runtime: str) -> list[str]:
    """The lines of a runtime that is not measured now."""
    found = re.search(rf'^    "{re.escape(runtime)}": \{{(?:\}},|.*?^    \}},)$', table, re.MULTILINE | re.DOTALL)
    return found[0].splitlines() if found else lines_of(runtime, {})


def main() -> int:
    """Measures, and writes or prints the table."""
    parser = argparse.ArgumentParser(prog="tools/dev pays", description=__doc__)
    parser.add_argument("--seconds", type=float, default=40, help="for each pass and network in each runtime")
    parser.add_argument("--write", action="store_true", help="put the table into its module")
    parser.add_argument(
        "--runtimes", default=",".join(RUNTIMES), help="these alone, with commas; others stay as they are"
    )
    asked = parser.parse_args()
    chosen = asked.runtimes.split(",")
    if unknown := [name for name in chosen if name not in RUNTIMES]:
        parser.error(f"there is no runtime {unknown[0]}; known: {', '.join(RUNTIMES)}")
    before = TABLE.read_text(encoding="utf-8")
    lines = []
    with tempfile.TemporaryDirectory() as folder:
        for runtime in RUNTIMES:
            if runtime not in chosen:
                lines += as_before(before, runtime)
                continue
            figures: dict[str, list[str]] = {}
            for name, networks in NETWORKS.items():
                each = (measured(runtime, name, network, asked.seconds, Path(folder)) for network in networks)
                figures[name] = [figure for figure in each if figure is not None]
                print(runtime, name, *figures[name], flush=True)
            lines += lines_of(runtime, figures)
    if asked.write:
        head = "MEASURED: dict[str, dict[str, tuple[Figure, ...]]] = {\n"
        after = re.sub(
            rf"(?<={re.escape(head)}).*?(?=^\}}$)", "\n".join(lines) + "\n", before, count=1, flags=re.S | re.M
        )
        TABLE.write_text(after, encoding="utf-8")
        subprocess.run([sys.executable, ROOT / "tools" / "docs.py", "docs/tune.md"], check=True)
    return 0


if __name__ == "__main__":
    os.environ["PYTHONPATH"] = os.pathsep.join([str(ROOT), str(ROOT / "backends"), os.environ.get("PYTHONPATH", "")])
    sys.exit(main())
