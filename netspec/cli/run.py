"""netspec run"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import click

from netspec.backend import OpensModels, Runs, able
from netspec.cli.options import OutputFile, Sizes, spec_options
from netspec.cli.output import out, say, size
from netspec.cli.request import Request
from netspec.cli.targets import BackendName
from netspec.cli.unknown_option import SpecCommand
from netspec.cli.weights import Weights, with_weights
from netspec.diagnostics.errors import DataError, UsageError, did_you_mean
from netspec.diagnostics.printer import one_line
from netspec.running.feeds import Feeds, take_folder
from netspec.running.labels import read_labels
from netspec.running.ports import Port
from netspec.running.results import Style, describe, finite, show
from netspec.running.save import check_target, save
from netspec.running.sizes import Sizes as ModelSizes


class NamedSizes(Sizes):
    """3x224x224, or images=1x3x224x224"""

    name = "[NAME=]DIMS"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The name, or None, and the sizes; fails for anything else."""
        name, equals, sizes = str(value).rpartition("=")
        return (name if equals else None), super().convert(sizes, param, ctx)


class HeightWidth(Sizes):
    """640x480"""

    name = "HxW"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> list[int]:
        """The two sizes; fails for anything else."""
        if isinstance(value, list):
            return value
        found = super().convert(value, param, ctx)
        if len(found) != 2:
            self.fail(f"'{value}' is not a height and a width; write 224x224", param, ctx)
        return found


INPUT = click.option(
    "--input",
    "inputs",
    multiple=True,
    type=NamedSizes(),
    help="The size of an input: CxHxW of a spec; NAME=DIMS gives every dimension of an input, its batch too.",
)


@click.command(
    "run",
    cls=SpecCommand,
    epilog="\b\nExamples:\n  netspec run googlenet.onnx\n"
    "  netspec run resnet50 --weights r50.pth --image cat.jpg --labels imagenet\n"
    "  netspec run squeezenet --backend torch -b 8 --repeat 20\n"
    "  netspec run detector.onnx --size 640x480 --image street.png --save found.npz\n"
    "  netspec run detector.onnx --input images=1x3x640x640\n"
    "  netspec run two.onnx --npy left=l.npy --npy right=r.npy\n"
    "  netspec run model.onnx --pb test_data_set_0",
)
@lambda fn: spec_options(fn, INPUT)
@click.option("--backend", type=BackendName(), default="onnx", show_default=True, help="What runs it.")
@click.option("--device", type=click.Choice(["cpu", "cuda"]), default="cpu", show_default=True)
@click.option(
    "--size", type=HeightWidth(), metavar="HxW", help="Height and width of the images: the last two dimensions."
)
@click.option(
    "-b",
    "--batch",
    type=click.IntRange(1, 65536),
    help="The batch: the value of the first symbol, 1 where nothing else gives it.",
)
@click.option("--npy", "arrays", multiple=True, metavar="[NAME=]FILE", help="An input as .npy, in the model's type.")
@click.option(
    "--image",
    "images",
    multiple=True,
    metavar="[NAME=]FILE",
    help="An image, of any depth and mode, upright by its EXIF data, on white where it is transparent: its short side "
    "is resized to 8/7 of the input, the centre is cut out and normalised as for ImageNet (uint8 inputs take bytes). "
    "Several are a batch.",
)
@click.option("--pb", "folder", metavar="FOLDER", help="Inputs as input_0.pb, input_1.pb, ... of ONNX's test sets.")
@with_weights
@click.option(
    "--repeat", type=click.IntRange(1, 100_000), default=5, show_default=True, help="Timed runs after one to warm up."
)
@click.option(
    "--softmax/--no-softmax",
    default=None,
    help="Rank classes by their softmax probabilities, or by the values themselves; by default the values where they "
    "are integers or lie between 0 and 1 already.",
)
@click.option("--labels", metavar="FILE|imagenet", help="Names of the classes, one a line, or ImageNet's 1,000.")
@click.option("--save", type=OutputFile(), metavar="FILE.npz", help="Keep the outputs, each under its name.")
def command(**options: Any) -> int:
    """Run SPEC, or an .onnx file: the outputs, latency, and what really ran.

    Types, shapes and symbols of the inputs are the model's. What is not given is random, by --seed. A vector of classes
    is printed as its five largest, everything else as a summary: shape, type, least, largest, mean, first values.
    """
    labels = read_labels(options["labels"]) if options["labels"] else []
    target = check_target(options["save"]) if options["save"] else None
    quiet = options["quiet"]
    options["weights"] = weights = Weights.of(options)

    def note(text: str) -> None:
        if not quiet:
            say(f"note: {text}")

    model = _file(options) if options["spec"].lower().endswith(".onnx") else _spec(options)
    feeds = Feeds(model.sizes, note)
    if options["folder"]:
        take_folder(feeds, Path(options["folder"]), model.sizes.ports, able("onnx", OpensModels).read_pb)
    feeds.arrays(options["arrays"])
    feeds.pictures(options["images"])
    if options["batch"] is not None:
        model.sizes.batch(options["batch"])
    chosen = model.sizes.complete()
    if chosen:
        note(f"{', '.join(chosen)}: {model.sizes.model} leaves these free; --size HxW or --input NAME=DIMS sets them")
    inputs = feeds.all(weights.seed)
    result = _run(model, inputs, options["repeat"], chosen)
    if target is not None:
        save(result.outputs, target, note)
        if not quiet:
            say(f"outputs -> {target} ({size(target.stat().st_size)})")
    first = next((v.shape for v in inputs.values() if getattr(v, "shape", ())), (1,))
    lines = show(result.outputs, Style(first[0], options["softmax"], labels, options["labels"] or ""))
    for line in [*_entered(inputs, feeds.sources, weights.seed), *_of_weights(model), *lines]:
        out(line)
    out(f"latency: {statistics.median(result.latency_ms):.2f} ms (median of {len(result.latency_ms)})")
    out(f"ran on: {result.provider}")
    if not all(finite(v) for v in result.outputs.values()):
        say("warning: the outputs hold infinite values or NaN")
    return 0


