"""Checks mutated specs: `netspec check` must end with errors or without, within its bounds, and never otherwise."""

from __future__ import annotations

import argparse
import hashlib
import io
import json
import multiprocessing
import os
import platform
import random
import re
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from fuzz_mutate import Mutator

ROOT = Path(__file__).resolve().parent.parent
CORPUS = ROOT / "tests" / "corpus"
STATE = ROOT / "build" / "fuzz" / "state.json"
FOLDERS = ("specs", "tests/good", "tests/bad", "tests/cases", "tests/corpus")
SECONDS, SECONDS_A_NODE, BYTES = 2.0, 150e-6, 512 * 2**20
START_UP = 0.35
"""CPU seconds that a process takes until it reads a spec, which an input that is checked in a warm process saves."""
BASE = 80 * 2**20
"""Bytes that a process holds before it reads a spec; to these comes by how much the peak of this one grows."""
HANGS = 60
"""CPU seconds after which an input has hung, whatever it does; where it takes none, twenty times as long."""
BATCH = 1_000
"""Inputs of one process, after which a fresh one goes on."""


@dataclass
class State:
    """What runs that add up have done."""

    seed: int = 0
    next: int = 0
    """The number of the next input; an input follows from the seed, its number and the files of the repository."""
    ended: dict[str, int] = field(default_factory=dict)
    """How many inputs ended with which exit code."""
    codes: dict[str, int] = field(default_factory=dict)
    """How many inputs had an error of which code."""
    found: dict[str, str] = field(default_factory=dict)
    """What was found: the file that is kept, and why."""
    seconds: float = 0
    runs: int = 0
    slowest: float = 0
    most_bytes: int = 0
    commits: list[str] = field(default_factory=list)


def files() -> list[Path]:
    """What is mutated, in the order of names."""
    return sorted(p for folder in FOLDERS for p in (ROOT / folder).rglob("*.yaml"))


def weights(texts: list[bytes]) -> list[float]:
    """Cheap files come more often: short ones, and those without many variants."""
    return [(200 + len(t) + 400 * t.count(b"expect")) ** -1.5 for t in texts]


class Inputs:
    """The inputs of a seed by number."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.texts = [p.read_bytes() for p in files()]
        self.weights = weights(self.texts)

    def __getitem__(self, number: int) -> bytes:
        rng = random.Random(f"{self.seed}:{number}")
        (text,) = rng.choices(self.texts, self.weights)
        return Mutator(rng, self.texts).mutate(text)


@dataclass
class Outcome:
    """What `netspec check` did with one input."""

    code: int
    said: str
    seconds: float
    nodes: int
    bytes: int

    @property
    def fault(self) -> str:
        """What is wrong with it; empty where all is well."""
        if self.code not in (0, 1):
            return f"exit code {self.code}: {_clip(self.said)}"
        if "Traceback" in self.said:
            return f"a traceback: {_clip(self.said)}"
        if self.code == 1 and not re.search(r"error\[NS\d+\]", self.said):
            return f"no error is named: {_clip(self.said)}"
        if self.seconds > SECONDS + SECONDS_A_NODE * self.nodes:
            return f"{self.seconds:.1f} s for {self.nodes} nodes"
        return f"{self.bytes / 2**20:.0f} MiB" if self.bytes > BYTES else ""


def _clip(text: str) -> str:
    return text if len(text) < 400 else text[:200] + " ... " + text[-200:]


def check(path: Path) -> Outcome:
    """Checks a file in this process."""
    from netspec.cli import main as cli
    from netspec.elaborate.graph_builder import GraphBuilder

    made = [0]
    node = GraphBuilder.node

    def counted(self: Any, *args: Any, **named: Any) -> Any:
        made[0] += 1
        return node(self, *args, **named)

    stderr, sys.stderr = sys.stderr, io.StringIO()
    GraphBuilder.node = counted  # type: ignore[method-assign]
    started, before = time.process_time(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    try:
        code = cli.run(["check", str(path)])
        said = sys.stderr.getvalue()
    finally:
        GraphBuilder.node, sys.stderr = node, stderr  # type: ignore[method-assign]
    seconds = time.process_time() - started
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    return Outcome(code, said, seconds, made[0], BASE + grown * 1024)


def check_alone(path: Path) -> Outcome:
    """Checks a file in a process of its own, start-up included; a hang is a fault of its own."""
    command = [sys.executable, __file__, "--one", str(path)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=20 * HANGS, cwd=ROOT)
    except subprocess.TimeoutExpired:
        return Outcome(-1, "it hangs", HANGS, 0, 0)
    try:
        return Outcome(**json.loads(done.stdout.splitlines()[-1]))
    except (IndexError, ValueError, TypeError):
        return Outcome(done.returncode or -1, done.stderr[-400:], 0, 0, 0)


def peak() -> int:
    """The most bytes that this program held; getrusage counts those of the process that started it too."""
    status = Path("/proc/self/status")
    row = re.search(r"VmHWM:\s*(\d+) kB", status.read_text()) if status.exists() else None
    return 1024 * (int(row[1]) if row else resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)


def one(path: Path) -> None:
    """Checks one file under hard limits, and prints what happened; the time is that of the whole process."""
    resource.setrlimit(resource.RLIMIT_AS, (3 * 2**30, 3 * 2**30))
    resource.setrlimit(resource.RLIMIT_CPU, (HANGS, HANGS))
    found = check(path)
    found.seconds = time.process_time()
    found.bytes = peak()
    print(json.dumps(asdict(found)))


def worker(seed: int, numbers: range, results: Connection) -> None:
    """Checks a batch of inputs, and sends back each one's outcome; what it begins is said before."""
    os.nice(5)
    resource.setrlimit(resource.RLIMIT_AS, (3 * 2**30, 3 * 2**30))
    inputs = Inputs(seed)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "mutated.yaml")
        for number in numbers:
            results.send((number, None))
            path.write_bytes(inputs[number])
            try:
                outcome = check(path)
            except BaseException as e:  # noqa: BLE001 - whatever comes out of it is what is looked for
                outcome = Outcome(-1, f"{type(e).__name__}: {e}", 0, 0, 0)
            results.send((number, outcome))


