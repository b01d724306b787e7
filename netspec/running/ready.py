"""Networks and model files that are ready to run: what a backend keeps, and what a run of it gives."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from netspec.ir.graph import Graph

if TYPE_CHECKING:
    import numpy as np

    from netspec.running.place import Place
    from netspec.running.ports import Port, Value


@dataclass(frozen=True, slots=True)
class Result:
    """What a run gave."""

    outputs: dict[str, Value]
    provider: str
    """The device or execution provider that really ran."""
    latency_ms: list[float] = field(default_factory=list)


class OpenedModel(Protocol):
    """A model file, opened to be looked at and to be run."""

    @property
    def inputs(self) -> Mapping[str, Port]:
        """Its inputs by name."""

    @property
    def outputs(self) -> Mapping[str, Port]:
        """Its outputs by name."""

    @property
    def provider(self) -> str:
        """The device or execution provider that runs it."""

    @property
    def weights(self) -> str:
        """What it says of its weights, such as `random, seed 0`; empty where it says nothing."""

    @property
    def sizes(self) -> str:
        """What it says of the heights and widths that it takes; empty where it says nothing."""

    def run(self, inputs: Mapping[str, Value], repeat: int = 1) -> Result:
        """Runs once, then `repeat` times for their latency; raises DataError."""


@runtime_checkable
class KeepsReady(Protocol):
    """A backend that makes a network ready once, for many runs."""

    def ready(self, graph: Graph, arrays: Mapping[str, np.ndarray], place: Place) -> OpenedModel:
        """A graph on a device; raises MissingError where it is not there, UsageError for what it cannot be asked."""


@runtime_checkable
class OpensModels(Protocol):
    """A backend that runs the files that it writes, whoever wrote them."""

    def open(self, path: Path, device: str | Place = "cpu") -> OpenedModel:
        """A model file; raises MissingError, UsageError, DataError."""

    def read_pb(self, path: Path, type: str) -> Value:
        """A value out of a file of test data, by the type of its input; raises MissingError, UsageError, DataError."""
