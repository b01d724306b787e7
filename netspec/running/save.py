"""Results as one .npz file."""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import numpy as np

from netspec.diagnostics.errors import DataError, UsageError
from netspec.files.atomic import writing
from netspec.running.ports import Value, name_of

MAX_STRINGS = 4 * 2**30


def check_target(target: str) -> Path:
    """The file of `--save`, before the run; raises UsageError where it cannot be one."""
    path = Path(target)
    if path.suffix.lower() != ".npz":
        raise UsageError(f"--save {target}: results are saved as .npz")
    return path


def save(outputs: Mapping[str, Value], path: Path, say: Callable[[str], None]) -> None:
    """Writes every output under its name; elements of a sequence are `name[0]`, a map is `name.keys`, `name.values`.

    The file takes its place when it is whole; raises UsageError, DataError.
    """
    arrays = [(key, _savable(key, value, say)) for name, value in outputs.items() for key, value in _parts(name, value)]
    if len({key for key, _ in arrays}) < len(arrays):
        raise DataError("NS701", f"{path}: two results would have the same name: {', '.join(k for k, _ in arrays)}")
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
            raise DataError("NS701", f"the strings of '{key}' would take more than {MAX_STRINGS >> 30} GiB in a .npz")
        return value.astype(str)
    if value.dtype.isbuiltin != 1 and value.dtype.kind not in "US":
        kind = name_of(value.dtype)
        wide = "int8" if kind.startswith("int") else "uint8" if kind.startswith("uint") else "float32"
        say(f"'{key}' is {kind}, which a .npz cannot hold: saved as {wide}, exactly")
        return value.astype(wide)
    return value
