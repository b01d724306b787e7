"""netspec verify"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import click
import numpy as np

from netspec.backend import able
from netspec.cli.options import Finite
from netspec.cli.output import say
from netspec.cli.request import Request, spec_options
from netspec.cli.spec_command import SpecCommand
from netspec.cli.tables import form_of, table_options, write_table
from netspec.cli.ways import Target, every_target, target_of
from netspec.cli.weights import Weights, with_weights
from netspec.diagnostics.errors import MissingError, UsageError
from netspec.elaborate.compiled import Compiled
from netspec.files.kinds import of_name
from netspec.files.pipes import check_file
from netspec.ir.graph import Graph
from netspec.passes.base import Level
from netspec.reports.table import Form
from netspec.reports.verification import NotRun, table_of_verdicts
from netspec.running.own_errors import Exact
from netspec.running.said_passes import after_said
from netspec.running.subjects import OfFile, OfSpec, Remembering, Subject
from netspec.running.verify import Asked, Verdict, verify
from netspec.running.ways import LooksIntoModels, ModelFile, Prepares, ReadsImages
from netspec.weights.initialise import lazily_for_comparison
from netspec.weights.lazy import computed
from netspec.weights.sample_inputs import contrasting

REFERENCE = "torch"
BATCH = 2
"""So many inputs are compared by default, so that one may be seen to differ from another."""
SEEDED = re.compile(r"random, seed (\d{1,20})")


@click.command(
    "verify",
    cls=SpecCommand,
    epilog="\b\nExamples:\n  netspec verify googlenet\n"
    "  netspec verify resnet50 onnx+fold_batch_norm\n"
    "  netspec verify resnet50 torch:eager torch:compile\n"
    "  netspec verify googlenet googlenet.onnx\n"
    "  netspec verify resnet50 exported.onnx --weights r50.pth\n"
    "  netspec verify resnet50 int8.onnx --calibrate photos -b 8\n"
    "  netspec verify squeezenet --all -f md\n"
    "\n\b\nA target is BACKEND[:FORM][+WORD]...: torch, torch:source, torch:compile, onnx, onnx:flat, onnx:functions;\n"
    "a word is float16, bfloat16, int8, cuda, O0, O1, O2, or the name of a pass.",
)
@spec_options
@click.argument("targets", nargs=-1, metavar="[A] [B]")
@click.option("--all", "every", is_flag=True, help="Every target against torch; what this machine lacks is not run.")
@with_weights
@click.option(
    "-b",
    "--batch",
    type=click.IntRange(1, 1024),
    help="How many inputs are compared: by default 2, or as many as a file takes.",
)
@click.option(
    "--calibrate",
    "images",
    metavar="FOLDER|FILE.npz",
    help="The first images of it are the inputs, as of `compile --dtype int8`; random ones by default.",
)
@click.option(
    "--tolerance",
    type=Finite(0, 1),
    help="What max|a - b| / max|a| may be; 1e-4 in float32, 0.02 in float16, 0.1 in bfloat16 and int8 by default. "
    "Of int8 it is rms(a - b) / rms(a): 0.1 is a signal-to-noise ratio of 20 dB.",
)
@click.option("--outputs-only", is_flag=True, help="Compare values between the steps only where the outputs differ.")
@table_options()
def command(
    request: Request,
    weights: Weights,
    targets: tuple[str, ...],
    every: bool,
    batch: int | None,
    images: str | None,
    tolerance: float | None,
    outputs_only: bool,
    form: Form | None,
    output: str | None,
) -> int:
    """Compare targets A and B, or .onnx files, on the same weights and inputs; torch and onnx by default.

    One alone is compared with torch. Where they differ, it is exit code 1, and the first step that does is said with
    its line: values between the steps are compared, of a file those that its names tell. Without a file and --weights
    every tensor is drawn, biases and statistics too, so that no fault hides behind a zero.
    """
    chosen = form_of(form, output)
    if (kind := of_name(request.spec)) is not None and kind is of_name("model.onnx"):
        check_file(request.spec)
        words = shlex.join([request.spec, *targets])
        raise UsageError(f"{request.spec} is {kind.what}, not a spec", f"`netspec verify SPEC {words}` names its spec")
    pairs = list(_pairs(targets, every, request.level))
    files = {t.name: _opened(t.name) for pair in pairs for t in pair if t.is_file}
    count = batch_of(files, batch)
    comparison = Comparison(request, weights, count, Asked(tolerance, not outputs_only), images, files)
    verdicts = [comparison.of(a, b, every) for a, b in pairs]
    graph = comparison.compiled.inference
    table = table_of_verdicts(verdicts, graph, comparison.said(), chosen, comparison.saturating())
    write_table(table, chosen, output)
    differing = [verdict for verdict in verdicts if isinstance(verdict, Verdict) and verdict.differs]
    for verdict in differing:
        at = f", first at {verdict.culprit.node.path}" if verdict.culprit is not None else ""
        say(f"error: {verdict.b} differs from {verdict.a}{at}")
    return int(bool(differing))


def _pairs(targets: Sequence[str], every: bool, level: Level | None) -> Iterator[tuple[Target, Target]]:
    """What is compared with what; raises UsageError."""
    if every and targets:
        raise UsageError("--all compares every target with torch", "leave out --all, or the targets")
    if every and level is not None:
        raise UsageError("--all has every level", "leave out -O")
    if len(targets) > 2:
        raise UsageError(
            f"two targets are compared, got {len(targets)}: {', '.join(targets)}",
            "name two; --all compares each with torch",
        )
    reference = target_of(REFERENCE)
    if every:
        yield from ((reference, t) for t in every_target() if t.name != REFERENCE)
    elif len(targets) == 2:
        yield target_of(targets[0], level), target_of(targets[1], level)
    else:
        yield reference, target_of(targets[0] if targets else "onnx", level)


def _opened(name: str) -> ModelFile:
    check_file(name)
    return able("onnx", LooksIntoModels).look(Path(name))


def batch_of(files: Mapping[str, ModelFile], asked: int | None) -> int:
    """How many inputs are compared: as many as were asked for, or as files take; raises UsageError."""
    fixed: dict[str, int] = {}
    for name, file in files.items():
        sizes = {port.shape[0] for port in file.inputs.values() if port.shape}
        if len(sizes) == 1 and isinstance(size := sizes.pop(), int):
            fixed[name] = size
    if len({*fixed.values()}) > 1:
        said = " and ".join(f"that of {name} at {size}" for name, size in fixed.items())
        raise UsageError(f"the batches of two files differ: {said}", "`netspec compile --batch` fixes them at one size")
    for name, size in fixed.items():
        if asked not in (None, size):
            raise UsageError(f"-b {asked}: the batch of {name} is fixed at {size}", "leave out -b")
    return asked or next(iter(fixed.values()), BATCH)


@dataclass
class Comparison:
    """A network with the weights and the inputs on which its targets are compared."""

    request: Request
    weights: Weights
    batch: int
    asked: Asked
    images: str | None = None
    """What --calibrate names."""
    files: dict[str, ModelFile] = field(default_factory=dict)
    references: dict[str, Subject] = field(default_factory=dict)
    told: bool = False
    drawn: dict[str, dict[str, np.ndarray]] = field(default_factory=dict)
    odd: dict[str, str] = field(default_factory=dict)
    """What is odd in what a file says of its passes."""

    def __post_init__(self) -> None:
        self.compiled = self.request.plain.compile()
        self.request.say_profile()
        self.after: dict[tuple[tuple[str, ...], Level, str], Compiled] = {((), 0, ""): self.compiled}

    def of(self, a: Target, b: Target, forgiving: bool) -> Verdict | NotRun:
        """Compares two targets; with `forgiving` one that this machine lacks is not run, else it raises."""
        try:
            same = not (a.is_file or b.is_file) and (a.passes, a.level) == (b.passes, b.level)
            compiled = self.compiled_for(a) if same else self.compiled
            graph = compiled.inference
            exact = Exact(able("torch", Prepares), graph, lambda: self.arrays(compiled))
            first = self.reference(a) if forgiving else self.subject(a)
            return verify(first, self.subject(b), exact, self.inputs(graph), self.asked)
        except MissingError as e:
            if not forgiving:
                raise
            return NotRun(a.name, b.name, str(e).partition("\n")[0])

    def reference(self, target: Target) -> Subject:
        """A target that others are compared with, which is run once for all of them."""
        if target.name not in self.references:
            self.references[target.name] = Remembering.of(self.subject(target))
        return self.references[target.name]

    def subject(self, target: Target) -> Subject:
        """A target with its weights."""
        if target.is_file:
            file = self.files[target.name]
            module = self.compiled_for_file(target.name, file.passes).module
            return OfFile(target.name, target.way, file.dtype, file.from_netspec, file, module)
        compiled = self.compiled_for(target)
        backend, way = able(target.backend, Prepares), target.way
        # its values are those of the graph
        return OfSpec(target.name, way, way.dtype, True, backend, compiled.module, lambda: self.arrays(compiled))

    def compiled_for(self, target: Target) -> Compiled:
        """The network after the passes of a target."""
        key = (target.passes, target.level, *((target.runtime, target.way.dtype) if target.level == 2 else ()))
        if key not in self.after:
            profile = self.request.profile_at(target.level)
            after = self.compiled.after(target.passes)
            self.after[key] = after.optimised(target.level, target.runtime, profile, target.way.dtype)
        return self.after[key]

    def compiled_for_file(self, name: str, passes: Sequence[str]) -> Compiled:
        """The network after the passes that a file names; one that does not fit it is said, and is not run."""
        found, odd = after_said(self.compiled, passes)
        if odd:
            self.odd[name] = odd
        return found

    def arrays(self, compiled: Compiled) -> Mapping[str, np.ndarray]:
        """The weights of a network: of the checkpoint, seeded as those of a file are, or all of them random."""
        if self.weights.file or self.files:
            request = replace(self.request, quiet=self.request.quiet or self.told)
            self.told = True  # of one checkpoint, what is odd is said once
            return replace(self.weights, seed=self.seed).arrays(compiled, request)
        return computed(compiled.module, lazily_for_comparison(compiled.stored(), self.seed))

    def inputs(self, graph: Graph) -> dict[str, np.ndarray]:
        """The given images, or ones that differ in the large; of other inputs what the spec says; drawn once."""
        shapes = {str(node.path): node.shape for node in graph.inputs}
        if str(shapes) not in self.drawn:
            kinds = {str(node.path): node.attrs["sample"] for node in graph.inputs}
            if self.images is not None:
                found = able("onnx", ReadsImages).read_images(Path(self.images), graph, self.batch)
            else:
                found = contrasting(shapes, kinds, self.batch, self.weights.seed)
            self.drawn[str(shapes)] = found
        return self.drawn[str(shapes)]

    @property
    def seed(self) -> int:
        """The seed of --seed, else the one that a file says of its weights, else 0."""
        given = click.get_current_context().get_parameter_source("seed")
        found = {int(m[1]) for file in self.files.values() if (m := SEEDED.fullmatch(file.weights))}
        if given is click.core.ParameterSource.COMMANDLINE or len(found) != 1:
            return self.weights.seed
        return found.pop()

    def said(self) -> list[str]:
        """What is said of weights and inputs."""
        kind = f"of {self.weights.file}" if self.weights.file else f"random, seed {self.seed}"
        if not self.weights.file and not self.files:
            kind += ", biases and statistics of norms too"
        counts = {len(value) for drawn in self.drawn.values() for value in drawn.values()}
        inputs = f"{self.batch} of each, random, seed {self.weights.seed}"
        if self.images is not None and counts:
            inputs = f"the first {max(counts)} of {self.images}"
        return [*(f"{file} {odd}" for file, odd in self.odd.items()), f"weights: {kind}; inputs: {inputs}"]

    def saturating(self) -> list[str]:
        """The files that were calibrated with inputs other than those of the comparison."""
        return [name for name, file in self.files.items() if file.saturates and self.images is None]
