"""How a network is run: the form, the type and the place, and what a backend keeps ready for many runs of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from netspec.ir.graph import Graph

if TYPE_CHECKING:
    import numpy as np

    from netspec.running.ports import Port, Value


@dataclass(frozen=True, slots=True)
class Way:
    """One way to run a network in a backend."""

    form: str = ""
    """One of the forms of the backend; empty for what it writes by default."""
    dtype: str = "float32"
    """What it computes in; inputs and outputs may be of another type."""
    device: str = "cpu"
    threads: int = 0
    """Of the processor; 0 leaves it to the library."""


class Prepared(Protocol):
    """A network that is ready to run."""

    @property
    def provider(self) -> str:
        """What really runs it: an execution provider, or a library and its device."""

    def run(self, inputs: Mapping[str, Value]) -> dict[str, Value]:
        """Its outputs by name; raises DataError where an input does not fit or the run fails."""

    def time(self, inputs: Mapping[str, Value], warmup: int, repeat: int) -> list[float]:
        """The milliseconds of `repeat` runs, one after the other, after `warmup` untimed ones."""

    def profile(self, inputs: Mapping[str, Value], repeat: int) -> dict[str, float]:
        """The milliseconds that a run spends in each step, by path, the mean of `repeat`; "" has what is in none."""


@runtime_checkable
class Prepares(Protocol):
    """A backend that keeps a network ready for many runs, in several forms."""

    forms: Mapping[str, str]
    """The forms that may be asked for, each with what it is."""
    dtypes: Sequence[str]
    """What it computes in, float32 first."""

    def prepare(self, graph: Graph, arrays: Mapping[str, np.ndarray], way: Way) -> Prepared:
        """A graph, ready to run; raises MissingError, UsageError, DataError."""


class ModelFile(Protocol):
    """A model file whose values between the steps can be looked at."""

    @property
    def inputs(self) -> Mapping[str, Port]:
        """Its inputs by name."""

    @property
    def outputs(self) -> Sequence[str]:
        """The names of its outputs."""

    @property
    def weights(self) -> str:
        """What it says of its weights, such as `random, seed 0`; empty where it says nothing."""

    @property
    def sizes(self) -> str:
        """What it says of the heights and widths that it takes; empty where it says nothing."""

    @property
    def dtype(self) -> str:
        """The least exact type of its weights."""

    @property
    def saturates(self) -> bool:
        """Whether inputs beyond the ranges that it was calibrated with saturate, as in int8."""

    @property
    def from_netspec(self) -> bool:
        """Whether netspec wrote it, so that a value of the same name is the same value."""

    @property
    def passes(self) -> Sequence[str]:
        """What it says of the passes that rewrote its graph beyond -O1, as `--pass` takes them; nobody checked it."""

    def named(self, graph: Graph) -> dict[str, str]:
        """The values of a graph, as a Ref is printed, that the file has by its names, and what it calls them."""

    def prepare(self, way: Way, values: Sequence[str] = ()) -> Prepared:
        """The model, ready to run, with further values as outputs; raises MissingError, DataError."""


@runtime_checkable
class LooksIntoModels(Protocol):
    """A backend that shows the values between the steps of model files."""

    def look(self, path: Path) -> ModelFile:
        """A model file; raises MissingError, UsageError, DataError."""


@runtime_checkable
class ReadsImages(Protocol):
    """A backend that reads what `--calibrate` names, as inputs to be run."""

    def read_images(self, path: Path, graph: Graph, count: int) -> dict[str, np.ndarray]:
        """The first images of a folder or a .npz file, at most so many; raises MissingError, UsageError, DataError."""
