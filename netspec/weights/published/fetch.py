"""The file of the weights that are meant: where it is, or downloaded into the cache of its publisher's library."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

from netspec.diagnostics.errors import UsageError
from netspec.elaborate.compiled import Compiled
from netspec.optional import importing
from netspec.syntax.published import hub_file
from netspec.weights.checkpoints.stored import Need, State, Stored
from netspec.weights.published.download import download, hub_folder
from netspec.weights.published.meant import Meant, meant
from netspec.weights.published.progress import Bar, Silent

_TRUE = ("1", "ON", "YES", "TRUE")
"""What sets a variable of huggingface_hub."""


def fetch(asked: Meant, network: Compiled, bar: Bar | None = None) -> Path:
    """The file of some weights; raises UsageError, DataError, MissingError.

    A download may be as large as the network in float64 and its gradients' average, and 256 MiB of anything else.
    """
    if asked.file is not None:
        return asked.file
    need, bar = Need.of(network.whole), bar or Silent()
    most = 2 * need.bytes + 2**28
    if (on_hub := hub_file(asked.remote)) is not None:
        with importing(asked.remote, "huggingface_hub"):
            from netspec.weights.published.hub import fetch as fetch_of_hub  # noqa: PLC0415 - which may be absent

        return fetch_of_hub(on_hub, need, most, bar)
    offline = os.environ.get("HF_HUB_OFFLINE", "").upper() in _TRUE
    return download(asked.remote, hub_folder(os.environ), most, offline, bar)


def source_of(weights: object, network: Compiled, read: Callable[[object], list[State]]) -> Path | list[State]:
    """A file, which is downloaded where that is asked for, or tensors that are at hand; raises as `fetch` does.

    `read` reads what is neither the name of something nor arrays: a module, or a state dict of tensors.
    """
    if isinstance(weights, (str, Path)):
        return fetch(meant(str(weights), network), network)
    if isinstance(weights, Compiled):
        raise UsageError(f"weights=Network('{weights.name[:80]}') is a network", "its module has tensors: .to_torch()")
    if isinstance(weights, Mapping) and all(isinstance(value, np.ndarray) for value in weights.values()):
        return [State((), {str(key): Stored.of(np.array(value)) for key, value in weights.items()})]
    if isinstance(weights, Mapping):
        _check_dense(weights)
    return read(weights)


def _check_dense(weights: Mapping[object, object]) -> None:
    """Raises UsageError for a tensor whose values are not there, or not in the layout of arrays."""
    for name, value in weights.items():
        for kind, way in (("meta", "load the checkpoint to the CPU"), ("sparse", "give its .to_dense()")):
            if getattr(value, f"is_{kind}", False) is True:
                raise UsageError(
                    f"the tensor '{str(name)[:80]}' of weights is {kind}: it is not read as arrays are", way
                )
