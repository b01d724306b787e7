"""netspec compile"""

from __future__ import annotations

from pathlib import Path

import click

from netspec.analysis.cost import totals
from netspec.backend import AnyBackend, WritesText, gave, get, write
from netspec.cli.output import say, size
from netspec.cli.output_file import OutputFile, write_result
from netspec.cli.request import Request, spec_options
from netspec.cli.targets import BackendName, TargetCommand, chosen
from netspec.cli.weights import Weights, with_weights
from netspec.diagnostics.errors import UsageError
from netspec.files.kinds import OF_COMPILE, check_suffix


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
@with_weights
def command(request: Request, weights: Weights, target: str, output: str | None, **own: object) -> int:
    """Compile SPEC to an ONNX model, a PyTorch source file, JSON, or what another backend writes.

    The ONNX model has weights: seeded ones, or those of a checkpoint. The PyTorch file needs nothing of netspec;
    its state dict is written next to it as .pth, or as .safetensors where PyTorch is not installed.
    """
    backend = get(target)
    asked = chosen(backend, own, weights.origin)
    if weights.file and not asked.weights:
        raise UsageError("--weights and --no-weights exclude each other", "leave one of them out")
    _check_weights(backend)
    _check_output(backend, output)
    compiled = request.compile()
    graph = compiled.trained if asked.training else compiled.shown if backend.trainable else compiled.inference
    if output == "-" and isinstance(backend, WritesText):
        write_result(gave(backend, "text", backend.text(graph, asked), str), None)
        return 0
    arrays = weights.arrays(compiled, request, asked.training) if backend.holds_weights and asked.weights else {}
    written = write(backend, graph, arrays, Path(output or f"{compiled.name}{backend.suffix}"), asked)
    if not request.quiet:
        counts = totals(compiled.inference.nodes.values())
        files = ", ".join(f"{p} ({size(p.stat().st_size)})" for p in written.files)
        note = f", {written.note}" if written.note else ""
        say(f"{compiled.name}: {counts.params:,} parameters, {counts.macs:,} MACs -> {files}{note}")
        for remark in written.remarks:
            say(f"note: {remark}")
    return 0


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
