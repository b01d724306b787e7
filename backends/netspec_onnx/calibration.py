"""Inputs that a network is calibrated with: a folder of images, or arrays by input name, one image at a time."""

from __future__ import annotations

import math
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Protocol

import numpy as np

from netspec.diagnostics.errors import DataError, MissingError, UsageError, did_you_mean
from netspec.ir.graph import Graph, Ref
from netspec.ops import Shape
from netspec.optional import importing
from netspec.running.ports import Port, dims
from netspec.weights.checkpoints.archives import BROKEN, read_npz
from netspec.weights.checkpoints.stored import Need, Stored
from netspec.weights.sample_inputs import contrasting
from netspec_onnx.build_model import BATCH

LABELS = "labels"
"""The array of a .npz file that has the class of each image."""
FEWEST = 2
"""Images: without a second one there is no mean over them to remove."""
HELP = (
    "--calibrate takes a folder of images, or a .npz file with an array for each input whose first axis are the images"
)
WRITTEN = "numpy.savez writes such a file"


class Images(Protocol):
    """Images of one input, in order."""

    @property
    def count(self) -> int:
        """How many images there are."""

    def __iter__(self) -> Iterator[np.ndarray]:
        """Each image without a batch, float32; raises DataError, UsageError."""


@dataclass(frozen=True)
class Calibration:
    """What enters the network, image by image, and the class of each image where it is known."""

    source: str
    images: Mapping[str, Images]
    shapes: Mapping[str, Shape]
    labels: Sequence[int] | None = None

    @property
    def count(self) -> int:
        """How many images there are."""
        return min(images.count for images in self.images.values())

    def batches(self, most: int | None = None) -> Iterator[tuple[dict[str, np.ndarray], int]]:
        """The inputs of each run, and how many of its images are new, of so many images at most.

        A network of a fixed batch gets full ones: the last is filled up with its last image.
        """
        sizes = [shape[0] for shape in self.shapes.values() if isinstance(shape[0], int)]
        each, left = max(sizes, default=1), min(most or self.count, self.count)
        sources = {name: enumerate(images) for name, images in self.images.items()}
        while left > 0:
            new = min(each, left)
            feed = {}
            for name, source in sources.items():
                taken = [_finite(*next(source), name, self.source) for _ in range(new)]
                feed[name] = np.stack(taken + taken[-1:] * (each - new))
            left -= new
            yield feed, new


@dataclass(frozen=True)
class Drawn:
    """Images that are in memory."""

    values: np.ndarray

    @property
    def count(self) -> int:
        """How many images there are."""
        return len(self.values)

    def __iter__(self) -> Iterator[np.ndarray]:
        """Each image without a batch, float32."""
        return iter(self.values)


def drawn(graph: Graph, count: int) -> Calibration:
    """So many random images for each input, which differ in the large; raises MissingError for what is none."""
    shapes: dict[str, Shape] = {str(node.path): node.shape for node in graph.inputs}
    if len({shape[0] for shape in shapes.values()}) != 1:
        message = f"'{graph.name}' is not run in int8: the first axes of its inputs are not the same images"
        raise MissingError(message, "float16 and bfloat16 are for any inputs")
    kinds = {str(node.path): node.attrs["sample"] for node in graph.inputs}
    made = contrasting(shapes, kinds, count, 1)
    return Calibration("random inputs", {name: Drawn(value) for name, value in made.items()}, shapes)


