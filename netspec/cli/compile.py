"""netspec compile"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from os import sep
from os.path import exists, isdir
from pathlib import Path
from typing import Any

import click

from netspec.analysis.cost import totals
from netspec.analysis.features import features_of
from netspec.backend import AnyBackend, Options, WritesText, Written, gave, get, write
from netspec.cli.many import each
from netspec.cli.options import Choice, is_given, jobs_option
from netspec.cli.output import say, size
from netspec.cli.output_file import OutputFile, write_result
from netspec.cli.request import Request, requests_options
from netspec.cli.tables import write_table
from netspec.cli.targets import BackendName, TargetCommand, chosen
from netspec.cli.weights import Weights, with_weights
from netspec.diagnostics.errors import UsageError
from netspec.elaborate.compiled import Compiled
from netspec.elaborate.configuration import larger
from netspec.files.atomic import folder_for
from netspec.files.kinds import OF_COMPILE, check_suffix
from netspec.ir.graph import Graph
from netspec.passes.base import Level
from netspec.reports.passes import table_of_passes
from netspec.reports.table import FORMS, Form


@click.command(
    "compile",
    cls=TargetCommand,
    epilog="\b\nExamples:\n  netspec compile specs/googlenet.yaml --to onnx\n"
    "  netspec compile resnet50 --weights r50.pth --to onnx -o r50.onnx\n"
    "  netspec compile resnet50 -s classes=10 --weights r50.pth --adapt --to onnx\n"
    "  netspec compile resnet50 --features layer2,layer4 --weights r50.pth --to onnx\n"
    "  netspec compile squeezenet --to torch -o squeezenet.py\n"
    "  netspec compile resnet50 densenet121 mobilenet_v2 --to onnx -o models -j 2",
)
@requests_options
@click.option("--to", "target", required=True, type=BackendName(json=True), help="What to write.")
@click.option(
    "-o",
    "output",
    type=OutputFile(folder=True),
    help="Where to write: a file, or a folder; NAME and the target's suffix by default, and in a folder.",
)
@click.option(
    "--explain-passes",
    is_flag=True,
    help="Print what each pass changes: how often, MACs, parameters and bytes of weights before and after.",
)
@click.option("-f", "--format", "form", type=Choice(FORMS), help="The form of that table; text by default.")
@jobs_option
@with_weights
def command(
    requests: tuple[Request, ...], weights: Weights, target: str, output: str | None, jobs: int, **own: Any
) -> int:
    """Compile each SPEC to an ONNX model, a PyTorch source file, JSON, or what another backend writes.

    The ONNX model has weights: seeded ones, or those of a checkpoint. The PyTorch file needs nothing of netspec;
    its state dict is written next to it as .pth, or as .safetensors where PyTorch is not installed.
    """
    backend = get(target)
    form = _form_of_passes(own.pop("explain_passes"), own.pop("form"), output)
    options = chosen(backend, own, weights.origin)
    if weights.file and not options.weights:
        raise UsageError("--weights and --no-weights exclude each other", "leave one of them out")
    folder = output if output is not None and _names_folder(output, len(requests) > 1) else None
    file = None if folder is not None else output
    _check_weights(backend)
    _check_output(backend, file)
    if len(requests) > 1:
        _check_many(requests, weights, file)
        if report := getattr(options, "report", None):
            raise UsageError(f"--report {report} is one file, of {len(requests)} networks", "compile each with its own")
        if form not in (None, "text"):
            raise UsageError(f"-f {form} is one table, of {len(requests)} networks", "compile each by itself")
    asked = _Asked(target, options, weights, file, folder, form)
    with folder_for(folder):
        return each(requests, partial(_compile, asked), jobs)


def _names_folder(output: str, many: bool) -> bool:
    """Whether -o is a folder: one that is there, or has no suffix where several networks, or --all, are asked for."""
    if isdir(output) or output.endswith(("/", sep)):
        return True
    several = many or click.get_current_context().params.get("every", False)
    return several and output != "-" and not Path(output).suffix and not exists(output)


@dataclass(frozen=True, slots=True)
class _Asked:
    """What is asked for each spec."""

    target: str
    options: Options
    weights: Weights
    file: str | None
    folder: str | None
    form: Form | None
    """Of the table of passes, where there is to be one."""

    def path(self, name: str) -> Path:
        """The file of a network of that name."""
        return Path(self.file) if self.file else Path(self.folder or "", f"{name}{get(self.target).suffix}")


def _compile(asked: _Asked, request: Request) -> None:
    """Compiles a spec, and says what was written."""
    backend, options = get(asked.target), asked.options
    network = request.plain.compile()
    usual: Level = 0 if options.training else backend.level
    compiled = request.optimised(network, options.runtime, usual, options.dtype, options.dynamic)
    if request.profile is not None:
        options = replace(options, profile=request.profile.said)
    options = replace(options, features=bool(network.taps))
    if not options.training:
        options = replace(options, folding=compiled.folding, passes=compiled.rewriting)
    if options.dynamic:
        options = replace(options, resized=partial(_resized, request, compiled))
    graph = compiled.trained if options.training else compiled.shown if backend.trainable else compiled.inference
    if asked.file == "-" and isinstance(backend, WritesText):
        write_result(gave(backend, "text", backend.text(graph, options), str), None)
        return
    has_weights = backend.holds_weights and options.weights
    arrays = asked.weights.arrays(compiled, request, options.training) if has_weights else {}
    written = write(backend, graph, arrays, asked.path(compiled.name), options)
    if asked.form is not None:
        write_table(table_of_passes(compiled), asked.form)
    if not request.quiet:
        _say_written(network, compiled, written)
        if written.table is not None and asked.form in (None, "text"):  # else the other table has stdout to itself
            write_table(written.table, "text")


def _resized(request: Request, network: Compiled, rows: int, columns: int) -> Graph:
    """The inference graph at an input that is larger; raises SpecError where there is none."""
    size = larger(network.inference.inputs, rows, columns)
    other = replace(request.plain, input_size=size, quiet=True, strict=False)
    return other.compile().rewritten_as(network).inference


def _form_of_passes(explained: bool, form: Form | None, output: str | None) -> Form | None:
    """The form of the table of passes, None without one; raises UsageError for options that exclude each other."""
    if form and not explained:
        raise UsageError("-f is the form of the table of --explain-passes", "add it, or leave out -f")
    if explained and output == "-":
        raise UsageError("--explain-passes prints to stdout, and so does -o -", "name a file with -o")
    return (form or "text") if explained else None


def _check_many(requests: Sequence[Request], weights: Weights, output: str | None) -> None:
    """Raises UsageError for what only one spec can have, and for two that would be written to one file."""
    if output is not None:
        raise UsageError(f"-o {output} is one file, of {len(requests)} networks", "name a folder, as in -o models/")
    if weights.file is not None:
        raise UsageError(
            f"--weights has the weights of one network, not of {len(requests)}", "compile each with its own"
        )
    named: dict[str, str] = {}
    for request in requests:
        if (name := request.network_name()) is None:
            continue
        if (other := named.get(name.casefold())) is not None:
            raise UsageError(
                f"'{other}' and '{request.label}' would both be written as {name}",
                "compile each of them with its own -o",
            )
        named[name.casefold()] = request.label


def _say_written(network: Compiled, compiled: Compiled, written: Written) -> None:
    """What was written, and the cost of the network as its spec has it, and after the passes where that is another."""
    counts, left = (totals(one.inference.nodes.values()) for one in (network, compiled))
    changed = (left.params, left.macs) != (counts.params, counts.macs)
    after = f" ({left.params:,} and {left.macs:,} after passes)" if changed else ""
    files = ", ".join(f"{p} ({size(p.stat().st_size)})" for p in written.files)
    note = f", {written.note}" if written.note else ""
    say(f"{network.name}: {counts.params:,} parameters, {counts.macs:,} MACs{after} -> {files}{note}")
    for name, feature in features_of(network.inference).items() if network.taps else ():
        say(f"{name}: {feature}")
    if unread := [str(node.path) for node in network.whole.inputs if node.path not in network.graph.nodes]:
        say(f"{', '.join(unread)}: no input, as nothing that is left is computed of it")
    for remark in written.remarks:
        say(f"note: {remark}")


def _check_output(backend: AnyBackend, output: str | None) -> None:
    """Raises UsageError for an output that the target cannot have."""
    if output == "-" and not isinstance(backend, WritesText):
        raise UsageError(
            f"{backend.name} is written as files: name one with -o",
            "of the targets of netspec only json goes to stdout",
        )
    check_suffix(output, backend.product or backend.name, backend.suffix, options=OF_COMPILE)


def _check_weights(backend: AnyBackend) -> None:
    """Raises UsageError for an option that chooses weights, where the target has none."""
    for name in ("weights", "seed") if not backend.holds_weights else ():
        if is_given(name):
            raise UsageError(
                f"--{name} has no meaning with --to {backend.name}, which holds no weights", f"leave out --{name}"
            )
