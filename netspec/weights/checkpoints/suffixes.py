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


def check_name(name: str) -> None:
    """Raises UsageError for the name of a file that is no checkpoint by its suffix."""
    if Path(name).suffix.lower() not in BEGINNINGS:
        raise UsageError(f"{name}: checkpoints are {', '.join(BEGINNINGS)}, or an index of shards, *{INDEX}")
