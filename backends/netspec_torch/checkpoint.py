"""Reads checkpoints of PyTorch, tensor by tensor, without ever unpickling code."""

from __future__ import annotations

import re
import sys
import warnings
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from netspec.diagnostics.errors import DataError, UsageError
from netspec.weights.checkpoints.archives import BROKEN, open_archive
from netspec.weights.checkpoints.stored import PASSES, Need, State, Stored, passes_in, reading, refuse
from netspec_torch.mapped import Mapped
from netspec_torch.outline import conversion
from netspec_torch.pickles import Stopped, screen

_DEPTH = 8
_AGAIN = (
    "where it was written, save the tensors alone: torch.save(model.state_dict(), 'weights.pth'), or with "
    "safetensors.torch.save_file"
)


def read(path: Path, need: Need) -> list[State]:
    """The mappings of tensors in a checkpoint, wherever they are in it; raises DataError, UsageError.

    The pickle is read by torch with weights_only=True, after its instructions were looked through for what makes
    much of little; tensors of the zip format stay in the file until they are asked for.
    """
    with reading(path) as f:
        mapped = f.read(2) == b"PK"
    try:
        if mapped:
            _screen_archive(path, need)
        else:
            _screen_legacy(path, need)
    except Stopped as e:
        raise _stopped(path, e.name, str(e), conversion(path, e.rest, _most(need))) from None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of other protocols of pickle, and of types that torch renames
            loaded = torch.load(str(path), map_location="cpu", weights_only=True, mmap=mapped)
    except Exception as e:  # noqa: BLE001 - the unpickler fails in as many ways as a file can be damaged
        # PyTorch's own text advises to load with less safety, which must not be passed on.
        found = re.search(r"(?:GLOBAL|class) ([\w.]+)", str(e))
        raise _stopped(path, found[1] if found else "", type(e).__name__) from None
    states = [*_states(loaded, (), set(), Mapped(path))]
    if not states:
        raise refuse(path, "holds no state dict: there is no mapping of names to tensors in it", _AGAIN)
    _honest(path, states)
    return states


def read_module(weights: object) -> list[State]:
    """The mappings of tensors in a module, a state dict or what holds one; raises UsageError.

    Values are copied when they are read, so that nothing shares memory with the module.
    """
    held = weights.state_dict() if isinstance(weights, torch.nn.Module) else weights
    states = [*_states(held, (), set(), _Held())]
    if not states:
        raise UsageError(
            f"weights={type(weights).__name__} holds no tensors by name", "a file, a state dict or an nn.Module"
        )
    return states


class _Held:
    """Reads tensors that are in memory already."""

    def read(self, tensor: torch.Tensor) -> np.ndarray:
        """The values, copied."""
        return np.array(tensor.cpu().numpy())


def _stopped(path: Path, name: str, why: str, line: str = "") -> DataError:
    if name:
        trusted = f"; if you trust the file, of which this runs the code:\n{line}" if line else ""
        return refuse(
            path, f"is not read: it holds the class {name}, and netspec unpickles tensors alone", _AGAIN + trusted
        )
    return refuse(path, f"is not a checkpoint of tensors alone ({why})", _AGAIN)


def _screen_archive(path: Path, need: Need) -> None:
    """Raises Stopped or DataError for an archive that torch should not see."""
    with open_archive(path, need, "PyTorch") as archive:
        pickles = [i for i in archive.infolist() if i.filename.rpartition("/")[2] == "data.pkl"]
        if len(pickles) != 1 or any(i.filename.rpartition("/")[2] == "constants.pkl" for i in archive.infolist()):
            script = "a scripted model" if pickles else "an archive of something else"
            raise refuse(path, f"is not a PyTorch checkpoint: it is {script}", _AGAIN)
        if any(i.compress_type != zipfile.ZIP_STORED or i.flag_bits & 1 for i in archive.infolist()):
            raise refuse(path, "is not a plain PyTorch checkpoint: its parts are compressed", _AGAIN)
        orders = [i for i in archive.infolist() if i.filename.rpartition("/")[2] == "byteorder"]
        try:
            with archive.open(pickles[0]) as f:
                data = f.read(need.directory + 1)
            for order in orders:
                with archive.open(order) as f:
                    if f.read(16).decode("ascii") != sys.byteorder:
                        raise refuse(path, "is of a machine with the other order of bytes", _AGAIN)
        except BROKEN as e:
            raise refuse(path, f"is not a PyTorch checkpoint that can be read: {str(e)[:200]}") from None
        screen(data, need.directory, _most(need))


