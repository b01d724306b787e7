"""Checkpoint files: which kind one is, by its name and its first bytes, and how its tensors are found."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from netspec.diagnostics.errors import DataError
from netspec.files.checkpoints import BEGINNINGS, INDEX, check_name, is_checkpoint
from netspec.syntax.published import PLACES
from netspec.weights.checkpoints.archives import read_npz
from netspec.weights.checkpoints.safetensors import read_safetensors
from netspec.weights.checkpoints.stored import Need, Reads, State, Stored, reading, refuse

_FOREIGN = {b"\x89HDF": "an HDF5 file of Keras", b"\x08": "an ONNX model"}


def states_of(path: Path, need: Need, read: Reads) -> list[State]:
    """The mappings of tensors in a checkpoint: .safetensors, .npz and an index of shards here, others by `read`.

    Nothing in the file is executed. Raises UsageError where it cannot be read, DataError where it is not a checkpoint,
    MissingError where a library is needed and missing.
    """
    with reading(path, PLACES) as f:
        head = f.read(9)
    if path.name.lower().endswith(INDEX):
        return [State((), _sharded(path, need, read))]
    suffix = path.suffix.lower()
    check_name(str(path))
    if not BEGINNINGS[suffix].match(head):
        kinds = [s for s, beginning in BEGINNINGS.items() if beginning.match(head)]
        foreign = [text for start, text in _FOREIGN.items() if head.startswith(start)]
        raise DataError(
            "NS602",
            f"{path} is not a {suffix} file by its first bytes",
            f"it looks like {' or '.join(kinds or foreign)}" if kinds or foreign else "",
        )
    if suffix == ".safetensors" or BEGINNINGS[".safetensors"].match(head):
        return [read_safetensors(path, need)]
    if suffix == ".npz":
        return [State((), read_npz(path, need))]
    return read(path, need)


def _sharded(path: Path, need: Need, read: Reads) -> dict[str, Stored]:
    """The tensors of all the files that an index names; raises DataError, UsageError."""
    where = _index(path, need)
    found: dict[str, Stored] = {}
    for name in shards_of(path, need):
        states = states_of(path.with_name(name), need, read)
        if len(states) != 1:
            raise refuse(path.with_name(name), f"is not a shard: it has {len(states)} state dicts")
        tensors = states[0].tensors
        listed = {key for key, shard in where.items() if shard == name}
        for keys, what in ((listed - set(tensors), "it lacks"), (set(tensors) - listed, "the index does not list")):
            if keys:
                raise refuse(path, f"does not fit its shard {name}: {what} {_some(keys)}")
        found |= tensors
    return {key: found[key] for key in where}


def shards_of(path: Path, need: Need) -> list[str]:
    """The files that an index of shards names, all of them next to it; raises DataError, UsageError."""
    names = sorted(set(_index(path, need).values()))
    for name in names:
        if Path(name).name != name or name in (".", "..") or name.lower().endswith(INDEX) or "\\" in name:
            raise refuse(path, f"names the shard '{name[:100]}', which is not a file next to it")
        if not is_checkpoint(name):  # before it is downloaded
            raise refuse(path, f"names the shard '{name[:100]}', which is no checkpoint by its suffix")
    return names


def _index(path: Path, need: Need) -> dict[str, str]:
    """The file of each tensor."""
    with reading(path) as f:
        text = f.read(need.directory + 1)
    try:
        found: object = json.loads(text) if len(text) <= need.directory else None
    except (ValueError, RecursionError):
        found = None
    where = found.get("weight_map") if isinstance(found, Mapping) else None
    if not isinstance(where, dict) or not where or not all(isinstance(v, str) for v in where.values()):
        raise refuse(
            path,
            "is not an index of shards",
            'it is JSON with {"weight_map": {tensor: file}}, as libraries write it next to sharded checkpoints',
        )
    return where


def _some(keys: set[str]) -> str:
    more = f" and {len(keys) - 3} more" if len(keys) > 3 else ""
    return ", ".join(k[:100] for k in sorted(keys)[:3]) + more
