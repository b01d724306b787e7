"""The public face: a compiled spec with its weights, as arrays, as a PyTorch module or as an ONNX model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict, Unpack
from warnings import warn

import numpy as np

from netspec.backend import MakesModules, able, get, origin, read_checkpoint, write
from netspec.diagnostics.errors import Reporter, SpecError, UsageError
from netspec.elaborate.budget import MAX_NODES, Budget
from netspec.elaborate.compiled import Compiled, compile_block, compile_variant
from netspec.elaborate.configuration import InputSize
from netspec.ir.selection import frozen_nodes
from netspec.syntax.document import Document
from netspec.syntax.library import find
from netspec.syntax.reader import read_document
from netspec.weights.checkpoints.choices import Choices
from netspec.weights.checkpoints.load import drawn, weights_of
from netspec.weights.lazy import Arrays

if TYPE_CHECKING:
    import torch  # noqa: TID251 - the type alone, never at run time


class CheckpointWarning(UserWarning):
    """What was taken of a checkpoint where there was a choice, and values in it that are not numbers."""


class CheckpointChoices(TypedDict, total=False):
    """What of a checkpoint is taken, and how its names are read."""

    layers: Sequence[str] | None
    """Patterns of steps (`layer1`, `layer*.0`): their weights alone are taken, all others are seeded."""
    exclude: Sequence[str]
    """Patterns of steps whose weights are not taken."""
    checkpoint_key: str
    """Which of the mappings of the file, or which prefix of its names."""
    rules: str | Path
    """A file of rules, which come before those of the spec."""


class Network(Compiled):
    """A compiled spec: `graph` is the training graph, `inference` the one that is run and counted."""

    @classmethod
    def of(cls, compiled: Compiled) -> Network:
        """The network of a compiled variant or block."""
        c = compiled
        return cls(c.document, c.variant, c.graph, c.warnings, c.settings, c.passes)

    def arrays(
        self,
        seed: int = 0,
        weights: str | Path | None = None,
        training: bool = False,
        **choices: Unpack[CheckpointChoices],
    ) -> dict[str, np.ndarray]:
        """Every weight by its state-dict key: seeded, or from a checkpoint; raises DataError, UsageError.

        With `layers`, patterns of steps (`layer1`, `layer*.0`), those alone come from the checkpoint, without those of
        `exclude`, and all others are seeded. What was chosen of the file is said as a CheckpointWarning.
        """
        return self.lazy_arrays(seed, weights, training, **choices).all()

    def lazy_arrays(
        self,
        seed: int = 0,
        weights: str | Path | None = None,
        training: bool = False,
        **choices: Unpack[CheckpointChoices],
    ) -> Arrays:
        """The same as `arrays`, each tensor made when it is asked for; raises DataError, UsageError."""
        if weights is None:
            return drawn(self, seed, training)
        found = weights_of(self, Path(weights), seed, training, _chosen(choices), read_checkpoint)
        for text in [*found.notes, *(d.message for d in found.warnings)]:
            warn(text, CheckpointWarning, stacklevel=3)
        return found.arrays

    def to_torch(
        self,
        training: bool = False,
        seed: int = 0,
        weights: str | Path | None = None,
        freeze: Sequence[str] = (),
        passes: Sequence[str] = (),
        **choices: Unpack[CheckpointChoices],
    ) -> torch.nn.Module:
        """The nn.Module that `netspec compile --to torch` writes, with its weights; raises UsageError, DataError.

        `layers` are the steps whose weights come from `weights`, all by default, without those of `exclude`. The steps
        in `freeze` are not trained (Yosinski et al. 2014: transfer of the first n layers, frozen or fine-tuned): their
        parameters need no gradient, and they stay in eval mode when `train()` is called. `passes` are those of `after`.
        """
        network = self.after(passes)
        graph = network.trained if training else network.shown
        return able("torch", MakesModules).to_module(
            graph,
            network.lazy_arrays(seed, weights, training, **choices),
            training,
            frozen_nodes(graph, freeze),
        )

    def to_onnx(
        self,
        path: str | Path,
        seed: int = 0,
        weights: str | Path | None = None,
        passes: Sequence[str] = (),
        **options: object,
    ) -> list[Path]:
        """Writes the inference graph as an ONNX model; gives the files written.

        `passes` are those of `after`; `options` are those of `arrays` too.
        """
        names = set(CheckpointChoices.__annotations__) & set(options)
        choices = CheckpointChoices(**{name: options.pop(name) for name in names})  # type: ignore[typeddict-item]
        backend = get("onnx")
        chosen = backend.options(origin=origin(seed, weights, _chosen(choices).partial), **options)
        network = self.after(passes)
        arrays = network.lazy_arrays(seed, weights, **choices)
        return write(backend, network.inference, arrays, Path(path), chosen).files


def _chosen(choices: CheckpointChoices) -> Choices:
    rules = choices.get("rules")
    return Choices(
        choices.get("layers"),
        choices.get("exclude", ()),
        choices.get("checkpoint_key"),
        Path(rules) if rules else None,
    )


def build(
    document: Document,
    variant: str | None = None,
    settings: Mapping[str, object] | None = None,
    reporter: Reporter | None = None,
    input: InputSize | None = None,
    max_nodes: int | Budget = MAX_NODES,
) -> Network:
    """The network of one variant of a document; raises SpecError with all errors, UsageError."""
    return Network.of(compile_variant(document, variant, settings, reporter, input, max_nodes))


def load(
    spec: str | Path,
    variant: str | None = None,
    *,
    include: Sequence[str | Path] = (),
    input: InputSize | None = None,
    max_nodes: int = MAX_NODES,
    **params: object,
) -> Network:
    """Compiles a spec by path, shipped name, `FILE.yaml:block` or `FILE.yaml:variant`; raises SpecError, UsageError."""
    found = find(str(spec))
    reporter = Reporter()
    document = read_document(found, reporter, tuple(map(Path, include)))
    if document is None:
        raise SpecError(reporter.sorted())
    found = found.among(document.blocks, document.variants)
    if found.block:
        if variant is not None:
            raise UsageError(f"'{spec}' is a block", "a variant goes with a document")
        return Network.of(compile_block(document, found.block, params, reporter, input, max_nodes))
    return build(document, found.variant if variant is None else variant, params, reporter, input, max_nodes)