def answers(results: Connection, pid: int) -> bool:
    """Waits for a worker; False where it has hung. On a machine with much else to do it may only wait for its turn."""
    before = cpu_of(pid)
    return any(results.poll(HANGS) or cpu_of(pid) - before > HANGS for _ in range(20)) and results.poll(0)


def cpu_of(pid: int) -> float:
    """The CPU seconds that a process has taken, as far as the system says."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    except OSError:
        return 0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def batch(seed: int, numbers: range, until: float) -> Iterator[tuple[int, Outcome]]:
    """The outcomes of inputs in their order, from a fresh process; ends after the first that kills it or hangs."""
    ours, theirs = multiprocessing.Pipe(duplex=False)
    process = multiprocessing.get_context("spawn").Process(target=worker, args=(seed, numbers, theirs), daemon=True)
    process.start()
    theirs.close()
    number = numbers.start
    assert process.pid is not None
    try:
        while True:
            if not answers(ours, process.pid):
                yield number, Outcome(-1, "it hangs", HANGS, 0, 0)
                return
            number, outcome = ours.recv()
            if outcome is not None:
                yield number, outcome
                if time.monotonic() > until:
                    return
    except EOFError:
        if number + 1 < numbers.stop:
            yield number, Outcome(-1, f"the process ended: {process.exitcode}", 0, 0, 0)
    finally:
        process.kill()
        process.join()


def confirmed(text: bytes) -> tuple[str, float]:
    """The fault of an input, if it has it in a process of its own too, and its seconds beyond those of its nodes.

    Of three measurements of time the shortest counts.
    """
    shortest = float("inf")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "mutated.yaml")
        path.write_bytes(text)
        for _ in range(3):
            alone = check_alone(path)
            shortest = min(shortest, alone.seconds - SECONDS_A_NODE * alone.nodes)
            if not alone.fault or " s for " not in alone.fault:
                break
    return alone.fault, shortest


def kind(fault: str) -> str:
    """What faults of one cause have in common; of each three inputs are kept."""
    return re.sub(r"'[^'\n]*'|\d+", "", fault)[:120]


def keep(text: bytes, fault: str) -> Path:
    """Writes what was found into the corpus, which the tests replay."""
    CORPUS.mkdir(parents=True, exist_ok=True)
    path = CORPUS / f"{hashlib.sha256(text).hexdigest()[:12]}.yaml"
    path.write_bytes(text)
    print(f"fuzz: {path.relative_to(ROOT)}: {fault}", flush=True)
    return path


def take(state: State, inputs: Inputs, number: int, outcome: Outcome) -> None:
    """Counts one outcome."""
    state.next = max(state.next, number + 1)
    state.ended[str(outcome.code)] = state.ended.get(str(outcome.code), 0) + 1
    for code in set(re.findall(r"error\[(NS\d+)\]", outcome.said)):
        state.codes[code] = state.codes.get(code, 0) + 1
    state.most_bytes = max(state.most_bytes, outcome.bytes)
    beyond = outcome.seconds + START_UP - SECONDS_A_NODE * outcome.nodes
    if outcome.fault or beyond > SECONDS:
        text = inputs[number]
        fault, beyond = confirmed(text)
        if fault and list(map(kind, state.found.values())).count(kind(fault)) < 3:
            state.found[keep(text, fault).name] = fault
    state.slowest = max(state.slowest, beyond)


def save(state: State) -> None:
    STATE.parent.mkdir(parents=True, exist_ok=True)
    new = STATE.with_suffix(".new")
    new.write_text(json.dumps(asdict(state), indent=1), encoding="utf-8")
    new.replace(STATE)


def fuzz(state: State, seconds: float, jobs: int) -> None:
    """Goes on with a state for so many seconds; several jobs take every jobs-th batch."""
    started = time.monotonic()
    until, inputs = started + seconds, Inputs(state.seed)
    before = state.seconds
    while time.monotonic() < until:
        batches = [range(state.next + j * BATCH // jobs, state.next + (j + 1) * BATCH // jobs) for j in range(jobs)]
        running = [batch(state.seed, numbers, until) for numbers in batches]
        while running:
            for each in list(running):
                try:
                    number, outcome = next(each)
                except StopIteration:
                    running.remove(each)
                    continue
                take(state, inputs, number, outcome)
        state.seconds = before + time.monotonic() - started
        save(state)


def report(state: State, before: int) -> None:
    """Prints what was done, all runs together."""
    done = sum(state.ended.values())
    ends = ", ".join(f"{n:,} with exit code {code}" for code, n in sorted(state.ended.items()))
    print(
        f"fuzz: {done - before:,} inputs, {done:,} in {state.runs} run{'s' * (state.runs != 1)} of seed {state.seed} "
        f"and {state.seconds:,.0f} s: {ends}; {len(state.codes)} codes of errors; the slowest took {state.slowest:.2f} "
        f"s beyond its nodes, the largest {state.most_bytes / 2**20:.0f} MiB; {len(state.found)} found"
    )
    print(f"fuzz: {machine()}, Python {platform.python_version()}")
    for name, fault in state.found.items():
        print(f"fuzz: tests/corpus/{name}: {fault}")


def machine() -> str:
    """Processor and cores."""
    try:
        found = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text(encoding="utf-8"))
    except OSError:
        found = None
    return f"{os.cpu_count()} cores, {found[1] if found else platform.machine()}"


def commit() -> str:
    done = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, cwd=ROOT)
    return done.stdout.strip()


def main() -> int:
    """Reads the command line; gives 1 where something was found."""
    parser = argparse.ArgumentParser(prog="tools/dev fuzz", description=__doc__)
    parser.add_argument("--seconds", type=float, default=60, help="how long to go on (60)")
    parser.add_argument("-j", "--jobs", type=int, default=1, help="processes at once (1)")
    parser.add_argument("--resume", action="store_true", help="go on where the last run stopped, and add up")
    parser.add_argument("--seed", type=int, help="of a new series (0)")
    parser.add_argument("--one", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.one:
        one(args.one)
        return 0
    state = State(args.seed or 0)
    if args.resume and STATE.exists():
        state = State(**json.loads(STATE.read_text(encoding="utf-8")))
        if args.seed is not None and args.seed != state.seed:
            parser.error(f"--resume goes on with seed {state.seed}")
    before, known = sum(state.ended.values()), len(state.found)
    state.runs += 1
    if (at := commit()) not in state.commits:
        state.commits.append(at)
    fuzz(state, args.seconds, max(1, args.jobs))
    save(state)
    report(state, before)
    return int(len(state.found) > known)


if __name__ == "__main__":
    sys.exit(main())
