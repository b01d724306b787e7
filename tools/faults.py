"""Every output of netspec is written while file operations fail and processes are killed: is what is left whole?

`tools/dev faults` does 500 of each; `--write` puts the figures into docs/reliability.md. A trial is a process of its
own in a folder of its own, in which the output stands already (of other weights) in two trials of three.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import random
import re
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from bench import machine
from fault_injection import ERRORS, Faults, Plan

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "reliability.md"
BEGIN, END = "<!-- faults: begin -->", "<!-- faults: end -->"
NET = """\
netspec: 1
name: net
params: {{width: {width}}}
input: [3, 32, 32]
body:
  - stem = conv: {{out: =width, kernel: 3}}
  - batch_norm
  - relu
  - last = conv: {{out: 32, kernel: 3}}
  - flatten
  - linear: 10
"""
Files = dict[str, bytes]


@dataclass(frozen=True)
class Output:
    """A command that writes a file, or a pair of files; `{n}` is another number for what was there before."""

    name: str
    command: str
    before: str = ""
    """The command that wrote what stands there, where it is another."""
    without: tuple[str, ...] = ()
    """Libraries that are hidden."""
    main: str = ""
    """The file that the command is for; what it names belongs to it."""

    @property
    def target(self) -> str:
        """The main file."""
        return self.main or self.command.split(" -o ")[1].split()[0]


ONNX = "compile net{n}.yaml --to onnx -o net.onnx --seed {n}"
OUTPUTS = [
    Output("ONNX, one file", ONNX),
    Output("ONNX, external data", f"{ONNX} --external-data"),
    Output("ONNX, one file over external data", ONNX, f"{ONNX} --external-data"),
    Output("ONNX, external data over one file", f"{ONNX} --external-data", ONNX),
    Output("PyTorch source and .pth", "compile net{n}.yaml --to torch -o net.py --seed {n}"),
    Output(
        "PyTorch source and .safetensors", "compile net{n}.yaml --to torch -o net.py --seed {n}", without=("torch",)
    ),
    Output("JSON", "compile net{n}.yaml --to json -o net.json"),
    *(Output(f"draw, {kind}", f"draw net{{n}}.yaml -o net.{kind}") for kind in ("svg", "png", "html", "dot", "mmd")),
    Output("plot, SVG", "plot params net{n}.yaml -o plot.svg"),
    Output("plot, PNG", "plot macs net{n}.yaml -o plot.png"),
    Output("summary", "summary net{n}.yaml -o summary.txt"),
    Output("run --save", "run net{n}.yaml --repeat 1 --save result.npz --seed {n}", main="result.npz"),
    Output("new block", "new block ghost{n}", main="ghost2.yaml"),
]


@dataclass
class Tally:
    """What became of the trials of one output."""

    faults: int = 0
    kills: int = 0
    kept: int = 0
    """Trials after which what stood there before stood there."""
    written: int = 0
    refused: int = 0
    """Sources that refused the weights beside them, until the next run."""
    wrong: list[str] = field(default_factory=list)

    def add(self, other: Tally) -> None:
        """Counts the trials of another tally too."""
        for key in ("faults", "kills", "kept", "written", "refused", "wrong"):
            setattr(self, key, getattr(self, key) + getattr(other, key))


HANGS = 240
"""Seconds after which a command is said to hang."""


class Trials:
    """Runs trials of the outputs in processes that are forked from this one, which has everything imported."""

    def __init__(self, folder: Path, rng: random.Random) -> None:
        self.folder, self.rng, self.number = folder, rng, 0
        self.expected: dict[tuple[str, int], Files] = {}
        self.operations: dict[str, int] = {}
        self.kept: dict[str, Path] = {}
        """The folders with the outputs of before."""
        self.seconds: dict[str, float] = {}
        self.kinds: Counter[str] = Counter()

    def prepare(self, output: Output) -> None:
        """Runs a command without faults: what it writes, in how many operations, in which time."""
        for version in (1, 2):
            place = self.place(output, None)
            command = (output.before or output.command) if version == 1 else output.command
            started = time.perf_counter()
            code, said, kinds = self.command(output, place, command, version, Plan())
            self.seconds[output.name] = time.perf_counter() - started
            self.expected[output.name, version] = files(place)
            if code or not self.expected[output.name, version]:
                raise SystemExit(f"{output.name}: {command} ended with {code}: {said}")
            self.operations[output.name] = len(kinds)
            if version == 1:
                self.kept[output.name] = place
                for path in [p for p in place.iterdir() if p.name not in self.expected[output.name, 1]]:
                    shutil.rmtree(path) if path.is_dir() else path.unlink()
            else:
                shutil.rmtree(place)

    def place(self, output: Output, before: Files | None) -> Path:
        """A new folder, in which the specs stand, and what was written before."""
        self.number += 1
        place = self.folder / str(self.number)
        (place / "tmp").mkdir(parents=True)
        for n, width in ((1, 16), (2, 48), (3, 16)):
            (place / f"net{n}.yaml").write_text(NET.format(width=width), encoding="utf-8")
        if before:
            for path in self.kept[output.name].iterdir():
                shutil.copy(path, place)
        return place

    def command(
        self, output: Output, place: Path, command: str, version: int, plan: Plan, kill_after: float | None = None
    ) -> tuple[int, str, list[str]]:
        """Runs a command in a fork; gives its exit code (negative: the signal), what it said, and its operations."""
        log = self.folder / "log"
        log.write_bytes(b"")
        reading, writing = os.pipe()
        child = os.fork()
        if not child:
            os.close(reading)
            self._child(output, place, command.format(n=version), plan, log, writing)
        os.close(writing)
        if kill_after is not None:
            time.sleep(kill_after)
            os.kill(child, signal.SIGKILL)
        with os.fdopen(reading) as pipe:
            told = pipe.read().split()
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        if status == -signal.SIGALRM:
            raise RuntimeError(f"{output.name}: {command} hangs after {HANGS} s with {plan}")
        self.kinds.update(told)
        return status, log.read_text(encoding="utf-8", errors="replace"), told

    @staticmethod
    def _child(output: Output, place: Path, command: str, plan: Plan, log: Path, pipe: int) -> None:
        """What the fork does; it never returns."""
        code = 99
        signal.alarm(HANGS)
        try:
            handle = os.open(log, os.O_WRONLY)
            os.dup2(handle, 1)
            os.dup2(handle, 2)
            os.chdir(place)
            os.environ["TMPDIR"] = tempfile.tempdir = str(place / "tmp")
            for name in output.without:
                sys.modules[name] = None  # type: ignore[assignment]
                sys.modules.pop(f"netspec_{name}.weights", None)
            from netspec.cli.main import run

            faults = Faults([place], plan)
            code = run(command.split())
            sys.stdout.flush()
            sys.stderr.flush()
            os.write(pipe, " ".join(faults.kinds).encode())
            with suppress(OSError):
                for folder in (place / "tmp").iterdir():  # what `atexit` does in a process that ends by itself
                    shutil.rmtree(folder, ignore_errors=True)
        finally:
            os._exit(code)

    def trial(self, output: Output, kill: bool, tally: Tally) -> None:
        """One fault or kill, what is left after it, and what the next run makes of that."""
        rng = self.rng
        fresh = rng.random() < 1 / 3 or output.name == "new block"
        old = {} if fresh else self.expected[output.name, 1]
        new = self.expected[output.name, 2]
        place = self.place(output, old)
        number = rng.randint(1, self.operations[output.name] + 2)
        plan, after = Plan(number, rng.choice(list(ERRORS)), rng.random() < 1 / 3), None
        if kill:
            plan = Plan(number, after=rng.random() < 0.5)
            if rng.random() < 0.3:
                plan, after = Plan(), rng.uniform(0, 1.2 * self.seconds[output.name])
        code, said, kinds = self.command(output, place, output.command, 2, plan, after)
        what = f"{output.name}, {'over nothing' if fresh else 'over an old one'}, {plan}, {after}"
        found = files(place)
        state = judge(output, found, old, new)
        wrong = [] if state else [f"torn: {sorted(found)}"]
        if not kill:
            wrong += answer(code, said, state, plan)
            failed = kinds[number - 1] if number <= len(kinds) else ""
            if not plan.lasting and parts(found) and failed not in ("unlink", "listdir", "open"):
                wrong.append(f"a part is left though it could be removed: {sorted(found)}")
        elif code not in (0, -signal.SIGKILL):
            wrong.append(f"killed, and ended with {code}: {said}")
        tally.kept += state == "old"
        tally.written += state == "new"
        tally.refused += state == "refused"
        wrong += self._next(output, place, new)
        tally.wrong += [f"{what}: {text}" for text in wrong]
        shutil.rmtree(place)

    def _next(self, output: Output, place: Path, new: Files) -> list[str]:
        """What is wrong after the next run: it writes everything, and removes what the last one left."""
        for path in [*place.glob(".netspec-*.part"), *(place / "tmp").iterdir()]:
            os.utime(path, (time.time() - 120,) * 2)
        if output.name == "new block" and (place / output.target).exists():
            os.unlink(place / output.target)  # it does not replace files
        code, said, _ = self.command(output, place, output.command, 2, Plan())
        found, left = files(place), [p.name for p in (place / "tmp").iterdir()]
        wrong = [f"the next run ended with {code}: {said}"] if code else []
        if found != new:
            wrong.append(f"after the next run: {sorted(found)}")
        return wrong + ([f"left in the folder of temporary files: {left}"] if left else [])


def files(place: Path) -> Files:
    """What stands in a folder beside the specs."""
    return {p.name: content(p) for p in place.iterdir() if p.is_file() and not re.fullmatch(r"net\d\.yaml", p.name)}


def content(path: Path) -> bytes:
    """The bytes of a file; of a .npz those of its arrays, as it holds the time at which it was written too."""
    if path.suffix == ".npz":
        import numpy as np

        with suppress(Exception), np.load(path) as arrays:  # else it is torn, and unlike any that is whole
            return b"".join(f"{key} {arrays[key].dtype} ".encode() + arrays[key].tobytes() for key in arrays.files)
    return path.read_bytes()


def parts(found: Files) -> list[str]:
    """The parts that were left."""
    return [name for name in found if name.startswith(".netspec-")]


def judge(output: Output, found: Files, old: Files, new: Files) -> str:
    """Whether the old or the new output stands there whole, or a source that refuses the weights; empty: torn."""
    main = found.get(output.target)
    if main is None:
        return "old" if not old else ""
    if ".py" in output.target:
        from hashlib import sha256

        weights = next((found[name] for name in (*new, *old) if name != output.target and name in found), b"")
        known = [f.get(next((n for n in f if n != output.target), "")) for f in (old, new)]
        if main in (old.get(output.target), new[output.target]) and weights in known:
            if sha256(weights).hexdigest().encode() not in main:
                return "refused"
    for state, files in (("new", new), ("old", old)):
        if files and all(found.get(name) == data for name, data in files.items()):
            return state
    return ""


def answer(code: int, said: str, state: str, plan: Plan) -> list[str]:
    """What is wrong with how a run ended on which an operation failed."""
    if "Traceback" in said or "a bug of netspec" in said or code not in (0, 1, 2, 3):
        return [f"ended with {code}: {said}"]
    if code and "error" not in said:
        return [f"ended with {code} and no error: {said!r}"]
    if not code and state != "new":
        return [f"ended well, and the new output is not there: {state or 'torn'}"]
    if state == "refused" and not plan.lasting:  # where no file can be renamed any more, none can be put back
        return ["the new weights stand beside the old source after an error"]
    return []


def run_part(faults: int, kills: int, seed: int, part: int, parts: int) -> tuple[dict[str, Tally], Counter[str]]:
    """Every `parts`-th trial; gives the tallies by output, and the operations that were met."""
    rng, tallies = random.Random(f"{seed} {part}"), {output.name: Tally() for output in OUTPUTS}
    with tempfile.TemporaryDirectory(prefix="netspec-faults-") as folder:
        trials = Trials(Path(folder), rng)
        for output in OUTPUTS:
            trials.prepare(output)
        for number in range(part, faults + kills, parts):
            output, kill = OUTPUTS[number // parts % len(OUTPUTS)], number >= faults
            tally = tallies[output.name]
            tally.kills += kill
            tally.faults += not kill
            trials.trial(output, kill, tally)
            if number // parts % 25 == 24:
                wrong = sum(len(t.wrong) for t in tallies.values())
                print(f"{number + 1} of {faults + kills}, {wrong} wrong", file=sys.stderr, flush=True)
    return tallies, trials.kinds


def measure(faults: int, kills: int, seed: int, jobs: int) -> tuple[dict[str, Tally], Counter[str]]:
    """All trials, by several processes; gives the tallies by output, and the operations that were met."""
    import netspec_onnx.runtime  # noqa: F401 - all that a trial needs is imported before the first fork
    import netspec_onnx.write  # noqa: F401
    import netspec_torch.weights  # noqa: F401
    import onnx  # noqa: F401
    import torch  # noqa: F401

    import netspec.cli.main

    assert netspec.cli.main.COMMANDS
    if jobs == 1:
        return run_part(faults, kills, seed, 0, 1)
    tallies, kinds = {output.name: Tally() for output in OUTPUTS}, Counter[str]()
    with multiprocessing.get_context("fork").Pool(jobs) as pool:
        for found, met in pool.starmap(run_part, [(faults, kills, seed, part, jobs) for part in range(jobs)]):
            kinds += met
            for name, tally in found.items():
                tallies[name].add(tally)
    return tallies, kinds


def table(tallies: dict[str, Tally], kinds: Counter[str], seed: str) -> str:
    """The figures as Markdown."""
    rows = [
        "| output | faults | kills | old one kept | new one written | source refuses | torn, lost or left |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    total, met = Tally(), ", ".join(f"{count:,} {kind}" for kind, count in kinds.most_common())
    for name, t in [*tallies.items(), ("all", total)]:
        rows.append(f"| {name} | {t.faults} | {t.kills} | {t.kept} | {t.written} | {t.refused} | {len(t.wrong)} |")
        if t is not total:
            total.add(t)
    return "\n".join(
        [f"{machine()} Seed {seed}. Operations that the runs did, before or without a fault: {met}.", "", *rows]
    )


def main() -> int:
    """Reads the command line; ends with 1 where something was torn, lost or left."""
    parser = argparse.ArgumentParser(prog="tools/dev faults", description=__doc__)
    parser.add_argument("--faults", type=int, default=500)
    parser.add_argument("--kills", type=int, default=500)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("-j", "--jobs", type=int, default=1, help="processes")
    parser.add_argument("--write", action="store_true", help="put the figures into docs/reliability.md")
    args = parser.parse_args()
    if not hasattr(os, "fork"):
        parser.error("trials are forked, which this system does not do")
    tallies, kinds = measure(args.faults, args.kills, args.seed, args.jobs)
    found = table(tallies, kinds, f"{args.seed} with -j {args.jobs}")
    print(found)
    wrong = [text for tally in tallies.values() for text in tally.wrong]
    for text in wrong[:20]:
        print(f"WRONG: {text}", file=sys.stderr)
    if args.write and not wrong:
        head, rest = PAGE.read_text(encoding="utf-8").split(BEGIN)
        PAGE.write_text(f"{head}{BEGIN}\n\n{found}\n\n{END}{rest.split(END)[1]}", encoding="utf-8")
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(main())
