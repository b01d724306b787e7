"""Reads and writes .pth files, without ever unpickling code."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any, cast

import numpy as np
import torch

from netspec.errors import DataError, UsageError
from netspec.graph import Graph
from netspec.parts import Part
from netspec_torch.entries import entries, held

MAX_BYTES = 16 * 2**30
WRAPPERS = ("state_dict", "model", "model_state_dict")


def state_dict(graph: Graph, arrays: Mapping[str, np.ndarray]) -> dict[str, torch.Tensor]:
    """The arrays as PyTorch's state dict: every tensor once, and batch norm's counters; raises DataError."""
    return {key: torch.from_numpy(array) for key, array in entries(graph, arrays)}


def save(graph: Graph, arrays: Mapping[str, np.ndarray], file: Part) -> None:
    """Writes the weights as .pth; only those that are given; raises DataError."""
    try:
        torch.save(state_dict(held(graph, arrays), arrays), cast(IO[bytes], file))
    except RuntimeError:
        if file.failure is not None:  # torch has an error of its own for a disk that is full
            raise file.failure from None
        raise


def read(path: Path) -> dict[str, np.ndarray]:
    """The arrays of a .pth file by key; raises DataError, UsageError."""
    try:
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as z:
                if sum(i.file_size for i in z.infolist()) > MAX_BYTES or any(
                    i.compress_type != zipfile.ZIP_STORED and i.file_size > 2**20 for i in z.infolist()
                ):
                    raise DataError(
                        "NS602", f"{path} is no plain PyTorch checkpoint: its parts are compressed or too large"
                    )
            loaded = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
        else:
            loaded = torch.load(path, map_location="cpu", weights_only=True)
    except OSError as e:
        raise UsageError(f"{path} cannot be read: {e.strerror or e}") from None
    except DataError:
        raise
    except Exception as e:  # noqa: BLE001 - the unpickler fails in as many ways as a file can be damaged
        # PyTorch's own text advises to load with less safety, which must not be passed on.
        raise DataError(
            "NS602",
            f"{path} is no checkpoint of tensors alone ({type(e).__name__})",
            "save its state_dict() with torch.save or as safetensors",
        ) from None
    return _arrays(path, loaded)


def _arrays(path: Path, loaded: Any) -> dict[str, np.ndarray]:
    for wrapper in WRAPPERS:
        if isinstance(loaded, Mapping) and isinstance(loaded.get(wrapper), Mapping):
            loaded = loaded[wrapper]
    if not isinstance(loaded, Mapping) or not all(
        isinstance(k, str) and isinstance(v, torch.Tensor) and not (v.is_sparse or v.is_quantized or v.is_meta)
        for k, v in loaded.items()
    ):
        raise DataError("NS602", f"{path} holds no state dict", "save model.state_dict()")
    return {
        k: (v.detach().float() if v.is_floating_point() else v.detach()).contiguous().numpy() for k, v in loaded.items()
    }
