"""Tensors of a checkpoint that are not read yet, and what a file may take while it is looked at."""

from __future__ import annotations

import math
import os
import stat
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

import numpy as np

from netspec.diagnostics.errors import DataError, UsageError
from netspec.files.pipes import is_read
from netspec.ir.graph import Graph

FLOATS = ("float16", "bfloat16", "float32", "float64", "float128", "longdouble", "float8_e4m3fn", "float8_e5m2")
"""What becomes float32; all else in a file is not a weight."""


@dataclass(frozen=True, slots=True)
class Stored:
    """A tensor of a file: its shape, the name of its type, and how its values are read."""

    shape: tuple[int, ...]
    dtype: str
    read: Callable[[], np.ndarray]
    """The values, as numpy has them (bfloat16 and float8 as float32); raises DataError."""
    token: object = None
    """Equal for two names of one tensor."""

    @property
    def floating(self) -> bool:
        """Whether the values can be weights."""
        return self.dtype in FLOATS

    @property
    def counter(self) -> bool:
        """Whether it is a number that training keeps next to the weights, such as batches seen."""
        return self.shape in ((), (1,)) and not self.floating

    @classmethod
    def of(cls, value: Stored | np.ndarray) -> Stored:
        """A tensor that is at hand already."""
        if isinstance(value, Stored):
            return value
        return cls(tuple(value.shape), value.dtype.name, lambda: value, id(value))


@dataclass(frozen=True, slots=True)
class State:
    """The tensors of one mapping in a file by key; `path` is how the file gets to it, empty for the file itself."""

    path: tuple[str, ...]
    tensors: Mapping[str, Stored]
    transforms: tuple[str, ...] = field(default=())
    """What was done to names and layouts on reading, to be said."""
    passes: tuple[str, ...] | None = None
    """The passes that changed the weights before they were written, as `--pass` takes them; None: nobody says it."""


PASSES = "netspec.passes"
"""The key of what a file that netspec wrote says of the passes that changed its weights, with commas between them."""


def passes_in(said: object) -> tuple[str, ...] | None:
    """What stands below PASSES in a file; None where nothing stands there that could be read."""
    return tuple(filter(None, said.split(","))) if isinstance(said, str) else None


@dataclass(frozen=True, slots=True)
class Need:
    """What the network needs, from which follows what a file may take while it is looked at."""

    bytes: int = 2**31
    """Of all its weights in float32."""
    tensors: int = 20_000

    @classmethod
    def of(cls, graph: Graph) -> Need:
        """What a graph needs, its weights in float32."""
        shapes = [shape for shape, _, _ in graph.tensors().values()]
        return cls(4 * sum(math.prod(int(str(d)) for d in shape) for shape in shapes), len(shapes))

    @property
    def directory(self) -> int:
        """The most bytes of a header, of an archive's directory or of a pickle; Python makes 50 of one at worst."""
        return 2 * 2**20 + 4096 * self.tensors

    @property
    def whole(self) -> int:
        """The most bytes of a file that can only be read whole."""
        return self.bytes + 256 * 2**20


Reads = Callable[[Path, Need], list[State]]
"""How a file is read that only a library can read: the mappings of tensors in it."""


def refuse(path: Path, why: str, help: str = "") -> DataError:
    """The error of a file that is not a checkpoint."""
    return DataError("NS602", f"{path} {why}", help)


@contextmanager
def reading(path: Path, help: str = "") -> Iterator[IO[bytes]]:
    """A regular file, opened without ever waiting for one who writes to it; raises UsageError.

    A checkpoint is read at many places, so that pipes and devices cannot hold one.
    """
    try:
        fd = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    except (OSError, ValueError) as e:  # ValueError: a name with a NUL
        if os.path.isdir(path):  # what Windows says of folders is that permission is denied
            raise _folder(path) from None
        raise UsageError(f"{path} cannot be read: {getattr(e, 'strerror', None) or e}", help) from None
    mode = os.fstat(fd).st_mode
    if not stat.S_ISREG(mode):
        os.close(fd)
        raise (
            _folder(path)
            if stat.S_ISDIR(mode)
            else UsageError(
                f"{path} cannot be read: it is a pipe or a device, and a checkpoint is read at many places",
                "save it to a file first",
            )
        )
    is_read(fd)
    with os.fdopen(fd, "rb") as f:
        yield f


def _folder(path: Path) -> UsageError:
    names: Sequence[str] = sorted(p.name for p in path.iterdir())[:2000] if os.access(path, os.R_OK) else ()
    index = [n for n in names if n.endswith(".index.json")] or [n for n in names if n.endswith(".safetensors")]
    return UsageError(
        f"{path} cannot be read: it is a folder", f"name the file: {path / index[0]}" if index else "name a file in it"
    )
