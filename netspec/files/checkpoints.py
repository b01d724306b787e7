"""What a checkpoint is by the suffix of its name, before it is read or downloaded."""

from __future__ import annotations

import re
from pathlib import Path

from netspec.diagnostics.errors import UsageError

_TORCH = re.compile(rb"PK|\x80")
_ANY = re.compile(rb"PK|\x80|.{8}\{", re.DOTALL)
BEGINNINGS = {
    ".safetensors": re.compile(rb".{8}\{", re.DOTALL),
    ".npz": re.compile(rb"PK"),
    **dict.fromkeys((".pth", ".pt", ".tar", ".pkl"), _TORCH),
    **dict.fromkeys((".bin", ".ckpt"), _ANY),
}
"""Checkpoints by suffix, and how each begins: a header of JSON, a zip, a zip or a pickle, any of them."""
INDEX = ".index.json"
SUFFIXES_HELP = f"checkpoints are {', '.join(BEGINNINGS)}"


def check_name(name: str, said: str = "", sharded: bool = True) -> None:
    """Raises UsageError for the name of a file that is no checkpoint by its suffix; `said` is what was given.

    With `sharded` it may be an index of shards, which lie next to it.
    """
    if is_readable(name, sharded):
        return
    index = f", or an index of shards, *{INDEX}" if sharded else ""
    raise UsageError(f"{said or name}: {SUFFIXES_HELP}{index}", "is it a checkpoint?")


def is_readable(name: str, sharded: bool = True) -> bool:
    """Whether a file is a checkpoint by its suffix, or with `sharded` an index of shards."""
    return is_checkpoint(name) or sharded and name.lower().endswith(INDEX)


def is_checkpoint(name: str) -> bool:
    """Whether a file holds tensors, by its suffix."""
    return Path(name).suffix.lower() in BEGINNINGS
