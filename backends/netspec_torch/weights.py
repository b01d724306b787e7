"""Writes .pth files."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from typing import IO, cast

import numpy as np
import torch

from netspec.files.parts import Part
from netspec.ir.graph import Graph
from netspec.weights.checkpoints.stored import PASSES
from netspec_torch.entries import entries, held


def state_dict(graph: Graph, arrays: Mapping[str, np.ndarray], copied: bool = True) -> dict[str, torch.Tensor]:
    """The arrays as PyTorch's state dict: every tensor once, and batch norm's counters; raises DataError."""
    return {key: torch.from_numpy(array) for key, array in entries(graph, arrays, copied)}


def save(graph: Graph, arrays: Mapping[str, np.ndarray], file: Part, passes: Sequence[str] = ()) -> None:
    """Writes the weights as .pth, only those that are given, and which passes changed them; raises DataError.

    That stands where PyTorch puts what it has to say of a state dict, in an attribute that it hands on to modules.
    """
    state = OrderedDict(state_dict(held(graph, arrays), arrays, copied=False))
    vars(state)["_metadata"] = {"": {PASSES: ",".join(passes)}}
    try:
        torch.save(state, cast(IO[bytes], file))
    except RuntimeError as e:
        # As torch ends a file that was cut short, by a full disk or a signal, it raises an error of its own.
        if cause := file.failure or _interrupt(e):
            raise cause from None
        raise


def _interrupt(error: BaseException) -> BaseException | None:
    """The interrupt while which an error was raised: a signal may come between the lines of `Part.write`."""
    found = error.__context__
    while isinstance(found, Exception):
        found = found.__context__
    return found
