"""Folders of images in batches: the files, their pictures read ahead of the runs, and the outputs image by image."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np

from netspec.diagnostics.errors import DataError, UsageError
from netspec.running.ports import Port, Value, dims

SUFFIXES = (".avif", ".bmp", ".gif", ".jpeg", ".jpg", ".jp2", ".png", ".ppm", ".pgm", ".tif", ".tiff", ".webp")
MAX_FILES = 10_000_000
READERS = 8
"""Threads that read images, at most: Pillow holds no lock of Python while it decodes."""

Read = Callable[[Path], np.ndarray]
"""Reads an image as an input of batch 1."""
Run = Callable[[np.ndarray], Mapping[str, Value]]
"""Runs a batch; gives its outputs by name."""


def image_files(folder: Path, otherwise: str = "--image FILE takes a single image") -> tuple[list[Path], int]:
    """The images in a folder and its folders, by name, and how many others; raises UsageError, with help for a file.

    What has the suffix of an image and is a pipe, a device or a link to nothing is one of the others. A name with a dot
    at its beginning is hidden, and left out as a shell's * leaves it out: macOS puts `._a.jpg` next to a.jpg.
    """
    if not folder.is_dir():
        message = f"{folder} is a file and no folder" if folder.exists() else f"there is no folder {folder}"
        raise UsageError(message, otherwise)
    found, others = list[Path](), 0
    for base, folders, names in os.walk(folder, onerror=_unreadable):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(name for name in names if not name.startswith(".")):
            path = Path(base, name)
            if path.suffix.lower() in SUFFIXES and path.is_file():
                found.append(path)
            else:
                others += 1
        if len(found) > MAX_FILES:
            raise UsageError(f"{folder} holds more than {MAX_FILES:,} images", "run its folders one by one")
    if not found:
        raise UsageError(f"{folder} holds no images", f"their suffixes are {', '.join(SUFFIXES)}")
    return found, others


def _unreadable(error: OSError) -> None:
    raise UsageError(f"{error.filename} cannot be read: {error.strerror}")


def image_input(ports: Mapping[str, Port]) -> tuple[str, Port]:
    """The one input, which takes images; raises DataError for a model that has others."""
    if len(ports) != 1 or len(next(iter(ports.values())).shape) != 4:
        said = ", ".join(f"'{name}' {dims(port.shape)}" for name, port in ports.items()) or "none"
        raise DataError(
            "NS701",
            f"folders of images go into one input N x C x H x W, the inputs are {said}",
            "give arrays by --npy NAME=FILE",
        )
    return next(iter(ports.items()))


def batch_size(port: Port, asked: int | None, count: int) -> int:
    """The batch of a run of so many images: what is asked for, the model's own, or 1; never more than there are."""
    if isinstance(fixed := port.shape[0], int):
        return asked or fixed
    return max(1, min(asked or 1, count))


@dataclass(frozen=True, slots=True)
class Batch:
    """Some images, and the outputs for them: the first dimension of each is the images."""

    files: Sequence[Path]
    outputs: Mapping[str, np.ndarray]


def run_batches(files: Sequence[Path], size: int, read: Read, run: Run) -> Iterator[Batch]:
    """Runs all images in batches of one size; raises UsageError, DataError for what is no image or no batch.

    The images of the next batch are read while one runs. The last batch is filled up with its last image, so that
    every run has the same shape: a fixed batch takes no other, and a CUDA graph or TensorRT would begin anew.
    """
    ahead: deque[tuple[Path, Future[np.ndarray]]] = deque()
    left = iter(files)
    with ThreadPoolExecutor(min(READERS, os.cpu_count() or 1), "netspec-images") as pool:

        def submit(count: int) -> None:
            ahead.extend((path, pool.submit(read, path)) for path in islice(left, count))

        try:
            submit(2 * size)
            while ahead:
                taken = [ahead.popleft() for _ in range(min(size, len(ahead)))]
                pictures = [waiting.result() for _, waiting in taken]
                submit(size)
                pictures += pictures[-1:] * (size - len(pictures))
                outputs = run(np.concatenate(pictures))
                yield Batch([path for path, _ in taken], _of_images(outputs, size, len(taken)))
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def _of_images(outputs: Mapping[str, Value], size: int, count: int) -> dict[str, np.ndarray]:
    """The outputs of the first `count` images; raises DataError for one that is not a batch."""
    found = {}
    for name, value in outputs.items():
        if not isinstance(value, np.ndarray) or not value.ndim or value.shape[0] != size:
            said = dims(value.shape) if isinstance(value, np.ndarray) else type(value).__name__
            raise DataError(
                "NS701",
                f"the output '{name}' is {said} for {size} images: its first dimension is not the images",
                "run the images one by one: -b 1, or --image",
            )
        found[name] = value[:count]
    return found
