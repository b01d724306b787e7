"""netspec compile"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from netspec.analysis.cost import totals
from netspec.backend import Options, able
from netspec.cli.options import OutputFile, spec_options
from netspec.cli.output import say, size, write_result
from netspec.cli.request import Request
from netspec.cli.unknown_option import SpecCommand
from netspec.cli.weights import Weights, with_weights
from netspec.diagnostics.errors import UsageError
from netspec.files.atomic import write_text
from netspec.files.kinds import check_suffix
from netspec.ir.json import to_json


@click.command(
    "compile",
    cls=SpecCommand,
    epilog="\b\nExamples:\n  netspec compile specs/googlenet.yaml --to onnx\n"
    "  netspec compile resnet50 --weights r50.pth --to onnx -o r50.onnx\n"
    "  netspec compile resnet50 -s classes=10 --weights r50.pth --exclude fc --to onnx\n"
    "  netspec compile squeezenet --to torch -o squeezenet.py",
)
@spec_options
@click.option("--to", "target", required=True, metavar="onnx|torch|json", help="What to write.")
@click.option("-o", "output", type=OutputFile(), help="Where to write; NAME.onnx, .py or .json here by default.")
@with_weights
@click.option("--opset", type=int, help="ONNX operator set; 18, or the lowest that has every operator used.")
@click.option(
    "--dtype",
    type=click.Choice(["float32", "float16"]),
    default="float32",
    show_default=True,
    help="ONNX: what it computes in; constants that float16 would lose stay in float32.",
)
@click.option(
    "--functions",
    type=click.Choice(["keep", "inline"]),
    default="keep",
    show_default=True,
    help="ONNX: blocks as functions, or one flat graph.",
)
@click.option(
    "--external-data/--no-external-data", default=None, help="ONNX: weights in a file beside; above 2 GB by default."
)
@click.option("--training", is_flag=True, help="PyTorch: auxiliary heads too.")
@click.option("--no-weights", is_flag=True, help="PyTorch: the source alone.")
def command(
    target: str,
    output: str | None,
    opset: int | None,
    dtype: str,
    functions: str,
    external_data: bool | None,
    training: bool,
    no_weights: bool,
    **options: Any,
) -> int:
    """Compile SPEC to an ONNX model, a PyTorch source file, or JSON.

    The ONNX model has weights: seeded ones, or those of a checkpoint. The PyTorch file needs nothing of netspec;
    its state dict is written beside it as .pth, or as .safetensors where PyTorch is not installed.
    """
    weights, request = Weights.of(options), Request.of(options)
    if no_weights and weights.file:
        raise UsageError("--weights and --no-weights exclude each other", "leave one of them out")
    _check_options(target)
    _check_output(target, output)
    network = request.compile()
    note = ""
    remarks: list[str] = []
    if target == "json":
        text = to_json(network.trained if training else network.inference)
        written = _write(text, output, f"{network.name}.json")
    else:
        backend = able(target, "emit")
        path = Path(output or f"{network.name}{backend.suffix}")
        chosen = Options(opset, dtype, functions, external_data, training, weights.seed, not no_weights, weights.origin)
        graph = network.trained if training else network.shown if target == "torch" else network.inference
        arrays = {} if no_weights else weights.arrays(network, request, training)
        written = backend.emit(graph, arrays, path, chosen)
        said = backend.note(graph, chosen) if hasattr(backend, "note") and not request.quiet else ""
        note = f", {said}" if said else ""
        remarks = backend.remarks(path) if hasattr(backend, "remarks") else []
    if not request.quiet and written:
        counts = totals(network.inference.nodes.values())
        files = ", ".join(f"{p} ({size(p.stat().st_size)})" for p in written)
        say(f"{network.name}: {counts.params:,} parameters, {counts.macs:,} MACs -> {files}{note}")
        for remark in remarks:
            say(f"note: {remark}")
    return 0


def _check_output(target: str, output: str | None) -> None:
    """Raises UsageError for an output that the target cannot have, MissingError where the target is not there."""
    if target == "json":
        check_suffix(output, "JSON", ".json")
        return
    suffix = able(target, "emit").suffix
    if output == "-":
        raise UsageError(f"{target} is written as files: name one with -o", "--to json goes to stdout")
    check_suffix(output, {"torch": "Python source", "onnx": "an ONNX model"}.get(target, target), suffix)


ONNX_ALONE = ("opset", "dtype", "functions", "external_data")


def _check_options(target: str) -> None:
    """Raises UsageError for an option that the target would ignore."""
    given = click.get_current_context()
    for name in ONNX_ALONE if target in ("torch", "json") else ():
        if given.get_parameter_source(name) is click.core.ParameterSource.COMMANDLINE:
            raise UsageError(f"--{name.replace('_', '-')} goes with --to onnx, not with {target}")
    for name in ("weights", "seed", "no_weights") if target == "json" else ():
        if given.get_parameter_source(name) is click.core.ParameterSource.COMMANDLINE:
            raise UsageError(f"--{name.replace('_', '-')} has no meaning with --to json, which holds no weights")


def _write(text: str, output: str | None, default: str) -> list[Path]:
    if output == "-":
        write_result(text, None)
        return []
    return [write_text(Path(output or default), text + "\n")]
