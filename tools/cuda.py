"""Measures on a GPU of NVIDIA in at most eight minutes, without a network: `tools/dev cuda --wheels DIR`.

Parts run in the order of their worth, each in a process of its own with a time limit; what was measured before a limit
counts. What has no library, provider or time is a row "not run". The page is docs/benchmarks-cuda.md, which stays as it
is where nothing ran. DIR has the wheels of
`pip wheel -w DIR ".[cuda,torch]" torchvision pytest hypothesis hatchling editables "tensorrt<11"`, run where there is a
network by a Python of the same version; installing them is in the eight minutes. Without --wheels the environment is
used as it is.
`--device cpu --tiny` rehearses all parts.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import signal
import subprocess
import sys
import tempfile
import time
import venv
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from cuda_parts import PARTS, WARM_UP, Asked, Row

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "benchmarks-cuda.md"
MINUTES = 8.0


def run_part(name: str, asked: Asked, seconds: float) -> list[Row]:
    """The rows that a part gives within so many seconds; what it lacks is a row "not run"."""
    command = [sys.executable, str(Path(__file__).resolve()), "--worker", name, "--device", asked.device]
    command += ["--tiny"] * asked.tiny
    paths = os.pathsep.join(filter(None, (str(ROOT), str(ROOT / "backends"), os.environ.get("PYTHONPATH"))))
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
        process = subprocess.Popen(
            command, stdout=out, stderr=err, env=os.environ | {"PYTHONPATH": paths}, start_new_session=True
        )
        why = ""
        try:
            if process.wait(seconds):
                err.seek(0)
                why = (err.read().strip().splitlines() or [f"exit code {process.returncode}"])[-1][:300]
        except subprocess.TimeoutExpired:
            why = f"its {seconds:.0f} s were over"
        finally:  # of a Control-C too, which does not reach a session of its own
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
        out.seek(0)
        rows = [json.loads(line) for line in out if line.startswith("{") and line.endswith("}\n")]
    return [*rows, *([{"what": "the rest" if rows else name, "not run": why}] if why else [])]


def table(rows: list[Row]) -> str:
    """A Markdown table of the rows."""
    if any("result" in row for row in rows):
        lines = (row.get("result") or f"{row.get('what')}: not run: {row.get('not run')}" for row in rows)
        return "\n".join(f"- {line}" for line in lines)
    lines = [
        "| network | batch | type | | median | least to most | images a second |",
        "| --- | ---: | --- | --- | ---: | ---: | ---: |",
    ]
    for row in rows:
        cells = [str(row.get(key, "")) for key in ("network", "batch", "type", "what")]
        if "not run" in row:
            cells += ["not run", str(row["not run"]).replace("|", "/"), ""]
        else:
            cells += [f"{row['ms']:.2f} ms", f"{row['least']:.2f} to {row['most']:.2f} ms", f"{row['images']:,.0f}"]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def gpu() -> str:
    """The GPU and its driver, as nvidia-smi names them; empty where it names none."""
    query = ["nvidia-smi", "--query-gpu=name,driver_version", "--format=csv,noheader"]
    try:
        return subprocess.run(query, capture_output=True, text=True, check=True).stdout.splitlines()[0].strip()
    except (OSError, subprocess.CalledProcessError, IndexError):
        return ""


def device_name(device: str) -> str:
    """What the machine says of its device."""
    if device == "cpu":
        return f"a CPU ({platform.machine()}, {os.cpu_count()} cores): a rehearsal, whose figures say nothing of a GPU"
    return gpu() or "no GPU that nvidia-smi names"


def ran(rows: list[Row]) -> bool:
    """Whether a GPU was measured, or passed tests, some of which need none."""
    return any("ms" in row for row in rows) or bool(gpu()) and any(" passed" in str(row.get("result")) for row in rows)


def versions() -> str:
    """The libraries that the figures hold for."""
    names = ("netspec-compiler", "torch", "torchvision", "onnxruntime-gpu", "tensorrt", "numpy")
    found = []
    for name in names:
        try:
            found.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            found.append(f"no {name}")
    return ", ".join(found)


def measure(names: list[str], asked: Asked, minutes: float, spent: float) -> tuple[str, list[Row]]:
    """Runs the parts until the time is over, of which so many seconds are spent; gives the page, and all rows."""
    end, found = time.monotonic() + 60 * minutes - spent, list[Row]()
    texts = [
        "# Benchmarks on a GPU",
        f"By `tools/dev cuda`, {time.strftime('%Y-%m-%d')}, on {device_name(asked.device)}; "
        f"Python {platform.python_version()}, {versions()}. Random weights; medians after {WARM_UP} runs to warm up, "
        "inputs and outputs on the device.",
    ]
    for name in names:
        left = end - time.monotonic()
        over = [{"what": name, "not run": f"the {minutes:g} minutes were over"}]
        rows = run_part(name, asked, min(PARTS[name].seconds, left)) if left > 1 else over
        print(f"\n{name}: {60 * minutes - (end - time.monotonic()):.0f} s\n{table(rows)}", flush=True)
        texts += [f"## {PARTS[name].title}", table(rows)]
        found += rows
    return "\n\n".join(texts) + "\n", found


def done_by(end: float, command: list[str]) -> int:
    """The exit code of a command; one that is not done by then is ended, and what it was for will not be there."""
    try:
        return subprocess.run(command, timeout=max(0, end - time.monotonic())).returncode
    except subprocess.TimeoutExpired:
        print(f"{' '.join(command[:4])}: the time was over", file=sys.stderr)
        return 0


def environment(wheels: Path, end: float) -> Path:
    """The Python of an environment with what the wheels of a folder bring until then; no network is asked."""
    place = ROOT / ".venv-cuda"
    venv.create(place, with_pip=True, system_site_packages=True)
    python = place / "bin" / "python"
    pip = [str(python), "-m", "pip", "install", "--quiet", "--no-index", "--find-links", str(wheels)]
    for packages in (["hatchling", "editables"], ["--no-build-isolation", "--editable", f"{ROOT}[cuda]"]):
        if done_by(end, [*pip, *packages]):
            sys.exit(f"tools/dev cuda: {wheels} does not hold what netspec needs; pip says above what")
    for packages in (["torch", "torchvision"], ["pytest", "hypothesis"], ["tensorrt<11"]):
        if done_by(end, [*pip, *packages]):
            print(f"{' and '.join(packages)}: not in {wheels}; what needs them is not run", file=sys.stderr)
    return python


def arguments() -> argparse.Namespace:
    """What the command line asks for."""
    parser = argparse.ArgumentParser(
        prog="tools/dev cuda", description=(__doc__ or "").partition("\n\n")[0], allow_abbrev=False
    )
    parser.add_argument("--wheels", type=Path, metavar="DIR", help="install from the wheels in this folder first")
    parser.add_argument("--parts", default=",".join(PARTS), help=f"which, with commas: {', '.join(PARTS)} (all)")
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda")
    parser.add_argument("--tiny", action="store_true", help="small networks and batches, for a rehearsal")
    parser.add_argument("--minutes", type=float, default=MINUTES, help=f"when it ends ({MINUTES:g}, at most)")
    parser.add_argument("-o", "--output", type=Path, help="the page (docs/benchmarks-cuda.md, of a GPU alone)")
    parser.add_argument("--worker", choices=PARTS, help=argparse.SUPPRESS)
    parser.add_argument("--spent", type=float, default=0.0, help=argparse.SUPPRESS)  # seconds of the minutes
    args = parser.parse_args()
    if wrong := [name for name in args.parts.split(",") if name not in PARTS]:
        parser.error(f"there is no part '{wrong[0]}'; known: {', '.join(PARTS)}")
    if not 0 < args.minutes <= MINUTES:
        parser.error(f"--minutes is above 0 and at most {MINUTES:g}")
    for folder in filter(None, (args.wheels, args.output and args.output.parent)):
        if not folder.is_dir():
            parser.error(f"there is no folder {folder}")
    return args


def in_environment(args: argparse.Namespace) -> int:
    """The same in an environment of the wheels, in what is left of the time; gives the exit code."""
    begun = time.monotonic()
    python = environment(args.wheels.resolve(), begun + 60 * args.minutes)
    command = [str(python), __file__, "--parts", args.parts, "--device", args.device, *["--tiny"] * args.tiny]
    command += ["--minutes", str(args.minutes), *([f"--output={args.output}"] if args.output else [])]
    return subprocess.run([*command, "--spent", str(time.monotonic() - begun)]).returncode


def main() -> int:
    """Reads the command line."""
    args = arguments()
    asked = Asked(args.device, args.tiny)
    here = Path(__file__).resolve().parent
    sys.path[:] = [p for p in sys.path if Path(p).resolve() != here]  # NVIDIA's package `cuda` is not this file
    if args.worker:
        for row in PARTS[args.worker].measure(asked):
            print(json.dumps(row), flush=True)
        return 0
    if args.wheels:
        return in_environment(args)
    page, rows = measure(args.parts.split(","), asked, args.minutes, args.spent)
    if args.output:
        args.output.write_text(page, encoding="utf-8")
    elif args.device == "cuda" and ran(rows):
        PAGE.write_text(page, encoding="utf-8")
    elif args.device == "cuda":
        print(f"\nnothing ran on a GPU: docs/{PAGE.name} stays as it is", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
