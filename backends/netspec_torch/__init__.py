"""The PyTorch backend: graph -> readable source -> the nn.Module that is that source; torch loads on use."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from netspec.backend import DEFAULTS, Options, Result
from netspec.graph import Graph

if TYPE_CHECKING:
    import numpy as np
    import torch


class TorchBackend:
    """Writes PyTorch source, and runs it."""

    name = "torch"
    suffix = ".py"
    summary = "PyTorch source with a class per block, and the nn.Module that it defines"

    def source(self, graph: Graph, options: Options = DEFAULTS) -> str:
        """The standalone source of a graph; needs no torch to write."""
        from netspec_torch.emit import source

        return source(graph, options)

    def emit(self, graph: Graph, arrays: Mapping[str, np.ndarray], target: Path, options: Options) -> list[Path]:
        """Writes the source, and the weights beside it as .pth; gives the files; raises UsageError, MissingError."""
        from netspec.files import write_text
        from netspec_torch.weights import save

        weights = save(graph, arrays, Path(target).with_suffix(".pth"))
        return [write_text(target, self.source(graph, options)), weights]

    def to_module(
        self, graph: Graph, arrays: Mapping[str, np.ndarray], options: Options = DEFAULTS
    ) -> torch.nn.Module:
        """The module that the source defines, with its weights, in eval mode (training mode with `training`)."""
        from netspec_torch.run import to_module

        return to_module(graph, arrays, options)

    def run(
        self,
        graph: Graph,
        arrays: Mapping[str, np.ndarray],
        inputs: Mapping[str, np.ndarray],
        device: str = "cpu",
        repeat: int = 1,
        options: Options = DEFAULTS,
    ) -> Result:
        """Runs a graph in PyTorch; raises MissingError where the device is not there."""
        from netspec_torch.run import run_module, to_module

        return run_module(to_module(graph, arrays, options), graph, inputs, device, repeat)

    def read_checkpoint(self, path: Path) -> dict[str, np.ndarray]:
        """The arrays of a .pth file by key, without unpickling code; raises DataError, UsageError."""
        from netspec_torch.weights import read

        return read(Path(path))


BACKEND = TorchBackend()
