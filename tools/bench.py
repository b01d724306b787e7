"""Times netspec: whole processes as a user waits for them, its files in onnxruntime, its modules in PyTorch.

What is compared runs in turn, so that a slow minute of the machine is slow for all of it. `tools/dev bench` prints the
tables of all parts, of --parts alone; `--write` puts each into its place in docs/benchmarks.md. `--against REVISION`
times the working tree and another revision instead.
"""

from __future__ import annotations

import argparse
import os
import platform
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from importlib.metadata import packages_distributions, version
from pathlib import Path

import bench_int8
import bench_models
import bench_modules
import bench_processes as processes

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "benchmarks.md"


@dataclass(frozen=True)
class Asked:
    """How often, and for how long, something is timed, and where files may stand."""

    rounds: int
    exports: int
    seconds: float
    tuning: float
    folder: Path


@dataclass(frozen=True)
class Part:
    """What measures a part, and about how many minutes it takes on two cores."""

    measure: Callable[[Asked], Iterable[str]]
    minutes: float


def _fast(measure: Callable[[int, Path], str]) -> Callable[[Asked], Iterable[str]]:
    return lambda asked: (measure(asked.rounds, asked.folder) for _ in range(1))


def _slow(measure: Callable[[int, Path], str]) -> Callable[[Asked], Iterable[str]]:
    return lambda asked: (measure(asked.exports, asked.folder) for _ in range(1))


def _calls(measure: Callable[[float, Path], Iterable[str]]) -> Callable[[Asked], Iterable[str]]:
    return lambda asked: measure(asked.seconds, asked.folder)


PARTS = {
    "check": Part(_fast(processes.checking), 0.2),
    "floor": Part(_fast(processes.against_floor), 1),
    "exporter": Part(_slow(processes.against_exporter), 3),
    "otherwise": Part(_slow(processes.otherwise), 1),
    "sessions": Part(_calls(bench_models.sessions), 2),
    "latency": Part(lambda asked: bench_models.latency(asked.seconds, asked.folder, asked.tuning), 6),
    "levels": Part(lambda asked: bench_models.levels(asked.seconds, asked.folder, asked.tuning), 1),
    "int8": Part(_calls(bench_int8.int8), 2.5),
    "modules": Part(_calls(bench_modules.eager), 2),
    "training": Part(_calls(bench_modules.training), 8),
    "modules-O2": Part(_calls(bench_modules.optimised), 1.5),
    "modules-compiled": Part(_calls(bench_modules.compiled), 5),
    "drawing": Part(lambda asked: processes.drawing(asked.rounds, asked.folder), 2.5),
}
"""In the order of the page."""
OF_FILES = ("sessions", "latency")
"""Parts that share the files that they run."""


LIBRARIES = ("numpy", "onnx", "onnxruntime", "onnxscript", "torch", "torchvision", "timm")


def _version(package: str) -> str:
    """Of an installed library, under whatever name it was installed: onnxruntime has several."""
    (name,) = packages_distributions()[package][:1]
    return version(name)


def machine(cpu: bool = False) -> str:
    """The machine and the versions that the numbers hold for."""
    name = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        lines = info.read_text(encoding="utf-8").splitlines()
        name = next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), name)
    packages = ", ".join(f"{package} {_version(package)}" for package in LIBRARIES)
    threads = f" OMP_NUM_THREADS={os.environ['OMP_NUM_THREADS']}." if "OMP_NUM_THREADS" in os.environ else ""
    load = f", load average {os.getloadavg()[0]:.1f} at the end" if hasattr(os, "getloadavg") else ""
    return (
        f"Measured {time.strftime('%Y-%m-%d')} on {name}, {os.cpu_count()} cores{load}, {platform.system()}, "
        f"Python {platform.python_version()}, {packages}.{threads}{' Processor time.' * cpu}"
    )


def main() -> None:
    """Reads the command line."""
    listed = "; ".join(f"{name} {part.minutes:g} min" for name, part in PARTS.items())
    parser = argparse.ArgumentParser(prog="tools/dev bench", description=__doc__)
    parser.add_argument("--parts", metavar="A,B", help=f"these parts alone, in their order: {listed}")
    parser.add_argument("--write", action="store_true", help="put the tables into docs/benchmarks.md")
    parser.add_argument(
        "--against", metavar="REVISION", help="time this revision and that one in turn, and large specs"
    )
    parser.add_argument("--cpu", action="store_true", help="processor time, where others use the machine too")
    parser.add_argument("--rounds", type=int, default=11, help="rounds of the fast processes (11)")
    parser.add_argument("--exports", type=int, default=3, help="rounds of PyTorch's exporters (3)")
    parser.add_argument("--seconds", type=float, default=2, help="for each row of what is run in one process (2)")
    parser.add_argument("--tune", type=float, default=6, help="for each `netspec tune` of a latency (6); 0: none")
    args = parser.parse_args()
    names = args.parts.split(",") if args.parts else list(PARTS)
    if unknown := [name for name in names if name not in PARTS]:
        parser.error(f"there is no part '{unknown[0]}'; known: {', '.join(PARTS)}")
    with tempfile.TemporaryDirectory() as kept:
        asked = Asked(args.rounds, args.exports, args.seconds, args.tune, Path(kept))
        if args.against:
            report("against", processes.revisions(args.against, args.rounds, Path(kept)), args)
            return
        for name in (name for name in PARTS if name in names):
            report(name, PARTS[name].measure(asked), args)
            if name not in OF_FILES:
                for path in Path(kept).iterdir():
                    path.unlink()


def report(name: str, found: Iterable[str], args: argparse.Namespace) -> None:
    """Prints the tables of a part, as they are measured, and with --write puts them into the page."""
    begun, tables = time.monotonic(), []
    for table in found:
        print(f"\n{table}", flush=True)
        tables.append(table)
    head = machine(args.cpu)
    print(f"\n{name}: {(time.monotonic() - begun) / 60:.1f} minutes\n{head}", flush=True)
    if args.write:
        write(name, "\n\n".join((head, *tables)))


def write(part: str, text: str) -> None:
    """Puts tables between the marks of a part of the page."""
    page = PAGE.read_text(encoding="utf-8")
    begin, end = f"<!-- {part}: begin -->", f"<!-- {part}: end -->"
    if page.count(begin) != 1 or page.count(end) != 1:
        sys.exit(f"{PAGE.name} has no place {begin} ... {end}")
    head, rest = page.split(begin)
    PAGE.write_text(f"{head}{begin}\n\n{text}\n\n{end}{rest.split(end)[1]}", encoding="utf-8")


if __name__ == "__main__":
    main()
