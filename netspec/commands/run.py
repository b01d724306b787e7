"""netspec run"""

from __future__ import annotations

import statistics
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from netspec.commands.common import Request, Weights, out, say, spec_options, with_weights
from netspec.errors import DataError, UsageError, did_you_mean
from netspec.optional import importing

if TYPE_CHECKING:
    import numpy as np

MEAN, STD = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]


@click.command(
    "run",
    epilog="\b\nExamples:\n  netspec run googlenet.onnx\n  netspec run resnet50 --weights r50.pth --image cat.jpg\n"
    "  netspec run squeezenet --backend torch -b 8 --repeat 20",
)
@spec_options
@click.option("--backend", default="onnx", show_default=True, metavar="onnx|torch", help="What runs it.")
@click.option("--device", type=click.Choice(["cpu", "cuda"]), default="cpu", show_default=True)
@click.option("-b", "--batch", type=click.IntRange(1, 65536), default=1, show_default=True)
@click.option("--npy", "arrays", multiple=True, metavar="FILE|NAME=FILE", help="An input as .npy.")
@click.option(
    "--image",
    "images",
    multiple=True,
    metavar="FILE",
    help="An image: its short side is resized to 8/7 of the input, the "
    "centre is cut out and normalised as for ImageNet.",
)
@with_weights
@click.option(
    "--repeat", type=click.IntRange(1, 100_000), default=5, show_default=True, help="Timed runs after one to warm up."
)
def command(
    backend: str,
    device: str,
    batch: int,
    arrays: tuple[str, ...],
    images: tuple[str, ...],
    repeat: int,
    **options: Any,
) -> int:
    """Run SPEC, or an .onnx file: output shapes, the five largest of each output, latency, and what really ran.

    Without --npy or --image the input is random, by --seed.
    """
    from netspec.backend import able, get

    spec, weights = options["spec"], Weights.of(options)
    if spec.lower().endswith(".onnx"):
        if backend != "onnx":
            raise UsageError("an .onnx file runs in onnxruntime", "--backend onnx")
        if options["variant"] or options["settings"] or options["input_size"] or weights.file:
            raise UsageError(
                "an .onnx file has its weights and its shape already",
                "these options go with a spec",
            )
        path = Path(spec)
        if not path.is_file():
            raise UsageError(f"there is no file {spec}")
        engine = get("onnx")
        shapes = engine.signature(path)
        inputs = make_inputs(shapes, batch, arrays, images, weights.seed)
        result = engine.run_file(path, inputs, device, repeat)
    else:
        engine = able(backend, "run")
        request = Request.of(options)
        network = request.network()
        graph = network.inference
        shapes = {n.path: n.shape for n in graph.inputs}
        kinds = {str(n.path): n.attrs["sample"] for n in graph.inputs}
        inputs = make_inputs(shapes, batch, arrays, images, weights.seed, kinds)
        result = engine.run(graph, weights.arrays(network, request), inputs, device, repeat)
    _print(result, inputs)
    return 0


def make_inputs(
    shapes: dict[str, tuple[int | str, ...]],
    batch: int,
    files: tuple[str, ...],
    images: tuple[str, ...],
    seed: int,
    kinds: Mapping[str, str] | None = None,
) -> dict[str, np.ndarray]:
    """The inputs of a run by name, float32; raises DataError, UsageError."""
    import numpy as np

    from netspec.samples import sample

    given: dict[str, np.ndarray] = {}
    for text in files:
        name, equals, file = text.partition("=")
        if not equals or Path(text).is_file():
            name, file = next(iter(shapes)), text
        elif name not in shapes:
            raise UsageError(f"there is no input '{name}'", did_you_mean(name, shapes))
        given[name] = _array(Path(file))
    if images:
        name = next(iter(shapes))
        given[name] = np.stack([_image(Path(f), shapes[name]) for f in images])
    given = sample(shapes, kinds or {}, batch, seed) | given
    for name, shape in shapes.items():
        fits = given[name].ndim == len(shape) and all(
            (g > 0 if isinstance(w, str) else w == g) for w, g in zip(shape, given[name].shape, strict=True)
        )
        if not fits:
            raise DataError(
                "NS701",
                f"the input '{name}' is {'x'.join(map(str, given[name].shape)) or 'a scalar'}, the network wants "
                f"{'x'.join(map(str, shape))}",
            )
    return given


def _array(path: Path) -> np.ndarray:
    import numpy as np

    try:
        loaded = np.load(path, allow_pickle=False)
    except OSError as e:
        raise UsageError(f"{path} cannot be read: {e.strerror or e}") from None
    except (ValueError, EOFError) as e:
        raise DataError("NS701", f"{path} is no .npy file: {str(e)[:200]}") from None
    if not isinstance(loaded, np.ndarray) or loaded.dtype.kind not in "fiub":
        raise DataError("NS701", f"{path} holds no numbers")
    return loaded.astype(np.float32)


def _image(path: Path, shape: tuple[int | str, ...]) -> np.ndarray:
    """An image as (C, H, W): short side to 8/7 of the input, centre crop, ImageNet mean and deviation."""
    import numpy as np

    with importing("reading images", "PIL", "run"):
        from PIL import Image, UnidentifiedImageError
    if len(shape) != 4 or shape[1] != 3 or not all(isinstance(d, int) for d in shape[1:]):
        raise UsageError("--image needs an input of 3 x H x W")
    height, width = int(shape[2]), int(shape[3])
    try:
        picture = Image.open(path).convert("RGB")
    except OSError as e:
        if not isinstance(e, UnidentifiedImageError) and e.errno is not None:
            raise UsageError(f"{path} cannot be read: {e.strerror}") from None
        raise DataError("NS701", f"{path} is no image that can be read: {str(e)[:200]}") from None
    except (ValueError, Image.DecompressionBombError) as e:
        raise DataError("NS701", f"{path} is no image that can be read: {str(e)[:200]}") from None
    scale = max(height * 8 / 7 / picture.height, width * 8 / 7 / picture.width)
    picture = picture.resize(
        (max(width, round(picture.width * scale)), max(height, round(picture.height * scale))),
        Image.Resampling.BILINEAR,
    )
    left, top = (picture.width - width) // 2, (picture.height - height) // 2
    cells = np.asarray(picture.crop((left, top, left + width, top + height)), np.float32) / 255
    normal: np.ndarray = (cells - np.array(MEAN, np.float32)) / np.array(STD, np.float32)
    return normal.transpose(2, 0, 1)


def _print(result: Any, inputs: dict[str, np.ndarray]) -> None:
    """The outputs, and what ran them."""
    import numpy as np

    for name, value in inputs.items():
        out(f"input {name}: {'x'.join(map(str, value.shape))}")
    for name, value in result.outputs.items():
        out(f"output {name}: {'x'.join(map(str, value.shape))}")
        flat = value.reshape(value.shape[0], -1)
        for row, values in enumerate(flat[:4]):
            top = np.argsort(-values, kind="stable")[:5]
            label = f"  [{row}] " if len(flat) > 1 else "  "
            out(f"{label}top {len(top)}: {', '.join(f'{i} ({values[i]:.4g})' for i in top)}")
        if len(flat) > 4:
            out(f"  ... {len(flat) - 4} more")
    out(f"latency: {statistics.median(result.latency_ms):.2f} ms (median of {len(result.latency_ms)})")
    out(f"ran on: {result.provider}")
    if not all(np.isfinite(v).all() for v in result.outputs.values()):
        say("warning: the outputs hold infinite values or NaN")
