"""netspec bench"""

from __future__ import annotations

import json
import os
import platform
import re
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import click

from netspec.analysis.cost import totals
from netspec.backend import able
from netspec.cli.output import say
from netspec.cli.output_file import OutputFile
from netspec.cli.request import Request, requests_options
from netspec.cli.spec_command import SpecCommand
from netspec.cli.tables import form_of, table_options, write_table
from netspec.cli.ways import Target, target_of
from netspec.cli.weights import Weights, with_weights
from netspec.diagnostics.errors import MissingError, NetspecError, UsageError
from netspec.elaborate.compiled import Compiled
from netspec.files.atomic import write_text
from netspec.files.pipes import check_file
from netspec.ir.graph import Graph
from netspec.reports.table import Form, Table
from netspec.reports.timing import NotRun, Run, step_in, table_of_parts, table_of_runs
from netspec.running.feeds import Feeds
from netspec.running.measure import is_told, measure, memory, peak, product
from netspec.running.ports import Port, Value
from netspec.running.sizes import Sizes
from netspec.running.ways import LooksIntoModels, Prepared, Prepares, Way

DEFAULT_TARGETS = ("onnx", "torch")
MEANING = (
    "of peak: of the rate of a product of matrices, run the same way; "
    "memory: resident, added at the peak of a process of its own"
)
"""Of the columns that do not say what they are."""


@click.command(
    "bench",
    cls=SpecCommand,
    epilog="\b\nExamples:\n  netspec bench resnet50\n"
    "  netspec bench resnet50 mobilenet_v2 --target onnx --target onnx+O0 -b 1 -b 8 --threads 1\n"
    "  netspec bench exported.onnx googlenet.onnx -b 8 -o times.csv\n"
    "  netspec bench googlenet --target onnx --blocks --depth 1\n"
    "  netspec bench googlenet --target onnx --times times.json && netspec draw googlenet --heat times.json\n"
    "  netspec bench resnet50 --target torch+float16+cuda --target torch:compile+cuda -b 64",
)
@requests_options
@click.option(
    "--target",
    "targets",
    multiple=True,
    metavar="TARGET",
    help="BACKEND[:FORM][+WORD]..., as of `netspec verify`; onnx and torch by default. Repeatable, as --batch and "
    "--threads are: each is run with each. An .onnx file is run by onnxruntime.",
)
@click.option("-b", "--batch", "batches", multiple=True, type=click.IntRange(1, 65536), help="1 by default.")
@click.option(
    "--threads", multiple=True, type=click.IntRange(0, 1024), help="Of the processor; 0, the default, is all of them."
)
@click.option("--warmup", type=click.IntRange(1, 10_000), default=3, show_default=True, help="Runs before these.")
@click.option("--repeat", type=click.IntRange(1, 100_000), default=20, show_default=True, help="Timed runs.")
@click.option("--blocks", is_flag=True, help="The time in each part of one network, beside its MACs, by a profile.")
@click.option(
    "--depth", type=click.IntRange(1, 64), default=1, show_default=True, help="Of --blocks: levels of scopes."
)
@click.option(
    "--times", type=OutputFile(stdout=False), metavar="FILE.json", help="Milliseconds by path, for `draw --heat`."
)
@with_weights
@table_options()
def command(
    requests: tuple[Request, ...],
    weights: Weights,
    targets: tuple[str, ...],
    batches: tuple[int, ...],
    threads: tuple[int, ...],
    warmup: int,
    repeat: int,
    blocks: bool,
    depth: int,
    times: str | None,
    form: Form | None,
    output: str | None,
) -> int:
    """Time SPECs, or .onnx files: latency, throughput, memory, and the share of what the machine can do.

    Of the timed runs it is the median with the first and third quartile. The peak is a product of two matrices of
    1024 x 1024 (8192 x 8192 on a GPU) by the same library, in the same type, on the same threads: the fastest of nine.
    """
    chosen = form_of(form, output)
    bench = Bench(weights, warmup, repeat)
    jobs = [*_jobs(requests, targets, batches or (1,), threads or (0,))]
    if blocks or times:
        if len(jobs) != 1:
            raise UsageError(
                f"a profile is of one network in one way, got {len(jobs)}", "name one SPEC and one --target"
            )
        if jobs[0].target.is_file:
            raise UsageError("a profile by blocks is of a spec: the parts are the spec's", "name the SPEC of the file")
        graph, spent, said = bench.profile(jobs[0])
        if times:
            known = {step: ms for path, ms in spent.items() if (step := step_in(graph, path))}
            write_text(Path(times), json.dumps(known, indent=1) + "\n")
            say(f"milliseconds by path -> {times}")
        table = table_of_parts(graph, spent, depth, jobs[0].batch, said)
    else:
        table = bench.table(jobs)
    write_table(table, chosen, output)
    return 0


@dataclass(frozen=True, slots=True)
class Job:
    """One network in one way."""

    request: Request
    target: Target
    batch: int

    @property
    def name(self) -> str:
        """How it was asked for."""
        return self.request.label


def _jobs(
    requests: Sequence[Request], targets: Sequence[str], batches: Sequence[int], threads: Sequence[int]
) -> Iterator[Job]:
    """Each network in each way; raises UsageError."""
    for request in requests:
        is_file = request.spec.lower().endswith(".onnx")
        if is_file:
            check_file(request.spec)
        for name in (request.spec,) if is_file else targets or DEFAULT_TARGETS:
            for count in threads:
                target = target_of(name, request.level, count)
                if target.is_file and not is_file:
                    raise UsageError(f"--target {name} is a file", "name it in place of SPEC")
                yield from (Job(request, target, batch) for batch in batches)


