"""What a backend is, and how one is found."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from netspec.errors import MissingError, UsageError, did_you_mean
from netspec.graph import Graph
from netspec.plugins import backends

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


DEFAULTS = Options()


@dataclass(frozen=True, slots=True)
class Result:
    """What a run gave."""

    outputs: dict[str, np.ndarray]
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

    def run(self, graph: Graph, arrays: Mapping[str, np.ndarray], inputs: Mapping[str, np.ndarray],
            device: str = "cpu", repeat: int = 1, options: Options = DEFAULTS) -> Result:
        """Runs a graph; raises MissingError where the device is not there."""


def get(name: str) -> Any:
    """The backend of that name; raises UsageError for an unknown one, MissingError without its library."""
    found = backends()
    if name not in found:
        raise UsageError(f"there is no backend '{name}'", did_you_mean(name, found))
    with importing(name):
        return found[name].load()


EXTRAS = {"onnxruntime": "run", "torch": "torch"}
"""Libraries that the distribution installs only when asked for, by the extra that brings them."""


@contextmanager
def importing(name: str) -> Iterator[None]:
    """Around the imports of a backend: one that fails is a MissingError that says what to install."""
    try:
        yield
    except ModuleNotFoundError as e:
        library = (e.name or "").partition(".")[0]
        wanted = f"'netspec-compiler[{EXTRAS[library]}]'" if library in EXTRAS else library
        raise MissingError(f"the backend '{name}' needs {library}, which is not installed",
                           f"pip install {wanted}") from None
    except ImportError as e:
        raise MissingError(f"the backend '{name}' cannot be imported: {e}") from None
