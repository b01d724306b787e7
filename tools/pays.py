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
    "widen_groups": ("resnext50_32x4d", "regnet_y_400mf"),
}
"""Networks of each pass; of the forms of ResNeXt that `group_branches` turns into the third, none is shipped."""
RUNTIMES = ("onnxruntime", "torch", "torch:channels_last")


def measured(runtime: str, name: str, network: str, seconds: float, folder: Path) -> str:
    """The figure of a pass and a network in the table."""
    command = [sys.executable, "-m", "netspec", "tune", network, "--target", runtime, "--try", name, "--threads", "1"]
    more = ["--seconds", str(seconds), "-f", "json", "-q", "-o", str(folder / "profile.json")]
    found = subprocess.run([*command, *more], cwd=ROOT, capture_output=True, text=True, check=True)
    row = next(row for row in json.loads(found.stdout) if row["where"] == "everywhere")
    return f'Figure({row["ratio"]:.3f}, {row["noise"]:.3f}, "{network}")'


def main() -> int:
    """Measures, and writes or prints the table."""
    parser = argparse.ArgumentParser(prog="tools/dev pays", description=__doc__)
    parser.add_argument("--seconds", type=float, default=40, help="for each pass and network in each runtime")
    parser.add_argument("--write", action="store_true", help="put the table into its module")
    asked = parser.parse_args()
    lines = []
    with tempfile.TemporaryDirectory() as folder:
        for runtime in RUNTIMES:
            lines.append(f'    "{runtime}": {{')
            for name, networks in NETWORKS.items():
                found = [measured(runtime, name, network, asked.seconds, Path(folder)) for network in networks]
                lines.append(f'        "{name}": ({", ".join(found)}{"," * (len(found) == 1)}),')
                print(runtime, lines[-1].strip(), flush=True)
            lines.append("    },")
    lines.append('    "torch:compile": {},')
    if asked.write:
        before = TABLE.read_text(encoding="utf-8")
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