@dataclass
class Bench:
    """How networks are timed; what was compiled, and the peaks that were measured, are kept."""

    weights: Weights
    warmup: int
    repeat: int
    compiled: dict[str, Compiled] = field(default_factory=dict)
    peaks: dict[tuple[str, Way], float] = field(default_factory=dict)

    def table(self, jobs: Sequence[Job]) -> Table:
        """Runs all; what this machine lacks, or a batch that a file refuses, is a row that says so.

        Raises MissingError, UsageError where there would be no other row.
        """
        runs: list[Run | NotRun] = []
        refused: list[UsageError] = []
        for job in jobs:
            try:
                runs.append(self.run(job))
            except (MissingError, UsageError) as e:
                if isinstance(e, UsageError):
                    refused.append(e)
                if len(jobs) == max(1, len(refused)):
                    raise
                runs.append(NotRun(job.name, job.target.name, str(e).partition("\n")[0]))
        return table_of_runs(runs, [MEANING, self.said()])

    def run(self, job: Job) -> Run:
        """One network in one way; raises MissingError, DataError, UsageError."""
        macs = None if job.target.is_file else totals(self.network(job.request).inference.nodes.values()).macs
        limit = self.peak(job.target)
        prepared, inputs = self.prepared(job)
        times = measure(prepared, inputs, self.warmup, self.repeat)
        provider, threads = prepared.provider, job.target.way.threads
        del prepared  # a device has no room for two
        return Run(job.name, job.target.name, provider, job.batch, threads, times, macs, limit, self.memory(job))

    def memory(self, job: Job) -> int | None:
        """The memory of one run, in a process of its own: in this one what was freed before is used again."""
        if not is_told():
            return None
        from netspec.processes import in_fresh_process

        key = repr(job.request.plain)
        compiled = {key: self.compiled[key]} if key in self.compiled else {}
        return in_fresh_process(memory_of, Alone(replace(self, compiled=compiled, peaks={}), job))

    def profile(self, job: Job) -> tuple[Graph, dict[str, float], list[str]]:
        """The graph, the milliseconds in each of its steps, and what is said of them."""
        prepared, inputs = self.prepared(job)
        spent = prepared.profile(inputs, self.repeat)
        said = (
            f"{job.name}, {job.target.name} on {prepared.provider}, batch {job.batch}: what a library fuses is one step"
        )
        return self.network(job.request).inference, spent, [said, self.said()]

    def network(self, request: Request) -> Compiled:
        """The network of a request, as its spec has it."""
        key = repr(request.plain)  # a request holds a mapping, and is no key
        if key not in self.compiled:
            self.compiled[key] = request.plain.compile()
            request.say_profile()
        return self.compiled[key]

    def prepared(self, job: Job) -> tuple[Prepared, dict[str, Value]]:
        """The network, ready to run, and random inputs of the batch."""
        if job.target.is_file:
            file = able("onnx", LooksIntoModels).look(Path(job.target.name))
            return file.prepare(job.target.way), self.inputs(Sizes(file.inputs), job.batch)
        target, profile = job.target, job.request.profile_at(job.target.level)
        compiled = self.network(job.request).after(target.passes)
        compiled = compiled.optimised(target.level, target.runtime, profile, target.way.dtype)
        graph = compiled.inference
        ports = {str(n.path): Port("tensor(float)", n.shape, n.attrs["sample"]) for n in graph.inputs}
        arrays = self.weights.arrays(compiled, replace(job.request, quiet=True))
        prepared = able(job.target.backend, Prepares).prepare(graph, arrays, job.target.way)
        return prepared, self.inputs(Sizes(ports, "the network"), job.batch)

    def inputs(self, sizes: Sizes, batch: int) -> dict[str, Value]:
        """Random inputs by --seed; raises UsageError where the batch is fixed at another."""
        feeds = Feeds(sizes, lambda text: None)
        sizes.batch(batch)
        sizes.complete()
        return feeds.all(self.weights.seed)

    def peak(self, target: Target) -> float | None:
        """What a product of matrices reaches in the way of a target; of a file in onnxruntime."""
        backend = target.backend or "onnx"
        way = replace(target.way, form="")
        if (backend, way) not in self.peaks:
            self.peaks[backend, way] = peak(able(backend, Prepares), way)
        return self.peaks[backend, way]

    def said(self) -> str:
        """On what, and how, it was measured."""
        cores = os.cpu_count() or 1
        return (
            f"measured on {processor()}, {cores} core{'s' * (cores > 1)}, {platform.system()}: "
            f"{self.warmup} run{'s' * (self.warmup > 1)} to warm up, median and quartiles of {self.repeat}"
        )


@dataclass(frozen=True, slots=True)
class Alone:
    """One network in one way, to be run once in a process of its own."""

    bench: Bench
    job: Job
    size: int = 1


def memory_of(alone: Alone) -> int | None:
    """The memory that a network adds to this process, in bytes, beyond what its backend takes of any."""
    target = alone.job.target
    warnings.simplefilter("ignore")  # they were given where it was timed
    try:
        product(able(target.backend or "onnx", Prepares), replace(target.way, form=""), 8, 1)  # loads what runs it
        with memory() as used:
            prepared, inputs = alone.bench.prepared(alone.job)
            prepared.time(inputs, 1, 1)
    except NetspecError:  # what it was timed with is not there any more, or of the other process alone
        return None
    return used.added


def processor() -> str:
    """The name of the processor, as the system says it."""
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        text = ""
    named = re.search(r"^model name\s*:\s*(.+)$", text, re.MULTILINE)
    return named[1].strip() if named else platform.processor() or platform.machine()
