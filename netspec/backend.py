"""What a backend is, and how one is found."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from netspec import optional, plugins
from netspec.diagnostics.errors import UsageError, did_you_mean
from netspec.ir.graph import Graph
from netspec.weights.checkpoints.stored import Need, State

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True, slots=True)
class Options:
    """What a user may ask of a backend."""

    opset: int | None = None
    """ONNX: the operator set; None takes 18, or the lowest that has every operator used."""
    dtype: str = "float32"
    functions: str = "keep"
    """ONNX: `keep` blocks as functions, or `inline` them."""
    external_data: bool | None = None
    """ONNX: weights in a file beside the model; None does so above 2 GB."""
    training: bool = False
    """Torch: auxiliary heads too."""
    seed: int = 0
    weights: bool = True
    """Torch: a file of weights beside the source."""
    origin: str = ""
    """ONNX: where the weights are from, such as `random, seed 0`, for the metadata of the model."""


DEFAULTS = Options()


def origin(seed: int, weights: object, partial: bool = False) -> str:
    """What is said of weights: that they are random, in part where some do not come from the checkpoint."""
    if weights is not None and not partial:
        return ""
    return f"random{' in part' if weights is not None else ''}, seed {seed}"


@dataclass(frozen=True, slots=True)
class Result:
    """What a run gave."""

    outputs: dict[str, Any]
    """Arrays; of a model file also lists, dicts and None, for sequences, maps and empty optionals."""
    provider: str
    """The device or execution provider that really ran."""
    latency_ms: list[float] = field(default_factory=list)


class Backend(Protocol):
    """A target: how a graph is written for it, and how it is run there."""

    name: str
    suffix: str
    summary: str

    def emit(self, graph: Graph, arrays: Mapping[str, np.ndarray], target: Path, options: Options) -> list[Path]:
        """Writes a graph with its weights; gives the files written."""

    def run(
        self,
        graph: Graph,
        arrays: Mapping[str, np.ndarray],
        inputs: Mapping[str, np.ndarray],
        device: str = "cpu",
        repeat: int = 1,
        options: Options = DEFAULTS,
    ) -> Result:
        """Runs a graph; raises MissingError where the device is not there."""


def get(name: str) -> Any:
    """The backend of that name; raises UsageError for an unknown one, MissingError without its library."""
    found = plugins.backends()
    if name not in found:
        raise UsageError(f"there is no backend '{name}'", did_you_mean(name, found))
    with importing(name):
        try:
            return found[name].load()
        except AttributeError as e:  # the module has no such object: its entry point is wrong
            raise ImportError(e) from None


def able(name: str, what: str) -> Any:
    """The backend of that name that can `run`, or `emit`; raises UsageError for one that cannot, and as `get` does."""
    found = get(name)
    if not callable(getattr(found, what, None)):
        does = {"run": "run networks", "emit": "write files"}.get(what, what)
        raise UsageError(f"the backend '{name}' cannot {does}", "`netspec list backends` shows them all")
    return found


def read_checkpoint(path: Path, need: Need) -> list[State]:
    """The mappings of tensors in a file of PyTorch's; raises MissingError without it, DataError, UsageError."""
    found: list[State] = get("torch").read_checkpoint(path, need)
    return found


def importing(name: str, library: str = "") -> AbstractContextManager[None]:
    """Around the imports of a backend: one that fails is a MissingError that says what to install."""
    return optional.importing(f"the backend '{name}'", library)


_LOWERINGS: dict[str, dict[str, object]] = {}


def lowering(target: str, op: str, row: object) -> None:
    """Says how a backend writes an op of a plug-in, by a row as those of its own ops; raises ValueError for a second.

    A module of the group `netspec.lowerings`, whose entry point has the name of the backend, calls it when imported.
    """
    if op in _LOWERINGS.setdefault(target, {}):
        raise ValueError(f"the op '{op}' has a lowering for '{target}' already")
    _LOWERINGS[target][op] = row


def lowerings(target: str) -> Mapping[str, object]:
    """The rows of plug-ins for a backend, by op; raises MissingError for a plug-in that cannot be imported."""
    plugins.load_lowerings(target)
    return _LOWERINGS.get(target, {})
