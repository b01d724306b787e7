"""netspec tune"""

from __future__ import annotations

import json
import platform
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import ceil
from pathlib import Path

import click

from netspec.cli.bench import Bench, Job, processor
from netspec.cli.options import Choice, Finite
from netspec.cli.output import say
from netspec.cli.output_file import OutputFile
from netspec.cli.request import Request, spec_options
from netspec.cli.spec_command import SpecCommand
from netspec.cli.tables import write_table
from netspec.cli.ways import Target
from netspec.cli.weights import Weights, with_weights
from netspec.diagnostics.errors import UsageError, did_you_mean
from netspec.elaborate.compiled import Compiled
from netspec.files.atomic import check_writable, write_text
from netspec.files.kinds import check_suffix
from netspec.passes import CHOSEN
from netspec.passes.runtimes import MEASURED, backend_of, by_gain
from netspec.reports.table import FORMS, Cell, Form, Table
from netspec.reports.tuning import table_of_tuning
from netspec.running.ports import Value
from netspec.running.tune import Clock, Search, Tuned, elapsed, worked
from netspec.running.ways import Prepared, Way
from netspec.syntax.profile_reader import KEY, SUFFIX, VERSION

LONGEST = 86_400
"""The seconds that it may take at most."""
ALIASES = {"onnx": "onnxruntime", "torch:eager": "torch"}
LIBRARIES = {"onnx": "onnxruntime", "torch": "torch"}
"""The library that runs the networks of a backend."""


class RuntimeName(click.ParamType):  # type: ignore[type-arg, unused-ignore]
    """onnxruntime, torch, torch:channels_last"""

    name = "TARGET"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """The name of a runtime; fails for another."""
        name = ALIASES.get(str(value), str(value))
        if name not in MEASURED:
            near = did_you_mean(name, MEASURED) or f"known: {', '.join(MEASURED)}"
            self.fail(f"there is no target '{value}'; {near}", param, ctx)
        return name


@click.command(
    "tune",
    cls=SpecCommand,
    epilog="\b\nExamples:\n  netspec tune googlenet --target onnxruntime\n"
    "  netspec compile googlenet --to onnx -O2 --profile googlenet.onnxruntime.tune.json\n"
    "  netspec tune mobilenet_v3_large --target torch:channels_last -b 8 --threads 4 --seconds 300\n"
    "  netspec tune mine.yaml -s width=64 --target onnxruntime -o profiles/mine.json",
)
@lambda fn: spec_options(fn, refused=("level", "profile"))
@click.option(
    "--target",
    "runtime",
    type=RuntimeName(),
    metavar="TARGET",
    required=True,
    help=f"Where it is to be fast: {', '.join(MEASURED)}.",
)
@click.option("-b", "--batch", type=click.IntRange(1, 65536), default=1, show_default=True, help="The batch.")
@click.option(
    "--threads", type=click.IntRange(0, 1024), default=0, show_default=True, help="Of the processor; 0 is all of them."
)
@click.option(
    "--seconds",
    type=Finite(0, LONGEST),
    default=60,
    show_default=True,
    help="About how long it may take; each trial that is begun takes five rounds at least.",
)
@click.option("--try", "only", multiple=True, metavar="PASS", help="Try this pass alone; repeatable.")
@with_weights
@click.option(
    "-o",
    "--output",
    type=OutputFile(stdout=False),  # where the table goes
    metavar="FILE.json",
    help=f"The profile; NAME.TARGET{SUFFIX} in the working folder by default.",
)
@click.option("-f", "--format", "form", type=Choice(FORMS), default="text", help="The form of the table.")
def command(
    request: Request,
    weights: Weights,
    runtime: str,
    batch: int,
    threads: int,
    seconds: float,
    only: tuple[str, ...],
    output: str | None,
    form: Form,
) -> int:
    """Measure which passes make SPEC faster here, and write them as a profile for `-O2 --profile FILE`.

    Each pass is tried everywhere, then by halves of its places, on top of what is kept already; it is kept where the
    network is faster beyond the noise, which the same network run against itself tells; so is all together at the end.
    Where there was no time for any of them it is exit code 1, and no profile is written.
    """
    if request.level is not None or request.profile is not None:
        raise UsageError("what is tuned is the network after -O1", "leave out -O and --profile")
    if unknown := [name for name in only if name not in CHOSEN]:
        there = f"known: {', '.join(CHOSEN)}"
        raise UsageError(f"there is no pass '{unknown[0]}' to try", did_you_mean(unknown[0], CHOSEN, there))
    check_suffix(output, "JSON", ".json")
    tuning = Tuning(request, weights, runtime, batch, threads)
    path = Path(output or f"{tuning.network.name}.{runtime.replace(':', '-')}{SUFFIX}")
    check_writable(path)
    replaced = " in place of the profile that was there" if path.exists() else ""
    found = tuning.search(seconds, only)
    table = table_of_tuning(found, tuning.said(found), only)
    if not found.decided:
        write_table(table, form)
        say(f"error: nothing was decided, and no profile is written: no pass could be tried in {seconds:g} s")
        return 1
    write_text(path, json.dumps(tuning.profile(found, table), indent=1) + "\n")
    write_table(table, form)
    if not request.quiet:
        kept = ", ".join(found.chosen) or "nothing"
        say(f"{tuning.network.name}: {kept} -> {path}{replaced}; `-O2 --profile {path}` takes it")
    return 0


