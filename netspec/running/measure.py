"""How long a run takes, how much memory it adds, and what the machine could do at most."""

from __future__ import annotations

import re
import statistics
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from netspec.expressions.identifiers import Path as StepPath
from netspec.ir.graph import Graph, Node, Output, Ref
from netspec.ops import OPS, Tensor
from netspec.running.ports import Value
from netspec.running.ways import Prepared, Prepares, Way

SIDES = {"cpu": 1024, "cuda": 8192}
"""Rows and columns of the matrices whose product is the peak, by device."""


@dataclass(frozen=True, slots=True)
class Times:
    """The times of runs, in milliseconds."""

    all: Sequence[float]

    @property
    def median(self) -> float:
        """The time that half of the runs are within."""
        return statistics.median(self.all)

    @property
    def quartiles(self) -> tuple[float, float]:
        """The times that a quarter and three quarters of the runs are within; of one run twice its time."""
        if len(self.all) < 2:
            return self.all[0], self.all[0]
        low, _, high = statistics.quantiles(self.all, n=4, method="inclusive")
        return low, high


@dataclass
class Memory:
    """The resident memory that something adds to the process at its peak, in bytes; None where no system tells."""

    added: int | None = field(default=None)


@contextmanager
def memory() -> Iterator[Memory]:
    """Measures what is done inside, by the peak that Linux keeps for a process and lets it begin anew."""
    found = Memory()
    try:
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # proc_pid_clear_refs(5): resets VmHWM
        before = _resident("VmRSS")
    except OSError:
        before = None
    yield found
    after = _resident("VmHWM") if before is not None else None
    if before is not None and after is not None:
        found.added = max(0, after - before)


def is_told() -> bool:
    """Whether the system tells the memory of a process, as Linux does."""
    return Path("/proc/self/clear_refs").exists()


def _resident(key: str) -> int | None:
    """A line of /proc/self/status, in bytes."""
    found = re.search(rf"^{key}:\s+(\d+) kB$", Path("/proc/self/status").read_text(encoding="ascii"), re.MULTILINE)
    return 1024 * int(found[1]) if found else None


def measure(prepared: Prepared, inputs: Mapping[str, Value], warmup: int, repeat: int) -> Times:
    """The times of a network that is ready to run."""
    return Times(prepared.time(inputs, warmup, repeat))


def peak(backend: Prepares, way: Way) -> float:
    """Multiply-accumulates in a second of a product of two square matrices: the fastest of nine, the same way."""
    side = SIDES.get(way.device, SIDES["cpu"])
    return float(side**3 / (min(product(backend, way, side, 9)) / 1000))


def product(backend: Prepares, way: Way, side: int, repeat: int) -> Sequence[float]:
    """The times of a product of two square matrices, in milliseconds."""
    graph = _product(side)
    rng = np.random.default_rng(0)
    weight, entering = (rng.standard_normal((side, side), np.float32) for _ in range(2))
    prepared = backend.prepare(graph, {"product.weight": weight}, way)
    return prepared.time({"input": entering}, 3, repeat)


def _product(side: int) -> Graph:
    """A network that is one linear layer without a bias."""
    made: dict[str, Node] = {}
    steps: Sequence[tuple[str, str, tuple[Ref, ...], Mapping[str, object]]] = (
        ("input", "input", (), {"shape": ("N", side)}),
        ("product", "linear", (Ref("input"),), {"out": side, "bias": False}),
    )
    for path, op, reads, attrs in steps:
        result = OPS[op].infer([Tensor(made[ref.node].shapes[ref.out]) for ref in reads], attrs)
        made[path] = Node(StepPath(path), op, reads, result.attrs, result, StepPath(path))
    return Graph("product", made, {"output": Output(Ref("product"))}).check()
