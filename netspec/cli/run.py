"""netspec run"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from itertools import chain
from pathlib import Path

import click

from netspec.backend import KeepsReady, OpenedModel, OpensModels, Result, Runs, able, gave, get
from netspec.cli.model_file import check_options, is_model_file
from netspec.cli.options import is_given
from netspec.cli.output import out, say
from netspec.cli.output import size as bytes_text
from netspec.cli.output_file import OutputFile
from netspec.cli.request import Request, spec_options
from netspec.cli.run_folder import FolderRun
from netspec.cli.run_options import DeviceName, GivenSizes, HeightWidth, NamedSize, NamedSizes
from netspec.cli.spec_command import SpecCommand
from netspec.cli.tables import form_of, table_options, write_table
from netspec.cli.targets import BackendName
from netspec.cli.weights import Weights, with_weights
from netspec.diagnostics.errors import DataError, UsageError, did_you_mean
from netspec.diagnostics.text import one_line
from netspec.files.pipes import check_file
from netspec.passes.runtimes import runtime_of
from netspec.reports.table import Form
from netspec.running.convert import Say
from netspec.running.feeds import Feeds, batch_of, take_folder
from netspec.running.labels import labels_of, read_labels
from netspec.running.place import MAX_THREADS, Place
from netspec.running.ports import Port, Value
from netspec.running.results import TOP, Style, describe, finite, show
from netspec.running.save import check_target
from netspec.running.save import save as save_outputs
from netspec.running.sizes import Sizes as ModelSizes
from netspec.syntax.published import Preprocessing
from netspec.weights.published.meant import Meant

INPUT = click.option(
    "--input",
    "inputs",
    multiple=True,
    type=NamedSizes(),
    callback=lambda ctx, param, given: tuple(chain.from_iterable(given)),
    help="The size of an input: CxHxW of a spec; NAME=DIMS gives every dimension of an input, its batch too.",
)


@click.command(
    "run",
    cls=SpecCommand,
    epilog="\b\nExamples:\n  netspec run googlenet.onnx\n"
    "  netspec run resnet50 --weights default --image cat.jpg\n"
    "  netspec run resnet50 --weights r50.pth --image cat.jpg --labels imagenet\n"
    "  netspec run squeezenet --backend torch -b 8 --repeat 20\n"
    "  netspec run detector.onnx --size 640x480 --image street.png --save found.npz\n"
    "  netspec run detector.onnx --input images=1x3x640x640\n"
    "  netspec run two.onnx --npy left=l.npy --npy right=r.npy\n"
    "  netspec run model.onnx --pb test_data_set_0\n"
    "  netspec run resnet50 --weights r50.pth --images photos -b 16 --labels imagenet -o found.csv",
)
@lambda fn: spec_options(fn, INPUT)
@click.option("--backend", type=BackendName(), default="onnx", show_default=True, help="What runs it.")
@click.option(
    "--device",
    type=DeviceName(),
    metavar="DEVICE",
    default="cpu",
    show_default=True,
    help="cpu, cuda, tensorrt, openvino; cuda:1 is the second GPU, openvino:GPU Intel's.",
)
@click.option("--threads", type=click.IntRange(1, MAX_THREADS), help="Threads of the processor for one operator.")
@click.option("--cuda-graph", is_flag=True, help="Record the kernels on the GPU once and replay them: sizes are fixed.")
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
    "is resized to 8/7 of the input, the centre is cut out and normalised as for ImageNet (uint8 inputs take bytes), "
    "or as published --weights were trained. Several are a batch.",
)
@click.option(
    "--images",
    "pictures",
    metavar="FOLDER",
    help="All images in a folder and its folders, -b at a time: a table of the classes of each (-f, -o), and by --save "
    "the outputs.",
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
@click.option(
    "--labels",
    metavar="FILE|imagenet",
    help="Names of the classes, one a line, or ImageNet's 1,000; published weights have theirs.",
)
@click.option(
    "--top", type=click.IntRange(1, 10_000), default=TOP, show_default=True, help="How many classes of each image."
)
@table_options()
@click.option(
    "--save", type=OutputFile(stdout=False), metavar="FILE.npz", help="Keep the outputs, each under its name."
)
def command(
    request: Request,
    weights: Weights,
    backend: str,
    device: str,
    threads: int | None,
    cuda_graph: bool,
    inputs: tuple[NamedSize, ...],
    size: list[int] | None,
    batch: int | None,
    arrays: tuple[str, ...],
    images: tuple[str, ...],
    pictures: str | None,
    folder: str | None,
    repeat: int,
    softmax: bool | None,
    labels: str | None,
    top: int,
    form: Form | None,
    output: str | None,
    save: str | None,
) -> int:
    """Run SPEC, or an .onnx file: the outputs, latency, and what really ran.

    Types, shapes and symbols of the inputs are the model's. What is not given is random, by --seed. A vector of classes
    is printed as its five largest, everything else as a summary: shape, type, least, largest, mean, first values.
    A device that is not there is an error. Latency is that of runs whose inputs and outputs lie on the device.
    """
    _check_images(pictures is not None, bool(images or arrays or folder), bool(form or output))
    kind, note, target = form_of(form, output), _notes(request), check_target(save) if save else None
    style = Style(1, softmax, read_labels(labels) if labels else [], labels or "", top)
    given = GivenSizes(inputs, size, bool(images) or pictures is not None)
    opens = _opened if is_model_file(request.spec) else _compiled
    model = opens(request, weights, (backend, Place(device, threads or 0, cuda_graph)), given)
    style = replace(style, labels=style.labels or model.labels)
    if pictures is not None:
        for line in [] if request.quiet else _of_weights(model, True):
            say(line)
        whole = FolderRun(Path(pictures), model.sizes, model.run_once, style, note, request.quiet, model.preprocessing)
        if (table := whole.table(batch, target)).rows:
            write_table(table, kind, output)
        return 0
    feeds = Feeds(model.sizes, note, preprocessing=model.preprocessing)
    if folder:
        take_folder(feeds, Path(folder), model.sizes.ports, able("onnx", OpensModels).read_pb)
    feeds.arrays(arrays)
    feeds.pictures(images)
    if batch is not None:
        model.sizes.batch(batch)
    if chosen := model.sizes.complete():
        note(f"{', '.join(chosen)}: {model.sizes.model} leaves these free; --size HxW or --input NAME=DIMS sets them")
    for doubt in model.sizes.doubts():
        note(doubt)
    values = feeds.all(weights.seed)
    result = _run(model, values, repeat, chosen)
    _save(result, target, note, request.quiet)
    before = [*_entered(values, feeds.sources, weights.seed), *_of_weights(model, bool(images))]
    _print(before, result, replace(style, batch=batch_of(values)))
    return 0


def _check_images(whole: bool, single: bool, table: bool) -> None:
    """Raises UsageError for options that do not go with --images, or with it alone."""
    if not whole and table:
        raise UsageError("-f and -o are of the table of --images", "--save FILE.npz keeps the outputs of a run")
    if whole and single:
        raise UsageError("--images gives the input its values already", "leave out --image, --npy and --pb")
    if whole and is_given("repeat"):
        raise UsageError("--images runs each image once: it is not timed", "leave out --repeat, or give --image FILE")


def _notes(request: Request) -> Say:
    """What says a note on stderr, unless all is to be quiet."""
    return (lambda text: None) if request.quiet else (lambda text: say(f"note: {text}"))


def _save(result: Result, target: Path | None, note: Say, quiet: bool) -> None:
    """Keeps the outputs, where that is asked for."""
    if target is not None:
        save_outputs(result.outputs, target, note)
        if not quiet:
            say(f"outputs -> {target} ({bytes_text(target.stat().st_size)})")


def _print(before: Sequence[str], result: Result, style: Style) -> None:
    """What came of a run."""
    for line in [*before, *show(result.outputs, style)]:
        out(line)
    out(f"latency: {statistics.median(result.latency_ms):.2f} ms (median of {len(result.latency_ms)})")
    out(f"ran on: {result.provider}")
    if not all(finite(v) for v in result.outputs.values()):
        say("warning: the outputs hold infinite values or NaN")


@dataclass(frozen=True, slots=True)
class Model:
    """What is run."""

    sizes: ModelSizes
    run: Callable[[Mapping[str, Value], int], Result]
    weights: str
    """Where the weights are from, if they are random."""
    known: Meant | None = None
    """What is published of the weights."""

    def run_once(self, inputs: Mapping[str, Value]) -> Result:
        """The outputs, without timed runs."""
        return self.run(inputs, 0)

    @property
    def preprocessing(self) -> Preprocessing | None:
        """How images are made for the weights; None where nobody says it."""
        return self.known.preprocessing if self.known is not None else None

    @property
    def labels(self) -> Sequence[str]:
        """The names of the classes that the weights were trained for."""
        return labels_of(self.known.labels) if self.known is not None else []


def _run(model: Model, inputs: Mapping[str, Value], repeat: int, chosen: Sequence[str]) -> Result:
    """A run; where it fails, and netspec chose sizes for it, the error says so."""
    try:
        return model.run(inputs, repeat)
    except DataError as e:
        if chosen and not e.help:
            e.help = f"{', '.join(chosen)} were chosen by netspec; --size HxW or --input NAME=DIMS sets them"
        raise


def _opened(request: Request, weights: Weights, at: tuple[str, Place], given: GivenSizes) -> Model:
    """A model file, with the sizes that the options give; raises UsageError, DataError, MissingError."""
    backend, place = at
    if backend != "onnx":
        raise UsageError("an .onnx file runs in onnxruntime", "--backend onnx")
    check_options(request, weights)
    path = Path(request.spec)
    check_file(path)
    opened = able("onnx", OpensModels).open(path, place)
    sizes = ModelSizes(opened.inputs, said=opened.sizes)
    for name, dims in given.inputs:
        sizes.input(name, dims)
    if given.image:
        sizes.size(*given.image)
    return Model(sizes, opened.run, opened.weights)


def _compiled(request: Request, weights: Weights, at: tuple[str, Place], given: GivenSizes) -> Model:
    """A network, at the size that the options ask for; raises SpecError, UsageError, DataError, MissingError."""
    place = at[1]
    backend, named = able(at[0], Runs), [(n, s) for n, s in given.inputs if n is not None]
    unnamed = [s for n, s in given.inputs if n is None]
    if len(unnamed) > 1:
        raise UsageError("--input CxHxW is given twice", "--input NAME=DIMS says which input it is for")
    request = replace(request, input_size=unnamed[0] if unnamed else None)
    if named or given.image:
        sized = replace(request.plain, quiet=True, strict=False).compile().inference.inputs
        shapes = {str(n.path): n.shape for n in sized}
        request = replace(request, input_size=_asked(shapes, named, given.image, unnamed))
    if given.pictures and request.input_size is None:
        request = replace(request, input_size=_published_size(request, weights))
    network = request.optimised(request.plain.compile(), runtime_of(at[0]), get(at[0]).level)
    graph = network.inference
    sizes = ModelSizes(
        {str(n.path): Port("tensor(float)", n.shape, n.attrs["sample"]) for n in graph.inputs}, "the network"
    )
    for name, dims in named:
        if len(dims) == len(sizes.ports[name].shape):  # its batch too
            sizes.input(name, dims)

    if not isinstance(backend, KeepsReady) and place != Place(place.device):
        raise UsageError(f"the backend '{at[0]}' takes a device, and no threads or CUDA graphs", "--backend onnx")

    @cache
    def ready() -> OpenedModel:
        assert isinstance(backend, KeepsReady)
        return backend.ready(graph, weights.arrays(network, request), place)

    def run(inputs: Mapping[str, Value], repeat: int) -> Result:
        if isinstance(backend, KeepsReady):
            result = ready().run(inputs, repeat)
        else:
            result = backend.run(graph, weights.arrays(network, request), inputs, place.device, repeat)
        return gave(backend, "run", result, Result)

    return Model(sizes, run, weights.origin if graph.tensors() else "", weights.meant(network))


def _published_size(request: Request, weights: Weights) -> list[int] | None:
    """The size of pictures that published weights of this very variant were tested at; None for the network's own."""
    network = replace(request.plain, quiet=True, strict=False).compile()
    known, inputs = weights.meant(network), network.inference.inputs
    crop = known.preprocessing.crop if known is not None and known.preprocessing is not None else None
    if crop is None or len(inputs) != 1 or len(inputs[0].shape) != 4:
        return None
    if known is None or known.published is None or known.published.variant not in (network.variant, network.name):
        return None
    return [int(inputs[0].shape[1]), *crop]


def _asked(
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
            raise UsageError(f"the size of '{name}' is given twice by --input", "leave out one of the two")
        if len(given) - len(found[name]) not in (0, 1):
            said = "x".join(map(str, shapes[name]))
            message = f"--input {name}={'x'.join(map(str, given))}: the input '{name}' is {said}"
            raise UsageError(message, f"it takes {len(found[name])} sizes, or one more with the batch")
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


def _entered(inputs: Mapping[str, Value], sources: Mapping[str, str], seed: int) -> list[str]:
    return [
        f"input {one_line(name)}: {describe(value)}, "
        + (f"from {one_line(sources[name])}" if name in sources else f"random (seed {seed})")
        for name, value in inputs.items()
    ]


def _of_weights(model: Model, images: bool) -> list[str]:
    """What is said of the weights: that they are random, or how images are made for them."""
    random = [f"weights: {one_line(model.weights)}: the outputs are not predictions"] if model.weights else []
    return [*random, *([f"images: {model.preprocessing}"] if images and model.preprocessing is not None else [])]