def read_calibration(path: Path, graph: Graph, batch: int | None = None) -> Calibration:
    """What `--calibrate` names, its directory and headers looked at and nothing more; raises UsageError, DataError.

    `batch` is that of a model in which it is fixed.
    """
    fixed = {BATCH: batch} if batch else {}
    shapes: dict[str, Shape] = {
        str(node.path): (fixed.get(str(node.shape[0]), node.shape[0]), *node.shape[1:]) for node in graph.inputs
    }
    for name, shape in shapes.items():
        if any(isinstance(size, str) for size in shape[1:]) or not isinstance(shape[0], int | str) or len(shape) < 2:
            raise UsageError(
                f"the input '{name}' is {dims(shape)}: its first axis alone may be free", "--input sets it"
            )
    if len(firsts := {shape[0] for shape in shapes.values()}) != 1:
        raise UsageError(
            f"the inputs of '{graph.name}' have other first axes: {dims(tuple(firsts))}, not all the images",
            "--dtype float16 needs no images",
        )
    if path.is_dir():
        found = _folder(path, shapes, graph)
    elif path.suffix.lower() == ".npz":
        found = _arrays(path, shapes, graph)
    elif path.exists():
        raise UsageError(f"{path} is not a folder and not a .npz file", HELP)
    else:
        raise UsageError(f"there is no folder or file {path}", HELP)
    if found.count < FEWEST:
        raise DataError(
            "NS701", f"{path} has {found.count} image, at least {FEWEST} are needed", "a hundred are better"
        )
    return found


def first_images(path: Path, graph: Graph, count: int) -> dict[str, np.ndarray]:
    """The first images of what `--calibrate` names, at most so many, as one batch; raises UsageError, DataError."""
    found = read_calibration(path, graph)
    taken = [feed for feed, _ in found.batches(count)]
    return {name: np.concatenate([feed[name] for feed in taken]) for name in found.shapes}


def _finite(place: int, image: np.ndarray, name: str, source: str) -> np.ndarray:
    if not (finite := np.isfinite(image)).all():
        raise DataError(
            "NS701",
            f"{source}: image {place} of the input '{name}' (they count from 0) holds infinite values or NaN",
            f"leave it out, or give others in place of {np.count_nonzero(~finite)} of its {image.size} values",
        )
    return image


# Folders of images


@dataclass(frozen=True)
class Pictures:
    """Images as files, each prepared as `netspec run --image` prepares it when its turn comes."""

    files: Sequence[Path]
    name: str
    shape: Shape

    @property
    def count(self) -> int:
        """How many files there are."""
        return len(self.files)

    def __iter__(self) -> Iterator[np.ndarray]:
        """Each image without a batch; raises DataError for a file that is none, UsageError."""
        from netspec.running.images import read_images  # noqa: PLC0415 - pillow may be absent

        port, size = Port("tensor(float)", self.shape), (1, *(int(size) for size in self.shape[1:]))
        for file in self.files:
            yield read_images([str(file)], self.name, port, size, lambda text: None)[0].astype(np.float32)


def _folder(path: Path, shapes: Mapping[str, Shape], graph: Graph) -> Calibration:
    """A folder of images, or of a folder of images for each class; raises DataError, UsageError, MissingError."""
    if len(shapes) != 1:
        raise UsageError(f"'{graph.name}' has {len(shapes)} inputs, a folder of images is for one", HELP)
    ((name, shape),) = shapes.items()
    if len(shape) != 4 or shape[1] not in (1, 3):
        raise UsageError(f"images need an input of 3 or 1 x H x W, '{name}' is {dims(shape)}", HELP)
    with importing("reading images", "PIL", "run"):
        from PIL import Image  # noqa: PLC0415 - may be absent
    suffixes = {suffix for suffix, kind in Image.registered_extensions().items() if kind in Image.OPEN}
    files = _in(path, suffixes)
    classes = {one.name: _in(one, suffixes) for one in _entries(path) if one.is_dir() and not one.name.startswith(".")}
    classes = {name: found for name, found in classes.items() if found}
    if files and classes:
        raise DataError("NS701", f"{path} has images next to folders of images", "one folder for each class, or none")
    if not files and not classes:
        raise DataError("NS701", f"{path} holds no images", HELP)
    if not classes:
        return Calibration(str(path), {name: Pictures(files, name, shape)}, shapes)
    index = _indices(path, list(classes), graph)
    files = [file for found in classes.values() for file in found]
    labels = [index[label] for label, found in classes.items() for _ in found]
    return Calibration(str(path), {name: Pictures(files, name, shape)}, shapes, labels)