@dataclass(frozen=True, slots=True)
class Model:
    """What is run."""

    sizes: Any
    run: Callable[[Mapping[str, Any], int], Any]
    weights: str
    """Where the weights are from, if they are random."""


def _run(model: Model, inputs: Mapping[str, Any], repeat: int, chosen: Sequence[str]) -> Any:
    """A run; where it fails, and netspec chose sizes for it, the error says so."""
    try:
        return model.run(inputs, repeat)
    except DataError as e:
        if chosen and not e.help:
            e.help = f"{', '.join(chosen)} were chosen by netspec; --size HxW or --input NAME=DIMS sets them"
        raise


def _file(options: Mapping[str, Any]) -> Model:
    """A model file, with the sizes that the options give; raises UsageError, DataError, MissingError."""
    if options["backend"] != "onnx":
        raise UsageError("an .onnx file runs in onnxruntime", "--backend onnx")
    if options["variant"] or options["settings"] or options["weights"].file or options["include"] or options["passes"]:
        raise UsageError("an .onnx file has its weights and its layers already", "these options go with a spec")
    path = Path(options["spec"])
    if not path.is_file():
        raise UsageError(f"there is no file {options['spec']}")
    opened = able("onnx", OpensModels).open(path, options["device"])
    sizes = ModelSizes(opened.inputs)
    for name, given in options["inputs"]:
        sizes.input(name, given)
    if options["size"]:
        sizes.size(*options["size"])
    return Model(sizes, opened.run, opened.weights)


def _spec(options: dict[str, Any]) -> Model:
    """A network, at the size that the options ask for; raises SpecError, UsageError, DataError, MissingError."""
    backend, device = able(options["backend"], Runs), options["device"]
    weights, named = options["weights"], [(n, s) for n, s in options["inputs"] if n is not None]
    unnamed = [s for n, s in options["inputs"] if n is None]
    if len(unnamed) > 1:
        raise UsageError("--input CxHxW is given twice", "--input NAME=DIMS says which input it is for")
    request = Request.of(options | {"input_size": unnamed[0] if unnamed else None})
    if named or options["size"]:
        shapes = {str(n.path): n.shape for n in replace(request, quiet=True, strict=False).compile().inference.inputs}
        request = replace(request, input_size=_wanted(shapes, named, options["size"], unnamed))
    network = request.compile()
    graph = network.inference
    sizes = ModelSizes(
        {str(n.path): Port("tensor(float)", n.shape, n.attrs["sample"]) for n in graph.inputs}, "the network"
    )
    for name, given in named:
        if len(given) == len(sizes.ports[name].shape):  # its batch too
            sizes.input(name, given)

    def run(inputs: Mapping[str, Any], repeat: int) -> Any:
        return backend.run(graph, weights.arrays(network, request), inputs, device, repeat)

    return Model(sizes, run, weights.origin if graph.tensors() else "")


def _wanted(
    shapes: Mapping[str, Sequence[int | str]],
    named: Sequence[tuple[str, list[int]]],
    size: list[int] | None,
    unnamed: Sequence[list[int]],
) -> dict[str, list[int]]:
    """The sizes of a network's inputs by name, without their batch, as --input NAME=DIMS and --size ask for."""
    found = {name: [int(d) for d in shape[1:]] for name, shape in shapes.items()}
    fixed = dict.fromkeys(found, "--input") if unnamed else {}
    for name, given in named:
        if name not in found:
            raise UsageError(f"there is no input '{name}'", did_you_mean(name, found))
        if name in fixed:
            raise UsageError(f"the size of '{name}' is given twice by --input")
        if len(given) - len(found[name]) not in (0, 1):
            said = "x".join(map(str, shapes[name]))
            raise UsageError(f"--input {name}={'x'.join(map(str, given))}: the input '{name}' is {said}")
        found[name], fixed[name] = given[len(given) - len(found[name]) :], "--input"
    for name, sizes in found.items():
        if size and len(sizes) == 3:
            if name in fixed and sizes[1:] != size:
                raise UsageError(
                    f"'{name}' is {sizes[1]}x{sizes[2]} by --input and {size[0]}x{size[1]} by --size",
                    "every dimension has one size",
                )
            found[name] = [sizes[0], *size]
    if size and not any(len(sizes) == 3 for sizes in found.values()):
        raise UsageError("the network has no input with a height and a width", "--size goes with images")
    return found


def _entered(inputs: Mapping[str, Any], sources: Mapping[str, str], seed: int) -> list[str]:
    return [
        f"input {one_line(name)}: {describe(value)}, "
        + (f"from {one_line(sources[name])}" if name in sources else f"random (seed {seed})")
        for name, value in inputs.items()
    ]


def _of_weights(model: Model) -> list[str]:
    return [f"weights: {one_line(model.weights)}: the outputs are no predictions"] if model.weights else []
