"""netspec bench"""

from __future__ import annotations

import json
import os
import platform
import re
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

import click

from netspec.analysis.cost import totals
from netspec.backend import able
from netspec.cli.model_file import check_options, is_model_file
from netspec.cli.output import say, show_error
from netspec.cli.output_file import OutputFile
from netspec.cli.request import Request, requests_options
from netspec.cli.spec_command import SpecCommand
from netspec.cli.tables import form_of, table_options, write_table
from netspec.cli.ways import Target, target_of
from netspec.cli.weights import Weights, with_weights
from netspec.diagnostics.errors import DataError, MissingError, NetspecError, SpecError, UsageError
from netspec.elaborate.compiled import Compiled
from netspec.files.atomic import write_text
from netspec.files.pipes import check_file
from netspec.ir.graph import Graph
from netspec.reports.table import Form, Table
from netspec.reports.timing import NotRun, Run, step_in, table_of_parts, table_of_runs
from netspec.running.feeds import Feeds, batch_of
from netspec.running.measure import is_told, measure, memory, peak, product
from netspec.running.ports import Port, Value
from netspec.running.sizes import Sizes
from netspec.running.ways import LooksIntoModels, Prepared, Prepares, Way

DEFAULT_TARGETS = ("onnx", "torch")
OF_FILES = "onnx"
"""What runs .onnx files."""
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
@click.option(
    "-b", "--batch", "batches", multiple=True, type=click.IntRange(1, 65536), help="1, or a file's own, by default."
)
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
    _check_files(requests, weights, targets)
    jobs = [*_jobs(requests, targets, batches, threads or (0,))]
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
        table = table_of_parts(graph, spent, depth, jobs[0].batch or 1, said)
    else:
        table = bench.table(jobs, chosen)
    write_table(table, chosen, output)
    for error in bench.errors:
        show_error(error)
    return max((error.exit_code for error in bench.errors), default=0)


def _check_files(requests: Sequence[Request], weights: Weights, targets: Sequence[str]) -> None:
    """Raises UsageError for files that are not there, and for options that cannot hold for one that is."""
    files = [request for request in requests if is_model_file(request.spec)]
    for request in files:
        check_options(request, weights)
        check_file(request.spec)
    if files and len(files) == len(requests) and (others := [name for name in targets if name != OF_FILES]):
        raise UsageError(f"--target {others[0]}: an .onnx file runs in onnxruntime, as it is", "leave out --target")


@dataclass(frozen=True, slots=True)
class Job:
    """One network in one way."""

    request: Request
    target: Target
    batch: int | None
    """None for that of a file."""

    @property
    def name(self) -> str:
        """How it was asked for."""
        return self.request.label


def _jobs(
    requests: Sequence[Request], targets: Sequence[str], batches: Sequence[int], threads: Sequence[int]
) -> Iterator[Job]:
    """Each network in each way; raises UsageError."""
    for request in requests:
        is_file = is_model_file(request.spec)
        for name in (request.spec,) if is_file else targets or DEFAULT_TARGETS:
            for count in threads:
                target = target_of(name, request.level, count)
                if target.is_file and not is_file:
                    raise UsageError(f"--target {name} is a file", "name it in place of SPEC")
                yield from (Job(request, target, batch) for batch in batches or (None if is_file else 1,))