def _entries(folder: Path) -> list[Path]:
    try:
        return sorted(folder.iterdir())
    except OSError as e:
        raise UsageError(f"{folder} cannot be read: {e.strerror}") from None


def _in(folder: Path, suffixes: set[str]) -> list[Path]:
    return [
        one
        for one in _entries(folder)
        if one.suffix.lower() in suffixes and not one.name.startswith(".") and one.is_file()
    ]


def _indices(path: Path, names: list[str], graph: Graph) -> dict[str, int]:
    """The class of each folder: its number where all are numbers, else its place among as many as there are classes."""
    classes = class_count(graph)
    if classes is None:
        raise DataError("NS701", f"{path} has folders of classes, but '{graph.name}' gives no vector of classes", HELP)
    if all(name.isdecimal() and name.isascii() and len(name) < 10 for name in names):
        index = {name: int(name) for name in names}
        _check_classes(path, list(index.values()), classes, graph)
        return index
    if len(names) != classes:
        raise DataError(
            "NS701",
            f"{path} has {len(names)} folders of classes, '{graph.name}' has {classes} classes",
            "name each folder by the number of its class, or put the images into one folder to leave out top-1",
        )
    return {name: i for i, name in enumerate(sorted(names))}


def class_count(graph: Graph) -> int | None:
    """The number of classes of the first output that is a vector for each image; None where there is none."""
    return next((int(shape[1]) for shape in map(graph.shape, _values(graph)) if _is_vector(shape)), None)


def class_output(graph: Graph) -> str | None:
    """The name of the output that class_count is about."""
    return next((name for name, output in graph.outputs.items() if _is_vector(graph.shape(output.ref))), None)


def _values(graph: Graph) -> list[Ref]:
    return [output.ref for output in graph.outputs.values()]


def _is_vector(shape: Shape) -> bool:
    return len(shape) >= 2 and all(isinstance(size, int) for size in shape[1:]) and all(s == 1 for s in shape[2:])


# Arrays


@dataclass(frozen=True)
class Rows:
    """An array of a .npz file, of which one image at a time is read and kept."""

    path: Path
    member: str
    shape: tuple[int, ...]
    dtype: np.dtype[np.generic] = field(default_factory=lambda: np.dtype(np.float32))

    @property
    def count(self) -> int:
        """How many images there are."""
        return self.shape[0]

    def __iter__(self) -> Iterator[np.ndarray]:
        """Each image in float32; raises DataError."""
        size = math.prod(self.shape[1:]) * self.dtype.itemsize
        try:
            with zipfile.ZipFile(self.path) as archive, archive.open(self.member) as f:
                _header(f)
                for _ in range(self.count):
                    if len(data := f.read(size)) != size:
                        raise EOFError("it ends early")
                    yield np.frombuffer(data, self.dtype).reshape(self.shape[1:]).astype(np.float32)
        except BROKEN as e:
            raise _unreadable(self.path, self.member, e) from None


def _header(f: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype[np.generic]]:
    """The shape of an array, whether it lies by columns, and its type."""
    version = np.lib.format.read_magic(f)
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    return read(f)


def _unreadable(path: Path, member: str, error: Exception) -> DataError:
    name = member.removesuffix(".npy")
    return DataError("NS701", f"{path} has '{name}', which cannot be read: {str(error)[:200]}", WRITTEN)


