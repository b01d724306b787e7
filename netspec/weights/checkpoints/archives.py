"""Zip archives of arrays: .npz files, and the directory of any archive before it is trusted."""

from __future__ import annotations

import io
import math
import struct
import tokenize
import zipfile
import zlib
from collections import Counter
from pathlib import Path
from typing import IO

import numpy as np

from netspec.weights.checkpoints.stored import Need, Stored, reading, refuse

_HEADER = 2**14
"""The most bytes of an array's header: numpy itself takes 10,000 characters."""
BROKEN = (
    OSError,
    ValueError,
    EOFError,
    MemoryError,
    RuntimeError,
    NotImplementedError,
    OverflowError,
    SyntaxError,
    struct.error,
    tokenize.TokenError,
    zipfile.BadZipFile,
    zlib.error,
    KeyError,
    TypeError,
)
"""A damaged archive fails in as many ways as zipfile, zlib and numpy's header have (RuntimeError: it is encrypted)."""


def open_archive(path: Path, need: Need, kind: str) -> zipfile.ZipFile:
    """A zip archive whose directory is bounded and names every part once; raises DataError, UsageError."""
    with reading(path) as f:
        size = _directory(f)
    if size is None:
        raise refuse(path, f"is not a {kind} file that can be read: its end is missing")
    if size > need.directory:
        raise refuse(
            path,
            f"is not a {kind} file for this network: its directory is said to have {size:,} bytes, "
            f"at most {need.directory:,} are read",
        )
    try:
        archive = zipfile.ZipFile(path)
    except BROKEN as e:
        raise refuse(path, f"is not a {kind} file that can be read: {str(e)[:200]}") from None
    names = archive.namelist()
    if len(set(names)) != len(names):
        archive.close()
        raise refuse(path, f"has two parts of one name: {Counter(names).most_common(1)[0][0][:100]}")
    return archive


def _directory(f: IO[bytes]) -> int | None:
    """The bytes of an archive's directory, by the record at its end; None without one."""
    length = f.seek(0, io.SEEK_END)
    f.seek(max(0, length - 65_557))
    tail = f.read()
    at = tail.rfind(b"PK\5\6")
    if at < 0 or len(tail) < at + 22:
        return None
    size: int = struct.unpack("<L", tail[at + 12 : at + 16])[0]
    if at >= 20 and tail[at - 20 : at - 16] == b"PK\6\7":  # zip64: the true sizes are in a record further up
        f.seek(min(struct.unpack("<Q", tail[at - 12 : at - 4])[0], length))
        record = f.read(56)
        if len(record) == 56:
            size = max(size if size != 0xFFFFFFFF else 0, struct.unpack("<Q", record[40:48])[0])
    return size


def read_npz(path: Path, need: Need) -> dict[str, Stored]:
    """The arrays by key, not read yet; raises DataError, UsageError."""
    archive = open_archive(path, need, ".npz")
    return {info.filename.removesuffix(".npy"): _member(path, archive, info) for info in archive.infolist()}


def _member(path: Path, archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> Stored:
    name = info.filename[:100]
    if not info.filename.endswith(".npy"):
        raise refuse(path, f"has '{name}', which is not an array")
    try:
        with archive.open(info) as f:
            begin = io.BytesIO(f.read(_HEADER))
        version = np.lib.format.read_magic(begin)
        header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, fortran, dtype = header(begin)
        if dtype.hasobject:
            raise ValueError("it holds Python objects")
        size = math.prod(shape) * dtype.itemsize
        if any(d < 0 for d in shape) or begin.tell() + size != info.file_size:
            raise ValueError(f"it is said to be {'x'.join(map(str, shape))} {dtype}, which are not its bytes")
    except (*BROKEN, RecursionError) as e:
        raise refuse(path, f"has '{name}', which cannot be read: {str(e)[:200]}") from None

    def read() -> np.ndarray:
        return _values(path, archive, info, begin.tell(), (shape, fortran, dtype))

    return Stored(tuple(shape), dtype.name, read, (str(path), info.filename))


Kind = tuple[tuple[int, ...], bool, np.dtype[np.generic]]
"""The shape of an array, whether its first dimension is the innermost, and its type."""


def _values(
    path: Path,
    archive: zipfile.ZipFile,
    info: zipfile.ZipInfo,
    start: int,
    kind: tuple[tuple[int, ...], bool, np.dtype[np.generic]],
) -> np.ndarray:
    shape, fortran, dtype = kind
    values = np.empty(math.prod(shape), dtype)
    room = values.view(np.uint8)
    try:
        with archive.open(info) as f:
            f.read(start)
            done = 0
            while done < len(room):
                part = f.read(min(2**20, len(room) - done))
                if not part:
                    raise EOFError("it ends too early")
                room[done : done + len(part)] = np.frombuffer(part, np.uint8)
                done += len(part)
            f.read(1)  # at the end the checksum is compared
    except BROKEN as e:
        raise refuse(path, f"has '{info.filename[:100]}', which cannot be read: {str(e)[:200]}") from None
    return values.reshape(shape[::-1]).T if fortran else values.reshape(shape)
