"""A network: a document with a variant chosen, its graphs and its weights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict, Unpack
from warnings import warn

from netspec.diagnostics.errors import Diagnostic, Reporter, SpecError, UsageError, did_you_mean
from netspec.elaborate import elaborate
from netspec.elaborate.budget import MAX_NODES, Budget
from netspec.elaborate.interface import InputSize
from netspec.ir.graph import Graph
from netspec.ir.selection import frozen_nodes
from netspec.passes import NAMED, Pass, inference
from netspec.passes.resize import ShapeMismatch, resize
from netspec.syntax.reader import Document, lineage, read_document

if TYPE_CHECKING:
    import numpy as np
    import torch  # noqa: TID251 - the type alone, never at run time

    from netspec.weights.checkpoints.load import Loaded
    from netspec.weights.lazy import Arrays


class CheckpointWarning(UserWarning):
    """What was taken of a checkpoint where there was a choice, and values in it that are no numbers."""


class CheckpointChoices(TypedDict, total=False):
    """What of a checkpoint is taken, and how its names are read."""

    exclude: Sequence[str]
    """Patterns of steps whose weights are not taken."""
    checkpoint_key: str
    """Which of the mappings of the file, or which prefix of its names."""
    rules: str | Path
    """A file of rules, which come before those of the spec."""


class Network:
    """A compiled spec: `graph` is the training graph, `inference` the one that is run and counted."""

    def __init__(
        self,
        document: Document,
        variant: str | None,
        graph: Graph,
        warnings: Sequence[Diagnostic] = (),
        settings: Mapping[str, Any] | None = None,
    ) -> None:
        self.document, self.variant, self.graph = document, variant, graph
        self.warnings, self.settings = tuple(warnings), dict(settings or {})

    @property
    def name(self) -> str:
        """The name of the variant, or of the document."""
        return self.graph.name

    def forget(self) -> None:
        """Lets go of the graphs; the name and the warnings stay."""
        self.graph = Graph(self.graph.name, [], {})
        self.__dict__.pop("inference", None)

    @cached_property
    def inference(self) -> Graph:
        """The inference graph: without auxiliary heads and dropout."""
        return inference(self.graph)

    def arrays(
        self,
        seed: int = 0,
        weights: str | Path | None = None,
        training: bool = False,
        layers: Sequence[str] | None = None,
        **choices: Unpack[CheckpointChoices],
    ) -> dict[str, np.ndarray]:
        """Every weight by its state-dict key: seeded, or from a checkpoint; raises DataError, UsageError.

        With `layers`, patterns of steps (`layer1`, `layer*.0`), those alone come from the checkpoint, without those of
        `exclude`, and all others are seeded. What was chosen of the file is said as a CheckpointWarning.
        """
        from netspec.weights.initialise import initialise

        if weights is None:
            return initialise(self.graph if training else self.inference, seed)
        return self.lazy_arrays(seed, weights, training, layers, **choices).all()

    def lazy_arrays(
        self,
        seed: int = 0,
        weights: str | Path | None = None,
        training: bool = False,
        layers: Sequence[str] | None = None,
        **choices: Unpack[CheckpointChoices],
    ) -> Arrays:
        """The same as `arrays`, each tensor made when it is asked for; raises DataError, UsageError."""
        from netspec.weights.initialise import lazily

        if weights is None:
            return lazily(self.graph if training else self.inference, seed)
        arrays, found = self.read_weights(weights, seed, training, layers, **choices)
        for text in [*found.notes, *(d.message for d in found.warnings)]:
            warn(text, CheckpointWarning, stacklevel=3)
        return arrays

    def read_weights(
        self,
        weights: str | Path,
        seed: int = 0,
        training: bool = False,
        layers: Sequence[str] | None = None,
        **choices: Unpack[CheckpointChoices],
    ) -> tuple[Arrays, Loaded]:
        """The same as `lazy_arrays`, and what the checkpoint gave, with what is to be said of it."""
        from netspec.weights.checkpoints.load import Choices, drawn, load
        from netspec.weights.initialise import lazily

        rules = choices.get("rules")
        found = load(
            self,
            Path(weights),
            training,
            Choices(layers, choices.get("exclude", ()), choices.get("checkpoint_key"), Path(rules) if rules else None),
        )
        if layers is None and not choices.get("exclude"):
            return found.arrays, found
        seeded = lazily(self.graph if training else self.inference, seed)
        found.notes.append(drawn(seeded, found.arrays))
        return seeded | found.arrays, found

    def to_torch(
        self,
        training: bool = False,
        seed: int = 0,
        weights: str | Path | None = None,
        layers: Sequence[str] | None = None,
        freeze: Sequence[str] = (),
        **choices: Unpack[CheckpointChoices],
    ) -> torch.nn.Module:
        """The nn.Module that `netspec compile --to torch` writes, with its weights; raises UsageError, DataError.

        `layers` are the steps whose weights come from `weights`, all by default, without those of `exclude`. The steps
        in `freeze` are not trained (Yosinski et al. 2014: transfer of the first n layers, frozen or fine-tuned): their
        parameters need no gradient, and they stay in eval mode when `train()` is called.
        """
        from netspec.backend import Options, get

        module: torch.nn.Module = get("torch").to_module(
            self.graph,
            self.lazy_arrays(seed, weights, training, layers, **choices),
            Options(training=training),
            frozen_nodes(self.graph, freeze),
        )
        return module

    def to_onnx(self, path: str | Path, seed: int = 0, weights: str | Path | None = None, **options: Any) -> list[Path]:
        """Writes the inference graph as an ONNX model; gives the files written; `options` are those of `arrays` too."""
        from netspec.backend import Options, get, origin

        names = {"layers", *CheckpointChoices.__annotations__} & set(options)
        known = origin(seed, weights, [name for name, value in options.items() if value])
        arrays = self.lazy_arrays(seed, weights, **{name: options.pop(name) for name in names})
        chosen = Options(seed=seed, origin=known, **options)
        written: list[Path] = get("onnx").emit(self.inference, arrays, Path(path), chosen)
        return written


def build(
    document: Document,
    variant: str | None = None,
    settings: Mapping[str, Any] | None = None,
    reporter: Reporter | None = None,
    input: InputSize | None = None,
    max_nodes: int | Budget = MAX_NODES,
) -> Network:
    """Compiles one variant of a document; raises SpecError with all findings, UsageError."""
    reporter = Reporter() if reporter is None else reporter
    if document.checkpoints is not None and not document.open & {"params", "let"}:
        from netspec.weights.checkpoints import check_rules

        check_rules(document.checkpoints, reporter, document.values)
    try:
        graph = elaborate(document, variant, settings, reporter, input, max_nodes)
    except UsageError:
        reporter.check()  # an error of the document is not hidden by an option that may not fit because of it
        raise
    variant = variant or document.default_variant
    passes = _passes(document, variant, reporter)
    if graph is not None and passes:
        # A dense form is made at the size that the layers were written for; the variant's own size comes after.
        shapes = {str(node.path): node.shape for node in graph.inputs}
        graph = None  # two large graphs at once are more than a check may take
        graph = elaborate(document, variant, settings, reporter, None, max_nodes, declared_input=True)
        if graph is not None:
            for rewrite in passes:
                graph = rewrite(graph).check()
            try:
                graph = resize(graph, shapes).check()
            except ShapeMismatch as e:
                reporter.error(e.error.code, f"{e.node.path}: {e}", e.node.span, e.error.help)
    checked = _checked(graph, reporter)
    if input is not None or settings:
        from netspec.check.input_notes import note_inputs

        note_inputs(document, variant, (settings or {}) if input is not None else {}, checked, reporter, max_nodes)
    return Network(document, variant, checked, _warnings(reporter), settings)


def _checked(graph: Graph | None, reporter: Reporter) -> Graph:
    """The graph of an elaboration without errors; raises SpecError, UsageError where a setting is at fault."""
    for d in reporter.sorted():
        if d.severity == "error" and d.span is not None and d.span.file.split(" ")[0] == "--set":
            raise UsageError(f"{d.span.file}: {d.message}", d.help)
    reporter.check()
    if graph is None:
        raise AssertionError("elaboration made no graph and reported no error")
    return graph


def _warnings(reporter: Reporter) -> list[Diagnostic]:
    return [d for d in reporter.sorted() if d.severity != "error"]


def build_block(
    document: Document,
    name: str,
    settings: Mapping[str, Any] | None = None,
    reporter: Reporter | None = None,
    input: InputSize | None = None,
    max_nodes: int | Budget = MAX_NODES,
) -> Network:
    """Compiles one block of a document alone, by its examples; raises SpecError with all findings, UsageError."""
    from netspec.elaborate.block_alone import elaborate_block

    reporter = Reporter() if reporter is None else reporter
    try:
        graph = elaborate_block(document, name, reporter, settings, input, max_nodes=max_nodes)
    except UsageError:
        reporter.check()
        raise
    return Network(document, None, _checked(graph, reporter), _warnings(reporter))


def _passes(document: Document, variant: str | None, reporter: Reporter) -> list[Pass]:
    """What the variant, or what it is `of`, asks for under `passes`."""
    found: list[Pass] = []
    chain = lineage(document, variant, reporter) if variant is not None else []
    for name in next((v.passes for v in reversed(chain) if v.passes), ()):
        if name.text in NAMED:
            found.append(NAMED[name.text])
        else:
            reporter.error("NS202", f"there is no pass '{name.text}'", name.span, did_you_mean(name.text, NAMED))
    return found


def load(
    spec: str | Path,
    variant: str | None = None,
    *,
    include: Sequence[str | Path] = (),
    input: InputSize | None = None,
    max_nodes: int = MAX_NODES,
    **params: Any,
) -> Network:
    """Compiles a spec by path, shipped name (`resnet50`) or `FILE.yaml:block`; raises SpecError, UsageError."""
    from netspec.syntax.library import find

    found = find(str(spec))
    reporter = Reporter()
    document = read_document(found, reporter, tuple(map(Path, include)))
    if document is None:
        raise SpecError(reporter.sorted())
    if found.block:
        if variant is not None:
            raise UsageError(f"'{spec}' is a block", "a variant goes with a document")
        return build_block(document, found.block, params, reporter, input, max_nodes)
    return build(document, found.variant if variant is None else variant, params, reporter, input, max_nodes)
