"""Results as one .npz file."""

from __future__ import annotations

import shutil
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from netspec.diagnostics.errors import DataError, UsageError
from netspec.files.atomic import writing
from netspec.running.ports import Value, dims, name_of

MAX_STRINGS = 4 * 2**30
OTHER = "leave out --save"
FILES = "files"
"""The key of the names of the images, where outputs are of a folder of them."""


def check_target(target: str) -> Path:
    """The file of `--save`, before the run; raises UsageError where it cannot be one."""
    path = Path(target)
    if path.suffix.lower() != ".npz":
        raise UsageError(f"--save {target}: results are saved as .npz", f"--save {path.with_suffix('.npz')}")
    return path


def save(outputs: Mapping[str, Value], path: Path, say: Callable[[str], None]) -> None:
    """Writes every output under its name; elements of a sequence are `name[0]`, a map is `name.keys`, `name.values`.

    The file takes its place when it is whole; raises UsageError, DataError.
    """
    arrays = [(key, _savable(key, value, say)) for name, value in outputs.items() for key, value in _parts(name, value)]
    if len({key for key, _ in arrays}) < len(arrays):
        raise DataError(
            "NS701", f"{path}: two results would have the same name: {', '.join(k for k, _ in arrays)}", OTHER
        )
    with writing(path) as f, zipfile.ZipFile(f, "w", allowZip64=True) as archive:
        for key, array in arrays:
            with archive.open(zipfile.ZipInfo(f"{key}.npy"), "w", force_zip64=True) as entry:
                np.lib.format.write_array(entry, array, allow_pickle=False)


def _parts(name: str, value: Value) -> Iterator[tuple[str, np.ndarray]]:
    """The arrays that a result is made of, by key; an empty optional has none."""
    if isinstance(value, list):
        for i, item in enumerate(value):
            yield from _parts(f"{name}[{i}]", item)
    elif isinstance(value, Mapping):
        yield f"{name}.keys", np.array(list(value.keys()))
        yield f"{name}.values", np.array(list(value.values()))
    elif value is not None:
        yield name, np.asarray(value)


def _savable(key: str, value: np.ndarray, say: Callable[[str], None]) -> np.ndarray:
    """An array that a .npy file can hold: strings of one length, numbers that numpy knows."""
    if value.dtype.kind == "O":
        longest = max((len(str(v)) for v in value.flat), default=0)
        if longest * 4 * value.size > MAX_STRINGS:
            raise DataError(
                "NS701", f"the strings of '{key}' would take more than {MAX_STRINGS >> 30} GiB in a .npz", OTHER
            )
        return value.astype(str)
    if value.dtype.isbuiltin != 1 and value.dtype.kind not in "US":
        kind = name_of(value.dtype)
        wide = "int8" if kind.startswith("int") else "uint8" if kind.startswith("uint") else "float32"
        say(f"'{key}' is {kind}, which a .npz cannot hold: saved as {wide}, exactly")
        return value.astype(wide)
    return value


class Collected:
    """The outputs of many batches, in files of a folder until all are there: memory holds one batch."""

    def __init__(self, folder: Path, say: Callable[[str], None]) -> None:
        self.folder, self.say = folder, say
        self.kept: dict[str, tuple[Path, np.dtype[np.generic], tuple[int, ...]]] = {}
        self.count = 0

    def add(self, outputs: Mapping[str, np.ndarray]) -> None:
        """Takes the outputs of a batch, whose first dimension is the images; raises DataError."""
        if FILES in outputs:
            raise DataError("NS701", f"an output is called '{FILES}', as in a .npz the names of the images are", OTHER)
        for name, value in outputs.items():
            made = np.ascontiguousarray(_savable(name, value, self.say if name not in self.kept else lambda said: None))
            if made.dtype.kind in "US":
                raise DataError(
                    "NS701", f"the output '{name}' is strings, which are not kept of a folder of images", OTHER
                )
            path, dtype, shape = self.kept.setdefault(
                name, (self.folder / f"{len(self.kept)}.bin", made.dtype, made.shape[1:])
            )
            if (dtype, shape) != (made.dtype, made.shape[1:]):
                raise DataError(
                    "NS701",
                    f"the output '{name}' is {dims(made.shape[1:])} for an image and {dims(shape)} for another",
                    "arrays of one shape can be kept as one: leave out --save",
                )
            with path.open("ab") as f:
                made.tofile(f)
        self.count += len(next(iter(outputs.values()), ()))

    def save(self, path: Path, files: Sequence[str]) -> None:
        """Writes each output under its name, and `files`; the file takes its place when it is whole."""
        with writing(path) as f, zipfile.ZipFile(f, "w", allowZip64=True) as archive:
            with archive.open(zipfile.ZipInfo(f"{FILES}.npy"), "w", force_zip64=True) as entry:
                np.lib.format.write_array(entry, np.array(files), allow_pickle=False)
            for name, (kept, dtype, shape) in self.kept.items():
                described = np.lib.format.dtype_to_descr(dtype)
                header = {"descr": described, "fortran_order": False, "shape": (self.count, *shape)}
                with (
                    archive.open(zipfile.ZipInfo(f"{name}.npy"), "w", force_zip64=True) as entry,
                    kept.open("rb") as data,
                ):
                    np.lib.format.write_array_header_1_0(entry, header)
                    shutil.copyfileobj(data, entry, 1 << 20)
