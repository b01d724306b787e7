"""netspec compile"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import click

from netspec.analysis.cost import totals
from netspec.backend import AnyBackend, WritesText, Written, gave, get, write
from netspec.cli.output import say, size
from netspec.cli.output_file import OutputFile, write_result
from netspec.cli.request import Request, spec_options
from netspec.cli.tables import write_table
from netspec.cli.targets import BackendName, TargetCommand, chosen
from netspec.cli.weights import Weights, with_weights
from netspec.diagnostics.errors import UsageError
from netspec.elaborate.compiled import Compiled
from netspec.files.kinds import OF_COMPILE, check_suffix
from netspec.passes.base import Level
from netspec.reports.passes import table_of_passes
from netspec.reports.table import FORMS, Form


@click.command(
    "compile",
    cls=TargetCommand,
    epilog="\b\nExamples:\n  netspec compile specs/googlenet.yaml --to onnx\n"
    "  netspec compile resnet50 --weights r50.pth --to onnx -o r50.onnx\n"
    "  netspec compile resnet50 -s classes=10 --weights r50.pth --adapt --to onnx\n"
    "  netspec compile squeezenet --to torch -o squeezenet.py",
)
@spec_options
@click.option("--to", "target", required=True, type=BackendName(json=True), help="What to write.")
@click.option("-o", "output", type=OutputFile(), help="Where to write; NAME and the target's suffix by default.")
@click.option(
    "--explain-passes",
    is_flag=True,
    help="Print what each pass changes: how often, MACs, parameters and bytes of weights before and after.",
)
@click.option("-f", "--format", "form", type=click.Choice(FORMS), help="The form of that table; text by default.")
@with_weights
def command(
    request: Request,
    weights: Weights,
    target: str,
    output: str | None,
    explain_passes: bool,
    form: Form | None,
    **own: object,
) -> int:
    """Compile SPEC to an ONNX model, a PyTorch source file, JSON, or what another backend writes.

    The ONNX model has weights: seeded ones, or those of a checkpoint. The PyTorch file needs nothing of netspec;
    its state dict is written next to it as .pth, or as .safetensors where PyTorch is not installed.
    """
    backend = get(target)
    asked = chosen(backend, own, weights.origin)
    if weights.file and not asked.weights:
        raise UsageError("--weights and --no-weights exclude each other", "leave one of them out")
    if form and not explain_passes:
        raise UsageError("-f is the form of the table of --explain-passes", "add it, or leave out -f")
    if explain_passes and output == "-":
        raise UsageError("--explain-passes prints to stdout, and so does -o -", "name a file with -o")
    _check_weights(backend)
    _check_output(backend, output)
    network = replace(request, level=0).compile()
    default: Level = 0 if asked.training else backend.level
    compiled = network.optimised(default if request.level is None else request.level)
    graph = compiled.trained if asked.training else compiled.shown if backend.trainable else compiled.inference
    if output == "-" and isinstance(backend, WritesText):
        write_result(gave(backend, "text", backend.text(graph, asked), str), None)
        return 0
    arrays = weights.arrays(compiled, request, asked.training) if backend.holds_weights and asked.weights else {}
    written = write(backend, graph, arrays, Path(output or f"{compiled.name}{backend.suffix}"), asked)
    if explain_passes:
        write_table(table_of_passes(compiled), form or "text")
    if not request.quiet:
        _say_written(network, written)
    return 0


def _say_written(network: Compiled, written: Written) -> None:
    """What was written, and the cost of the network as its spec has it, whatever its level is."""
    counts = totals(network.inference.nodes.values())
    files = ", ".join(f"{p} ({size(p.stat().st_size)})" for p in written.files)
    note = f", {written.note}" if written.note else ""
    say(f"{network.name}: {counts.params:,} parameters, {counts.macs:,} MACs -> {files}{note}")
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
    given = click.get_current_context()
    for name in ("weights", "seed") if not backend.holds_weights else ():
        if given.get_parameter_source(name) is click.core.ParameterSource.COMMANDLINE:
            raise UsageError(f"--{name} has no meaning with --to {backend.name}, which holds no weights")
