"""Models in int8 against the same in float32, by onnxruntime: what they lose and gain. A part of `tools/dev bench`."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from bench_models import BATCHES, row
from bench_pairs import table

if TYPE_CHECKING:
    import numpy as np

TITLES = {"resnet50": "ResNet-50", "googlenet": "GoogLeNet", "mobilenet_v2": "MobileNetV2"}
REWRITTEN = ("googlenet",)
"""Networks that -O2 rewrites: normalisation over channels has no kernel in int8, and a convolution has."""
KINDS = ("float32", "int8", "int8, -O2", "int8, part in float32")
IMAGES = 16


def photographs(count: int, size: int) -> np.ndarray:
    """Images (count, 3, size, size) with the spectrum of photographs, each of its own colour and contrast.

    Their amplitude falls with the frequency, as that of natural scenes (Field 1987).
    """
    import numpy as np

    rng = np.random.default_rng(0)
    frequency = np.hypot(np.fft.fftfreq(size)[:, None], np.fft.rfftfreq(size)[None])
    frequency[0, 0] = frequency[0, 1]
    noise = np.fft.rfft2(rng.standard_normal((count, 3, size, size))) / frequency
    images = np.fft.irfft2(noise, s=(size, size))
    images /= images.std((2, 3), keepdims=True)
    colour, contrast = rng.standard_normal((count, 3, 1, 1)), rng.uniform(0.3, 1, (count, 1, 1, 1))
    return (colour + contrast * images).astype(np.float32)


def _decibels(remarks: list[str]) -> str:
    """The centred ratio of signal to noise at the output, as compile says it."""
    return next(found[1] for line in remarks if (found := re.search(r"centred over \d+ images (.+)$", line)))


def int8(seconds: float, folder: Path, names: tuple[str, ...] = tuple(TITLES)) -> Iterator[str]:
    """Latency, size and noise of three networks in int8, on weights that tell images apart."""
    import numpy as np

    import netspec
    from netspec.backend import get, write
    from netspec.weights.initialise import lazily_for_comparison
    from netspec.weights.lazy import computed

    backend, rows, said = get("onnx"), [], []
    for name in names:
        whole = netspec.load(name).inference
        arrays, images = lazily_for_comparison(whole), folder / "images.npz"
        np.savez(images, input=photographs(IMAGES, 224))
        paths = {kind: folder / f"{name}.{kind}.onnx" for kind in KINDS}
        write(backend, whole, arrays, paths["float32"], backend.options())
        quick = {"dtype": "int8", "calibrate": str(images)}
        made = write(backend, whole, arrays, paths["int8"], backend.options(**quick, keep_float=()))
        decibels = _decibels(list(made.remarks))
        if name in REWRITTEN:
            after = netspec.load(name).optimised(2, "onnxruntime")
            weights = computed(after.module, arrays)
            write(backend, after.inference, weights, paths["int8, -O2"], backend.options(**quick, keep_float=()))
        asked = {kind: paths[kind] for kind in ("float32", "int8", "int8, -O2") if paths[kind].exists()}
        advice = [found for line in made.remarks if (found := re.search(r"in float32: --keep-float (\S+)", line))]
        kept = "nothing"
        if advice:
            steps = tuple(advice[0][1].split(","))
            kept = f"{len(steps)} parts"
            part = write(
                backend,
                whole,
                arrays,
                paths["int8, part in float32"],
                backend.options(**quick, keep_float=steps),
            )
            decibels += f"; with {kept} in float32 {_decibels(list(part.remarks))}"
            asked["int8, part in float32"] = paths["int8, part in float32"]
        size = paths["int8"].stat().st_size / paths["float32"].stat().st_size
        said.append(f"{TITLES[name]}: {decibels}, {size:.2f} of the bytes")
        asked = {"float32": paths["float32"], "float32 again": paths["float32"], **asked}
        rows += [row(TITLES[name], asked, batch, seconds, None) for batch in BATCHES]
    yield table("int8 in onnxruntime", ["network", "batch"], rows)
    yield f"Signal to noise at the output, centred over {IMAGES} images: {'. '.join(said)}."
