"""A network: a document with a variant chosen, its graphs and its weights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict, Unpack
from warnings import warn

from netspec.diagnostics.errors import Diagnostic, Reporter, SpecError, UsageError
from netspec.elaborate import elaborate
from netspec.elaborate.budget import MAX_NODES, Budget
from netspec.elaborate.interface import InputSize
from netspec.ir.graph import Graph, Node
from netspec.ir.module import Module
from netspec.ir.selection import frozen_nodes
from netspec.passes import apply, inference, named, of_stage, resolve
from netspec.passes.base import Pass, Stage
from netspec.passes.resize import resize
from netspec.passes.rewriter import ShapeMismatch
from netspec.syntax.reader import Document, lineage, passes_of, read_document

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
        passes: Sequence[Pass] = (),
    ) -> None:
        self.document, self.variant, self.graph = document, variant, graph
        self.warnings, self.settings, self.passes = tuple(warnings), dict(settings or {}), tuple(passes)

    @property
    def name(self) -> str:
        """The name of the variant, or of the document."""
        return self.graph.name

    def forget(self) -> None:
        """Lets go of the graphs; the name and the warnings stay."""
        self.graph = Graph(self.graph.name, [], {})
        for kept in ("unfolded", "module"):
            self.__dict__.pop(kept, None)

    @cached_property
    def unfolded(self) -> Graph:
        """The inference graph before the passes that were named: its weights are those that are stored."""
        return inference(self.graph)

    @cached_property
    def module(self) -> Module:
        """The inference graph after the passes that were named, and how its weights are made of the stored ones."""
        return apply(self.passes, Module(self.unfolded))

    @property
    def inference(self) -> Graph:
        """The graph that is run: without auxiliary heads and dropout, after the passes that were named."""
        return self.module.graph

    @property
    def trained(self) -> Graph:
        """The training graph; raises UsageError after a pass for inference alone."""
        if self.passes:
            said = f"after the pass '{self.passes[0].name}' the network '{self.name}' cannot be trained"
            raise UsageError(said, "leave out the pass, or what is for training")
        return self.graph

    @property
    def shown(self) -> Graph:
        """The training graph where there is one, else the one that is run."""
        return self.inference if self.passes else self.graph

    def after(self, passes: Sequence[str]) -> Network:
        """The network after further passes, by name; raises UsageError, SpecError where one does not fit."""
        asked = [named(name) for name in passes]
        graph, warnings = self.graph, self.warnings
        if of_stage(asked, Stage.TRAINING):
            graph = self._trained_after(asked)
            warnings = tuple(d for d in warnings if d.code != "NS406")  # weights that change with the input
        folding = of_stage([*self.passes, *asked], Stage.INFERENCE)
        return Network(self.document, self.variant, graph, warnings, self.settings, folding)

    def _trained_after(self, passes: Sequence[Pass]) -> Graph:
        """The training graph after further passes, at the size that it has."""
        reporter, before = Reporter(), self.graph
        if "" not in self.graph.scopes:  # a block alone has the size of its example
            passes = [*_passes(self.document, self.variant, reporter), *passes]
            limit = max(MAX_NODES, len(self.graph))
            declared = elaborate(self.document, self.variant, self.settings, reporter, None, limit, declared_input=True)
            before = _checked(declared, reporter)
        return _checked(_rewritten(before, passes, self.graph.inputs, reporter), reporter)

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
        from netspec.weights.lazy import computed

        if weights is None:
            stored = lazily(self.stored(training), seed)
            return stored if training else computed(self.module, stored)
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
        from netspec.weights.lazy import computed

        rules = choices.get("rules")
        found = load(
            self,
            Path(weights),
            training,
            Choices(layers, choices.get("exclude", ()), choices.get("checkpoint_key"), Path(rules) if rules else None),
        )
        arrays = found.arrays
        if layers is not None or choices.get("exclude"):
            seeded = lazily(self.stored(training), seed)
            found.notes.append(drawn(seeded, arrays))
            arrays = seeded | arrays
        return arrays if training else computed(self.module, arrays), found

    def stored(self, training: bool = False) -> Graph:
        """The graph whose weights are drawn, or read from a checkpoint; raises UsageError as `trained` does."""
        return self.trained if training else self.unfolded

    def to_torch(
        self,
        training: bool = False,
        seed: int = 0,
        weights: str | Path | None = None,
        layers: Sequence[str] | None = None,
        freeze: Sequence[str] = (),
        passes: Sequence[str] = (),
        **choices: Unpack[CheckpointChoices],
    ) -> torch.nn.Module:
        """The nn.Module that `netspec compile --to torch` writes, with its weights; raises UsageError, DataError.

        `layers` are the steps whose weights come from `weights`, all by default, without those of `exclude`. The steps
        in `freeze` are not trained (Yosinski et al. 2014: transfer of the first n layers, frozen or fine-tuned): their
        parameters need no gradient, and they stay in eval mode when `train()` is called. `passes` are those of `after`.
        """
        from netspec.backend import Options, get

        network = self.after(passes)
        graph = network.trained if training else network.shown
        module: torch.nn.Module = get("torch").to_module(
            graph,
            network.lazy_arrays(seed, weights, training, layers, **choices),
            Options(training=training),
            frozen_nodes(graph, freeze),
        )
        return module

    def to_onnx(
        self,
        path: str | Path,
        seed: int = 0,
        weights: str | Path | None = None,
        passes: Sequence[str] = (),
        **options: Any,
    ) -> list[Path]:
        """Writes the inference graph as an ONNX model; gives the files written.

        `passes` are those of `after`; `options` are those of `arrays` too.
        """
        from netspec.backend import Options, get, origin

        names = {"layers", *CheckpointChoices.__annotations__} & set(options)
        known = origin(seed, weights, [name for name, value in options.items() if value])
        network = self.after(passes)
        arrays = network.lazy_arrays(seed, weights, **{name: options.pop(name) for name in names})
        chosen = Options(seed=seed, origin=known, **options)
        written: list[Path] = get("onnx").emit(network.inference, arrays, Path(path), chosen)
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
    if graph is not None and of_stage(passes, Stage.TRAINING):
        inputs, graph = graph.inputs, None  # two large graphs at once are more than a check may take
        graph = elaborate(document, variant, settings, reporter, None, max_nodes, declared_input=True)
        if graph is not None:
            graph = _rewritten(graph, passes, inputs, reporter)
    checked = _checked(graph, reporter)
    if input is not None or settings:
        from netspec.check.input_notes import note_inputs

        note_inputs(document, variant, (settings or {}) if input is not None else {}, checked, reporter, max_nodes)
    return Network(document, variant, checked, _warnings(reporter), settings, of_stage(passes, Stage.INFERENCE))


def _rewritten(graph: Graph, passes: Sequence[Pass], inputs: Sequence[Node], reporter: Reporter) -> Graph | None:
    """A training graph after passes, which are made at the size that its layers were written for; None after an error.

    The size of `inputs` comes after: a fully convolutional form gives maps of scores there.
    """
    try:
        module = apply(of_stage(passes, Stage.TRAINING), Module(graph))
        return resize(Module(module.graph), {str(node.path): node.shape for node in inputs}).check().graph
    except ShapeMismatch as e:
        reporter.error(e.error.code, f"{e.node.path}: {e}", e.node.span, e.error.help)
        return None


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
    chain = lineage(document, variant, reporter) if variant is not None else []
    return resolve(((name.text, name.span) for name in passes_of(chain)), reporter)


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