def _arrays(path: Path, shapes: Mapping[str, Shape], graph: Graph) -> Calibration:
    """A .npz file with an array for each input, and `labels` where it has them; raises DataError, UsageError."""
    try:
        stored = read_npz(path, Need())
    except DataError as e:
        raise DataError("NS701", str(e), HELP) from None
    labelled = LABELS in stored and LABELS not in shapes
    for name in stored:
        if name not in shapes and not (labelled and name == LABELS):
            raise DataError(
                "NS701", f"{path} has '{name}', which is no input", str(did_you_mean(name, [*shapes, LABELS]))
            )
    found: dict[str, Rows] = {}
    for name, shape in shapes.items():
        if name not in stored:
            raise DataError(
                "NS701", f"{path} has no array for the input '{name}'", str(did_you_mean(name, stored, HELP))
            )
        found[name] = _rows(path, name, shape, len(shapes) > 1)
    counts = {name: rows.count for name, rows in found.items()}
    if len(set(counts.values())) > 1:
        said = ", ".join(f"'{name}' {count}" for name, count in counts.items())
        help = f"array i of each belongs together; the first {min(counts.values())} of each are as many"
        raise DataError("NS701", f"{path} has arrays of other numbers of images: {said}", help)
    count = next(iter(counts.values()))
    return Calibration(str(path), found, shapes, _labels(path, stored[LABELS], count, graph) if labelled else None)


def _rows(path: Path, name: str, shape: Shape, several: bool) -> Rows:
    """An array that fits an input, of several or the only one: its first axis the images; raises DataError."""
    member = f"{name}.npy"
    try:
        with zipfile.ZipFile(path) as archive, archive.open(member) as f:
            sizes, fortran, dtype = _header(f)
    except BROKEN as e:
        raise _unreadable(path, member, e) from None
    if sizes[1:] != tuple(shape[1:]) or not sizes:
        message = f"{path}: '{name}' is {dims(sizes)}, the network takes {dims(shape)}"
        raise DataError("NS701", message, _fitting(name, sizes, shape, several))
    if dtype.kind not in "fiu":
        raise DataError("NS701", f"{path}: '{name}' holds {dtype}, no numbers", f"{name}.astype('float32')")
    if fortran:
        raise DataError(
            "NS701", f"{path}: '{name}' lies by columns, so that no image can be read alone", "numpy.ascontiguousarray"
        )
    return Rows(path, member, sizes, dtype)


def _fitting(name: str, sizes: tuple[int, ...], shape: Shape, several: bool) -> str:
    """What makes an array fit an input."""
    one = tuple(shape[1:])
    if sizes == one:
        return f"it is one image, at least {FEWEST} are needed: numpy.stack([image, ...])"
    if len(sizes) == 4 and (sizes[3], *sizes[1:3]) == one:
        return f"the channels come first: {name}.transpose(0, 3, 1, 2)"
    if len(sizes) == len(shape) == 4 and sizes[1] == one[0]:
        return f"--input {f'{name}=' if several else ''}{dims(sizes[1:])} compiles the network for images of this size"
    return HELP


def _check_classes(path: Path, found: Sequence[int], classes: int, graph: Graph) -> None:
    """Raises DataError for a class that the network does not have."""
    least, most = min(found, default=0), max(found, default=0)
    if 0 <= least and most < classes:
        return
    help = "without labels top-1 is left out"
    if (least, most) == (1, classes):
        help = "the classes count from 0: take 1 from each"
    wrong = most if most >= classes else least
    raise DataError("NS701", f"{path} has the class {wrong}, '{graph.name}' has 0 to {classes - 1}", help)


def _labels(path: Path, stored: Stored, count: int, graph: Graph) -> list[int]:
    """The class of each image; raises DataError for labels that are none of this network."""
    classes = class_count(graph)
    if classes is None:
        message = f"{path} has labels, but '{graph.name}' gives no vector of classes"
        raise DataError("NS701", message, f"leave '{LABELS}' out of it")
    if stored.shape != (count,) or np.dtype(stored.dtype).kind not in "iu":
        one_hot = stored.shape == (count, classes)
        raise DataError(
            "NS701",
            f"{path}: 'labels' is {dims(stored.shape)} {stored.dtype}, expected {count} integers, one an image",
            "labels.argmax(1)" if one_hot else "labels[i] is the class of image i, from 0 on, as numpy.int64",
        )
    try:
        labels = stored.read()
    except DataError as e:
        raise DataError("NS701", str(e), WRITTEN) from None
    found = [int(label) for label in labels]
    _check_classes(path, found, classes, graph)
    return found
