"""The peak memory of whole `netspec compile` processes, against what the weights allow; `tools/dev bench --memory`."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from bench import machine

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "benchmarks.md"
BEGIN, END = "<!-- memory: begin -->", "<!-- memory: end -->"
MB = 10**6
LARGE = """\
netspec: 1
name: large
input: [10000, 1, 1]
body:
  - flatten
  - linear: 10000
    repeat: 8
"""
HIDDEN = "import sys; sys.modules['torch'] = None; from netspec.cli.main import main; main()"


@dataclass(frozen=True)
class Network:
    """A network by the spec's name, with the sizes that the bounds are made of."""

    spec: str
    weights: int
    """Bytes."""
    largest: int
    """Bytes of its largest tensor."""


NETWORKS = [Network("vgg_d", 4 * 138_357_544, 4 * 25_088 * 4096), Network("large", 4 * 8 * 10_001 * 10_000, 4 * 10**8)]


@dataclass(frozen=True)
class Way:
    """How a network is written."""

    name: str
    options: tuple[str, ...]
    suffix: str
    torch: bool = True
    """Whether torch can be imported."""

    def bound(self, net: Network) -> float:
        """The most bytes that the process may take."""
        if self.name == "one-file ONNX":
            return net.weights + 300 * MB
        return 2 * net.weights + 500 * MB if self.name == ".pth" else 1.3 * net.largest + 300 * MB


WAYS = [
    Way("one-file ONNX", ("--to", "onnx", "--no-external-data"), ".onnx"),
    Way("ONNX with external data", ("--to", "onnx", "--external-data"), ".onnx"),
    Way(".safetensors", ("--to", "torch"), ".py", torch=False),
    Way(".pth", ("--to", "torch"), ".py"),
]


def peak(command: list[str], folder: Path) -> int:
    """The most memory that a process had, in bytes; ends the measurement if it fails."""
    # What glibc is told to keep (tools/dev test does so) is no memory that the work needs.
    environment = {k: v for k, v in os.environ.items() if not k.startswith("MALLOC_")}
    process = subprocess.Popen(command, cwd=folder, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    assert process.stderr is not None
    said = process.stderr.read().decode(errors="replace")
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    process.stderr.close()
    if process.returncode:
        sys.exit(f"{' '.join(command)} failed:\n{said[-2000:]}")
    return usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def measure(networks: list[Network], folder: Path) -> Iterator[tuple[str, str, str, int, float]]:
    """Network, how it is written, where its weights are from, peak and bound in bytes."""
    (folder / "large.yaml").write_text(LARGE, encoding="utf-8")
    for net in networks:
        spec = f"{net.spec}.yaml" if net.spec == "large" else net.spec
        kept: dict[str, Path] = {}
        for source in ("a seed", ".safetensors", ".pth"):
            for way in reversed(WAYS):
                if way.name == "one-file ONNX" and net.weights > 2 * 10**9:
                    continue  # more than a message of protobuf can hold
                target = folder / f"out{way.suffix}"
                start = [sys.executable, *(["-m", "netspec"] if way.torch else ["-c", HIDDEN])]
                if source == ".pth" and not way.torch:
                    continue
                weights = [] if source == "a seed" else ["--weights", str(kept[source])]
                taken = peak([*start, "compile", spec, *way.options, "-o", str(target), *weights], folder)
                yield net.spec, way.name, source, taken, way.bound(net)
                for path in folder.glob("out.*"):
                    if source == "a seed" and path.suffix in (".pth", ".safetensors"):
                        kept[path.suffix] = path.rename(folder / f"weights{path.suffix}")
                    else:
                        path.unlink()
        for path in kept.values():
            path.unlink()


def main() -> int:
    """Reads the command line; ends with 1 where a process took more than it may."""
    parser = argparse.ArgumentParser(prog="tools/dev bench --memory", description=__doc__)
    parser.add_argument("--network", choices=[net.spec for net in NETWORKS], help="this one alone")
    parser.add_argument("--write", action="store_true", help="put the table into docs/benchmarks.md")
    args = parser.parse_args()
    networks = [net for net in NETWORKS if args.network in (None, net.spec)]
    rows, over = [], 0
    with tempfile.TemporaryDirectory() as folder:
        for net, way, source, taken, bound in measure(networks, Path(folder)):
            rows.append(f"| {net} | {way} | {source} | {taken / MB:,.0f} MB | {bound / MB:,.0f} MB |")
            print(rows[-1], flush=True)
            over += taken > bound
    table = "\n".join(
        [
            machine(),
            "",
            "| network | written as | weights from | peak | at most |",
            "| --- | --- | --- | ---: | ---: |",
            *rows,
        ]
    )
    if args.write:
        head, rest = PAGE.read_text(encoding="utf-8").split(BEGIN)
        PAGE.write_text(f"{head}{BEGIN}\n\n{table}\n\n{END}{rest.split(END)[1]}", encoding="utf-8")
    return bool(over)


if __name__ == "__main__":
    sys.exit(main())