class Tuning:
    """A network that is tuned for a runtime."""

    def __init__(self, request: Request, weights: Weights, runtime: str, batch: int, threads: int) -> None:
        backend, form = backend_of(runtime)
        self.request, self.runtime, self.batch = request, runtime, batch
        self.bench = Bench(weights, 0, 0)
        self.target = Target(runtime, backend, Way(form, threads=threads))
        self.inputs: dict[str, Value] = {}

    @property
    def network(self) -> Compiled:
        """The network as its spec has it, with what --pass names."""
        return self.bench.network(self.request)

    def prepare(self, passes: Sequence[str]) -> Prepared:
        """The network, ready to run after passes."""
        target = replace(self.target, passes=tuple(passes))
        prepared, self.inputs = self.bench.prepared(Job(self.request, target, self.batch))
        return prepared

    def search(self, seconds: float, only: Sequence[str]) -> Tuned:
        """Tries what may pay; what is tried is said on stderr."""
        say_ = (lambda text: None) if self.request.quiet else (lambda text: say(f"trying {text}"))
        self.prepare(())
        order = by_gain(self.runtime)
        return Search(self.network, self.prepare, self.inputs, seconds, say_, only, self.clock, order).run()

    @property
    def clock(self) -> Clock:
        """On one thread the time of the processor, which other programs disturb less."""
        return worked if self.target.way.threads == 1 else elapsed

    def said(self, found: Tuned) -> list[str]:
        """On what it was measured, and what it would take to know more."""
        known = self.measured()
        count = self.target.way.threads
        threads = f"{count} thread{'s' * (count != 1)}" if count else "all threads"
        notes = [
            f"{self.network.name} in {self.runtime}, {known['library']}, batch {self.batch}, {threads}, "
            f"{known['clock']}, on {known['machine']}"
        ]
        if found.needs:
            quieter = "" if count == 1 else ", or `--threads 1`, whose times other programs disturb less"
            seconds = min(ceil(found.needs), LONGEST)
            notes.append(f"undecided: {', '.join(found.undecided)}; about `--seconds {seconds}` decides{quieter}")
        return notes

    def measured(self) -> dict[str, Cell]:
        """On what it was measured, as the profile says it."""
        library = LIBRARIES.get(self.target.backend, self.target.backend)
        return {
            "machine": f"{processor()}, {platform.system()}",
            "library": f"{library} {getattr(sys.modules.get(library), '__version__', '')}".strip(),
            "batch": self.batch,
            "threads": self.target.way.threads,
            "clock": "processor time" if self.clock is worked else "elapsed time",
        }

    def profile(self, found: Tuned, table: Table) -> dict[str, object]:
        """What the file holds."""
        return {
            KEY: VERSION,
            "network": self.network.name,
            "graph": self.network.digest,
            "target": self.runtime,
            "passes": [_chosen(name, found) for name in found.chosen],
            "measured": {**self.measured(), "trials": [dict(row) for row in table.rows]},
        }


def _chosen(name: str, found: Tuned) -> Mapping[str, object]:
    """A pass that is kept, as the profile names it."""
    paths = [path for place in found.chosen[name] for path in place]
    return {"name": name, "at": paths} if paths else {"name": name}
