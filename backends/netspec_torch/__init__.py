"""The PyTorch backend: in goes a graph; out comes readable source, and the nn.Module that it defines."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from netspec.backend import Backend, KeepsReady, MakesModules, ReadsCheckpoints, Result, Runs, Written, importing
from netspec.diagnostics.errors import MissingError, UsageError
from netspec.files.atomic import together, write_text
from netspec.ir.graph import Graph
from netspec.optional import importing as needing
from netspec.running.place import Place
from netspec.running.ways import Prepared, Prepares, Way
from netspec_torch.codegen import source
from netspec_torch.options import DEFAULTS, FORMS, TorchOptions, WeightsFile
from netspec_torch.target import check_name, remarks

if TYPE_CHECKING:
    import numpy as np
    import torch

    from netspec.running.ports import Value
    from netspec.weights.checkpoints.stored import Need, State
    from netspec_torch.prepared import Kept


class TorchBackend(Backend[TorchOptions], Runs, KeepsReady, MakesModules, ReadsCheckpoints, Prepares):
    """Writes PyTorch source, and runs it; torch is imported where it is needed."""

    name = "torch"
    suffix = ".py"
    summary = "PyTorch source with a class per block, and the nn.Module that it defines"
    options = TorchOptions
    product = "Python source"
    trainable = True
    forms = FORMS
    dtypes = ("float32", "float16", "bfloat16")

    def source(self, graph: Graph, options: TorchOptions = DEFAULTS) -> str:
        """The standalone source of a graph; needs no torch to write."""
        return source(graph, options)

    def emit(self, graph: Graph, arrays: Mapping[str, np.ndarray], target: Path, options: TorchOptions) -> Written:
        """Writes the source, and the weights next to it; raises UsageError, DataError, MissingError.

        The weights are a .pth; without torch, which the source does not need to be written, a .safetensors.
        """
        target, note = Path(target), ""
        if options.channels_last and not options.weights:
            raise UsageError(
                "--channels-last is how load() makes the network, which comes with the weights",
                "leave out --no-weights, or call .to(memory_format=torch.channels_last)",
            )
        if not options.weights:
            text = source(graph, options)
            check_name(target, text)
            return Written([write_text(target, text)], "", remarks(target))
        try:
            with needing("writing .pth", "torch"):
                from netspec_torch.weights import save
            suffix = ".pth"
        except MissingError as e:
            from netspec_torch.safetensors_file import save

            suffix, note = ".safetensors", f"the weights as .safetensors: {e.message}"
        with together(target) as new:
            place = new.target.with_suffix(suffix)
            if place == new.target:
                raise UsageError(
                    f"{target} is to be the source, and its weights would have the same name", "name a .py file with -o"
                )
            check_name(target, source(graph, options, WeightsFile(place.name, "0" * 64)))
            weights = new.add(place.name, hashed=True)
            save(graph, arrays, weights, options.folding)
            text = source(graph, options, WeightsFile(place.name, weights.sha256(), options.channels_last))
            new.add(new.target.name).write(text.encode("utf-8"))
        return Written([target, new.path(place.name)], note, remarks(target))

    def to_module(
        self,
        graph: Graph,
        arrays: Mapping[str, np.ndarray],
        training: bool = False,
        frozen: Collection[str] = (),
        by_name: bool = False,
    ) -> torch.nn.Module:
        """The module of the source with its weights, in eval mode or ready to be trained; raises MissingError.

        The nodes at the paths of `frozen` are not trained. With `by_name` a single output is a dict too.
        """
        with importing(self.name, "torch"):
            from netspec_torch.runtime import to_module

        return to_module(graph, arrays, training, frozen, by_name)

    def run(
        self,
        graph: Graph,
        arrays: Mapping[str, np.ndarray],
        inputs: Mapping[str, Value],
        device: str = "cpu",
        repeat: int = 1,
    ) -> Result:
        """Runs a graph in PyTorch; raises MissingError where the device is not there."""
        with importing(self.name, "torch"):
            from netspec_torch.runtime import run_module, to_module

        return run_module(to_module(graph, arrays), graph, inputs, device, repeat)

    def prepare(self, graph: Graph, arrays: Mapping[str, np.ndarray], way: Way) -> Prepared:
        """A module in eval mode that is ready to run; raises MissingError, UsageError, DataError."""
        with importing(self.name, "torch"):
            from netspec_torch.prepared import prepare

        return prepare(graph, arrays, way)

    def ready(self, graph: Graph, arrays: Mapping[str, np.ndarray], place: Place) -> Kept:
        """A graph as a module on a device; raises MissingError where it is not there, UsageError."""
        with importing(self.name, "torch"):
            from netspec_torch.prepared import Kept

        return Kept(graph, arrays, place)

    def read_checkpoint(self, path: Path, need: Need) -> list[State]:
        """The mappings of tensors in a .pth file, without running code; raises DataError, UsageError, MissingError."""
        with needing(f"reading {path}", "torch"):
            from netspec_torch.checkpoint import read

        return read(Path(path), need)

    def read_module(self, weights: object) -> list[State]:
        """The mappings of tensors in a module, a state dict or what holds one; raises UsageError, MissingError."""
        with needing("reading a state dict", "torch"):
            from netspec_torch.checkpoint import read_module

        return read_module(weights)


BACKEND = TorchBackend()