@dataclass
class Bench:
    """How networks are timed; what was compiled, and the peaks that were measured, are kept."""

    weights: Weights
    warmup: int
    repeat: int
    compiled: dict[str, Compiled] = field(default_factory=dict)
    peaks: dict[tuple[str, Way], float | None] = field(default_factory=dict)
    errors: list[NetspecError] = field(default_factory=list)
    """Of rows that were not run, for no lack of this machine."""
    told: set[str] = field(default_factory=set)
    """Files of which was said what sizes they leave free."""

    def table(self, jobs: Sequence[Job], form: Form) -> Table:
        """Runs all; what this machine lacks, or a file that is broken or refuses a batch, is a row that says so.

        Raises SpecError before anything is run; the one error that there is where there would be no other row.
        """
        for job in jobs:
            if not job.target.is_file:
                self.network(job.request)
        runs: list[Run | NotRun] = []
        errors: list[NetspecError] = []
        for job in jobs:
            try:
                runs.append(self.run(job))
            except (MissingError, UsageError, DataError, SpecError) as e:
                if len(jobs) == 1:
                    raise
                errors.append(e)
                why = str(e).partition("\n")[0]
                runs.append(NotRun(job.name, job.target.name, job.batch, job.target.way.threads, why))
        broken: list[NetspecError] = [e for e in errors if isinstance(e, DataError | SpecError)]
        if len(errors) == len(jobs) and not any(isinstance(e, MissingError) for e in errors):
            broken = errors
        each = list({str(e): e for e in broken}.values())
        if len(each) == 1 and len(broken) == len(jobs):
            raise each[0]
        self.errors = each
        return table_of_runs(runs, [MEANING, self.said()], form)

    def run(self, job: Job) -> Run:
        """One network in one way; raises MissingError, DataError, UsageError, SpecError."""
        macs = None if job.target.is_file else totals(self.network(job.request).inference.nodes.values()).macs
        prepared, inputs = self.prepared(job)
        try:
            times = measure(prepared, inputs, self.warmup, self.repeat)
        except DataError as e:
            e.help = e.help or ("--input NAME=DIMS sets the sizes of an input" if job.target.is_file else "")
            raise
        provider, way, batch = prepared.provider, job.target.way, job.batch or batch_of(inputs)
        del prepared  # a device has no room for two
        limit, used = self.peak(job.target), self.memory(job)
        return Run(job.name, job.target.name, provider, batch, way.threads, times, macs, limit, used)

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
            file = able(OF_FILES, LooksIntoModels).look(Path(job.target.name))
            return file.prepare(job.target.way), self.inputs_of(job, Sizes(file.inputs, said=file.sizes))
        target, profile = job.target, job.request.profile_at(job.target.level)
        compiled = self.network(job.request).after(target.passes)
        compiled = compiled.optimised(target.level, target.runtime, profile, target.way.dtype)
        graph = compiled.inference
        ports = {str(n.path): Port("tensor(float)", n.shape, n.attrs["sample"]) for n in graph.inputs}
        arrays = self.weights.arrays(compiled, replace(job.request, quiet=True))
        prepared = able(job.target.backend, Prepares).prepare(graph, arrays, job.target.way)
        return prepared, self.inputs(Sizes(ports, "the network"), job.batch)[0]

    def inputs_of(self, job: Job, sizes: Sizes) -> dict[str, Value]:
        """Random inputs of a file, at --input; raises UsageError where it is of another size."""
        given = job.request.input_size
        for name, dims in given.items() if isinstance(given, Mapping) else [(None, given)] if given else []:
            sizes.input(name, dims)
        inputs, chosen = self.inputs(sizes, job.batch)
        notes = [f"{', '.join(chosen)}, which it leaves free; --input NAME=DIMS sets them"] if chosen else []
        if not job.request.quiet and job.name not in self.told:
            for note in [*notes, *sizes.doubts()]:
                say(f"note: {job.name}: {note}")
        self.told.add(job.name)
        return inputs

    def inputs(self, sizes: Sizes, batch: int | None) -> tuple[dict[str, Value], list[str]]:
        """Random inputs by --seed, and the sizes that were chosen; raises UsageError where the batch is another."""
        feeds = Feeds(sizes, lambda text: None)
        if batch is not None:
            sizes.batch(batch)
        chosen = sizes.complete()
        return feeds.all(self.weights.seed), chosen

    def peak(self, target: Target) -> float | None:
        """What a product of matrices reaches in the way of a target; of a file in onnxruntime; None for no product."""
        backend = target.backend or OF_FILES
        way = replace(target.way, form="")
        if (backend, way) not in self.peaks:
            self.peaks[backend, way] = None
            with suppress(DataError, MissingError):  # of the product, which nobody asked for
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
        product(able(target.backend or OF_FILES, Prepares), replace(target.way, form=""), 8, 1)  # loads what runs it
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