def _screen_legacy(path: Path, need: Need) -> None:
    """The format before PyTorch 1.6: five pickles, and then the numbers, which are read with the file as a whole."""
    with reading(path) as f:
        data = f.read(need.directory + 1)
        size = f.seek(0, 2)
    at, count = 0, 0
    while count < 5 and at < len(data):
        at += screen(data[at:], need.directory, _most(need))
        count += 1
    if size > need.whole:
        raise refuse(
            path,
            f"is in the format that PyTorch wrote before 1.6 and has {size:,} bytes; such a file is "
            f"read as a whole, of at most {need.whole:,} bytes for this network",
            "save it again: torch.save(torch.load(FILE, weights_only=True), 'weights.pth')",
        )


def _most(need: Need) -> int:
    """A tensor takes about 30 instructions, and its optimizer and average have four more of its size."""
    return 200_000 + 500 * need.tensors


def _states(value: object, at: tuple[str, ...], seen: set[int], file: Mapped | _Held) -> Iterator[State]:
    """Every mapping that holds tensors by name, once, the outer ones first."""
    if not isinstance(value, (Mapping, list, tuple)) or id(value) in seen or len(at) > _DEPTH:
        return
    seen.add(id(value))
    pairs = list(value.items()) if isinstance(value, Mapping) else list(enumerate(value))
    if isinstance(value, Mapping):
        tensors = {k: _stored(v, file) for k, v in pairs if isinstance(k, str) and isinstance(v, torch.Tensor)}
        if any(t.dtype != "none" for t in tensors.values()):
            yield State(at, tensors, passes=_passes(value))
    for key, inner in pairs:
        yield from _states(inner, (*at, str(key)[:100]), seen, file)


def _passes(value: Mapping[object, object]) -> tuple[str, ...] | None:
    """What `save` of netspec said of the passes that changed the weights; None where nothing is said."""
    said = getattr(value, "_metadata", None)
    of_root = said.get("") if isinstance(said, Mapping) else None
    return passes_in(of_root.get(PASSES)) if isinstance(of_root, Mapping) else None


class Token(NamedTuple):
    """Where the values of a tensor are: equal for two names of one tensor."""

    storage: int
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]
    size: int
    dtype: str


def _stored(tensor: torch.Tensor, file: Mapped | _Held) -> Stored:
    if tensor.layout != torch.strided or tensor.is_quantized or tensor.is_meta:
        return Stored(tuple(tensor.shape), "none", lambda: np.empty(0))
    name = str(tensor.dtype).removeprefix("torch.")
    token = Token(
        tensor.untyped_storage().data_ptr(),
        int(tensor.storage_offset()),
        tuple(tensor.shape),
        tensor.stride(),
        tensor.element_size(),
        name,
    )

    def values() -> np.ndarray:
        plain = tensor.detach()
        if name in ("float16", "float32", "float64"):
            return file.read(plain)
        return np.asarray((plain.float() if plain.is_floating_point() else plain).cpu().numpy())

    return Stored(tuple(tensor.shape), name, values, token)


def _honest(path: Path, states: list[State]) -> None:
    """Raises DataError where a tensor says that it is larger than what the file has for it, which torch fills up."""
    sizes: dict[int, int] = {}
    for state in states:
        for tensor in state.tensors.values():
            if isinstance(at := tensor.token, Token):
                steps = zip(at.shape, at.strides, strict=True)
                last = at.offset + sum((d - 1) * s for d, s in steps) + 1 if all(at.shape) else 0
                sizes[at.storage] = max(sizes.get(at.storage, 0), last * at.size)
    if sum(sizes.values()) > path.stat().st_size:
        raise refuse(path, "is damaged: its tensors are larger than the file")
