"""Safetensors files: a header of JSON, and the bytes of every tensor at its place."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from netspec.optional import importing
from netspec.weights.checkpoints.stored import PASSES, Need, State, Stored, passes_in, reading, refuse

TYPES = {
    "F64": ("float64", "<f8"),
    "F32": ("float32", "<f4"),
    "F16": ("float16", "<f2"),
    "BF16": ("bfloat16", "<u2"),
    "F8_E4M3": ("float8_e4m3fn", "u1"),
    "F8_E5M2": ("float8_e5m2", "u1"),
    "I64": ("int64", "<i8"),
    "I32": ("int32", "<i4"),
    "I16": ("int16", "<i2"),
    "I8": ("int8", "i1"),
    "U64": ("uint64", "<u8"),
    "U32": ("uint32", "<u4"),
    "U16": ("uint16", "<u2"),
    "U8": ("uint8", "u1"),
    "BOOL": ("bool", "?"),
}
"""The types of the format: what each is called here, and how numpy reads its bytes."""


class _Twice(Exception):
    """A key of the header is there twice."""


def read_safetensors(path: Path, need: Need) -> State:
    """The tensors by key, not read yet, and what the file says of its passes; raises DataError, UsageError."""
    with importing(f"reading {path}", "safetensors"):
        from safetensors import SafetensorError, safe_open  # noqa: PLC0415 - may be absent
    with reading(path) as f:
        length = int.from_bytes(f.read(8), "little")
        if length > need.directory:
            raise refuse(
                path,
                f"is not a safetensors file for this network: its header is said to have {length:,} bytes, "
                f"at most {need.directory:,} are read",
            )
        header = f.read(length)
    try:
        with safe_open(path, framework="numpy"):  # it proves that the header fits the file
            entries = json.loads(header, object_pairs_hook=_unique)
    except _Twice as e:
        raise refuse(path, f"has two tensors of one name: {e}") from None
    except (SafetensorError, TypeError, OSError, ValueError, RecursionError, OverflowError) as e:
        raise refuse(path, f"is not a safetensors file that can be read: {str(e)[:200]}") from None
    said = entries.pop("__metadata__", None)
    tensors = {key: _stored(path, 8 + length, entry) for key, entry in entries.items()}
    return State((), tensors, passes=passes_in(said.get(PASSES) if isinstance(said, Mapping) else None))


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise _Twice(Counter(name for name, _ in pairs).most_common(1)[0][0][:100])
    return found


def _stored(path: Path, start: int, entry: Mapping[str, Any]) -> Stored:
    shape = tuple(entry["shape"])
    name, code = TYPES.get(entry["dtype"], (entry["dtype"], ""))
    begin, end = entry["data_offsets"]

    def read() -> np.ndarray:
        with reading(path) as f:
            f.seek(start + begin)
            raw = np.fromfile(f, code, math.prod(shape))
        if raw.nbytes != end - begin:
            raise refuse(path, "has become shorter while it was read")
        return decoded(raw, name).reshape(shape)

    return Stored(shape, name, read, (str(path), begin, end) if end > begin else None)


def decoded(raw: np.ndarray, name: str) -> np.ndarray:
    """Values of types that numpy lacks, as float32; others as they are.

    bfloat16 is the upper half of float32, float8_e5m2 that of float16. float8_e4m3fn (Micikevicius et al. 2022) has
    the bias 7, no infinity, and one NaN of each sign.
    """
    if name == "bfloat16":
        return np.asarray((raw.astype(np.uint32) << 16).view(np.float32))
    if name == "float8_e5m2":
        return (raw.astype(np.uint16) << 8).view(np.float16).astype(np.float32)
    if name == "float8_e4m3fn":
        code = np.arange(128)
        exponent, fraction = code >> 3, code & 7
        size = np.where(exponent > 0, np.ldexp(8 + fraction, exponent - 10), np.ldexp(fraction, -9)).astype(np.float32)
        size[127] = np.nan
        table = np.concatenate([size, -size])
        return np.asarray(table[raw])
    return raw
