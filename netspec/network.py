"""The public face: a compiled spec with its weights, as arrays, as a PyTorch module or as an ONNX model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias, TypedDict, Unpack

import numpy as np

from netspec.analysis.cost import totals
from netspec.analysis.measures import Measured
from netspec.arguments import ExportWarning, check_fields, checked, folders, warn_of
from netspec.backend import MakesModules, able, get, origin, read_checkpoint, read_module, write
from netspec.check.expect import within_limits
from netspec.diagnostics.errors import MissingError, Reporter, SpecError, UsageError, check_options
from netspec.draw import draw
from netspec.draw.drawing import Drawing, ViewOptions, view_of
from netspec.elaborate.budget import MAX_NODES, Budget
from netspec.elaborate.compiled import Compiled, at_size, compile_block, compile_variant
from netspec.elaborate.configuration import InputSize, larger
from netspec.elaborate.document import values_of
from netspec.ir.graph import Graph
from netspec.ir.selection import frozen_nodes
from netspec.ops.base import show as shape_text
from netspec.passes.base import Level
from netspec.passes.profile import read_profile
from netspec.passes.runtimes import MEASURED
from netspec.reports.configuration.asked import Asked, configuration_table
from netspec.reports.configuration.notation import Cells
from netspec.reports.explain import explained
from netspec.reports.facts import facts_table
from netspec.reports.interface import block_interface, interface
from netspec.reports.listing import listed, specs
from netspec.reports.overview import of_network
from netspec.reports.summary import columns_of, table
from netspec.reports.table import Table
from netspec.reports.text import Text
from netspec.syntax.document import Document
from netspec.syntax.library import Found, find
from netspec.syntax.profile_reader import Profile
from netspec.syntax.reader import read_document
from netspec.weights.checkpoints.choices import OF_OTHERS, CheckpointChoices, Choices, ModuleChoices
from netspec.weights.checkpoints.load import CheckpointWarning, weights_of
from netspec.weights.initialise import seeded
from netspec.weights.lazy import Arrays
from netspec.weights.published.fetch import source_of

if TYPE_CHECKING:
    import torch  # noqa: TID251 - the type alone, never at run time


PLAIN = (bool, int, float, str, list, tuple, type(None))
"""Values of params that are values of Python; a block is shown by its name."""


Weights: TypeAlias = "str | Path | Mapping[str, object] | torch.nn.Module"
"""A checkpoint's file, `default` or another name of published weights, hf:ORG/NAME, a URL with its sha256, a state dict
or a module."""
AnyProfile: TypeAlias = str | Path | Profile | None
"""A file that `netspec tune` wrote, or what one says."""


class TableOptions(TypedDict, total=False):
    """What a configuration table shows, as the options of `netspec table` say it."""

    rows: str
    cells: Cells | None
    columns: str
    show: Sequence[str]
    hide: Sequence[str]
    transpose: bool


class Network(Compiled):
    """A compiled spec: `graph` is the training graph, `inference` the one that is run and counted."""

    @classmethod
    def of(cls, compiled: Compiled) -> Network:
        """The network of a compiled variant or block."""
        c = compiled
        return cls(c.document, c.variant, c.graph, c.warnings, c.settings, c.passes)

    def __repr__(self) -> str:
        """Its name and sizes, in two lines."""
        graph = self.inference
        counts = totals(graph.nodes.values())
        title = graph.title or self.document.title_of(self.variant)
        enters = ", ".join(f"{node.path} {shape_text(node.shape)}" for node in graph.inputs)
        leaves = ", ".join(f"{name} {shape_text(graph.shape(output.ref))}" for name, output in graph.outputs.items())
        return (
            f"{self.name}{f': {title}' if title else ''} ({enters} -> {leaves})\n"
            f"{counts.params:,} parameters, {counts.macs:,} MACs"
        )

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, str]:
        """Its table and picture, for a notebook; without Graphviz the table alone."""
        parts = [self.summary(depth=1)._repr_html_()]
        with suppress(MissingError):
            parts.append(str(self.draw()))
        return {"text/plain": repr(self), "text/html": "\n".join(parts)}

    def _repr_html_(self) -> str:
        return self._repr_mimebundle_()["text/html"]

    @property
    def params(self) -> dict[str, object]:
        """The values of its params: those of its spec and variant, and those that `load` was given."""
        values: Mapping[str, object] = self.graph.scopes[""].args if self.is_block else {}
        if not self.is_block:
            found = values_of(self.document, self.variant, self.settings)
            values = {param.name: found[param.name] for param in self.document.params}
        return {name: value if isinstance(value, PLAIN) else str(value) for name, value in values.items()}

    @property
    def variants(self) -> list[str]:
        """The names of all variants of its spec."""
        return list(self.document.variants)

    @checked
    def summary(
        self,
        columns: str | Sequence[str] = "",
        depth: int | None = None,
        training: bool = False,
        freeze: Sequence[str] = (),
    ) -> Table:
        """The layer table of `netspec summary`, of the training graph with `training`; raises UsageError.

        `columns` are those of its `--columns`: `["depth", "memory"]`, or `"+depth,memory"` next to the usual ones. With
        `freeze`, patterns of steps as in `to_torch`, it counts what is trained too.
        """
        graph = self.trained if training else self.inference
        measured = Measured(graph, trained=self.shown, frozen=frozen_nodes(graph, freeze))
        return table(
            graph, depth, columns_of(str(columns) or None), measured, doc="" if self.is_block else self.document.doc
        )

    @checked
    def table(self, *others: Network | str | Path, **asked: Unpack[TableOptions]) -> Table:
        """The configuration table of `netspec table`, with a column for each of the others too; raises UsageError.

        The others are networks, or what `load` takes.
        `asked` is what its options say: rows, cells, columns, show, hide, transpose.
        """
        check_options(asked, TableOptions.__annotations__, "a configuration table")
        networks = [other if isinstance(other, Network) else load(other) for other in others]
        return configuration_table([(network, "") for network in (self, *networks)], Asked(**asked))

    @checked
    def draw(self, kind: str = "svg", inference: bool = False, **view: Unpack[ViewOptions]) -> Drawing:
        """The picture of `netspec draw`: svg, png, pdf, html, dot or mermaid; raises UsageError, MissingError.

        `view` is what the options of the command line say: depth, collapse, expand, show, heat, unfold, direct.
        """
        graph = self.inference if inference else self.shown
        return Drawing(self.name, kind, draw(graph, kind, view_of(view)))

    @checked
    def explain(self, step: str = "") -> Text:
        """What `netspec explain` says of the network, or of one step, by its path or title; raises UsageError."""
        if not step:
            return Text(of_network(self, self.document.argument or self.name))
        return Text(explained(self, step, facts=not (self.settings or self.passes or self.taps)))

    def check(self) -> Table:
        """The numbers that its paper prints beside the computed ones; raises SpecError where a fact does not hold.

        Facts are of the variant as its spec has it, whatever params, size and passes this network has.
        """
        if self.is_block:
            help = f"`netspec check {self.document.argument}` verifies them"
            raise UsageError(f"the facts of the block '{self.name}' are those of its examples", help)
        reporter = Reporter()
        held = within_limits(build(self.document, self.variant), reporter)
        reporter.check()
        return facts_table(held)

    @checked
    def arrays(
        self,
        seed: int = 0,
        weights: Weights | None = None,
        training: bool = False,
        **choices: Unpack[CheckpointChoices],
    ) -> dict[str, np.ndarray]:
        """Every weight by its state-dict key: seeded, or from `weights`; raises DataError, UsageError, MissingError.

        `weights` is a checkpoint's file; `default`, `torchvision` or another name of weights that the spec knows,
        `hf:ORG/NAME` or a URL with `#sha256=`, which are downloaded; a state dict; or a module.

        With `layers`, patterns of steps (`layer1`, `layer*.0`), those alone come from the checkpoint, without those of
        `exclude`, and all others are seeded. What was chosen of the file is said as a CheckpointWarning.
        """
        return self.lazy_arrays(seed, weights, training, **choices).all()

    @checked
    def lazy_arrays(
        self,
        seed: int = 0,
        weights: Weights | None = None,
        training: bool = False,
        **choices: Unpack[CheckpointChoices],
    ) -> Arrays:
        """The same as `arrays`, each tensor made when it is asked for; raises DataError, UsageError."""
        chosen = Choices.of(choices)
        if weights is None:
            if given := next((name for name, value in choices.items() if value), None):
                raise UsageError(f"'{given}' goes with weights", "name a checkpoint: weights=...")
            return seeded(self, seed, training)
        found = weights_of(self, source_of(weights, self, read_module), seed, training, chosen, read_checkpoint)
        warn_of([*found.notes, *(d.message for d in found.warnings)], CheckpointWarning)
        return found.arrays

    @checked
    def to_torch(
        self,
        training: bool = False,
        seed: int = 0,
        weights: Weights | None = None,
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

    @checked
    def after(self, passes: Sequence[str]) -> Network:
        """The same after further passes, by name; raises UsageError, SpecError where one does not fit.

        `NAME@PATH` is a pass at one step, or below one scope, alone.
        """
        return super().after(passes)

    @checked
    def optimised(
        self, level: Level, runtime: str = "", profile: AnyProfile = None, dtype: str = "float32", dynamic: bool = False
    ) -> Network:
        """The same after the passes of a level, for a faster run: 0, 1 or 2; raises UsageError, SpecError.

        It is not trained then, but for 0. Level 2 has what is known to pay in a `runtime` such as onnxruntime, or with
        a `profile`, a file of `netspec tune`, what was measured of it; `dtype` and `dynamic` are of a later `to_onnx`.
        """
        if runtime and runtime not in MEASURED:
            raise UsageError(f"runtime is '{runtime[:80]}'", f"measured are {', '.join(MEASURED)}")
        return super().optimised(level, runtime, _profile(profile), dtype, dynamic)

    @checked
    def tapped(self, steps: Sequence[str]) -> Network:
        """The same with the values of these steps, by path or title, as its outputs; raises UsageError.

        What serves no other value is left out, inputs too; weights keep their keys, and checkpoints fit as before.
        """
        if not steps:
            raise UsageError("no step is named", 'name at least one, as ["layer1"]')
        return super().tapped(steps)

    @checked
    def features(
        self,
        steps: Sequence[str],
        training: bool = False,
        seed: int = 0,
        weights: Weights | None = None,
        passes: Sequence[str] = (),
        **choices: Unpack[ModuleChoices],
    ) -> torch.nn.Module:
        """A module whose forward gives the values of steps as a dict, in the order asked; raises UsageError, DataError.

        Its `channels` and `strides` are those of each value by name: C of `(N, C, H, W)`, and how many cells of the
        input lie between two values in height and width; None without a place there, as of a linear
        layer, or with several. `training` and `freeze` are those of `to_torch`.
        """
        network = self.tapped(steps).after(passes)
        graph, freeze = network.trained if training else network.shown, choices.pop("freeze", ())
        arrays = network.lazy_arrays(seed, weights, training, **choices)  # type: ignore[misc]
        frozen = frozen_nodes(graph, freeze)
        return able("torch", MakesModules).to_module(graph, arrays, training, frozen, by_name=True)

    @checked
    def to_onnx(
        self,
        path: str | Path,
        seed: int = 0,
        weights: Weights | None = None,
        passes: Sequence[str] = (),
        level: Level | None = None,
        profile: str | Path | None = None,
        **options: object,
    ) -> list[Path]:
        """Writes the inference graph as an ONNX model; gives the files written.

        `passes` are those of `after`; `level` is that of `optimised`, 1 by default, 2 with a `profile`, a file that
        `netspec tune` wrote; `options` are those of `arrays` too. What it loses or refuses is said as an ExportWarning.
        """
        names = set(CheckpointChoices.__annotations__) & set(options)
        choices = CheckpointChoices(**{name: options.pop(name) for name in names})  # type: ignore[typeddict-item]
        backend = get("onnx")
        check_options(options, [f.name for f in fields(backend.options)], "an ONNX model", OF_OTHERS)
        options = check_fields(backend.options, options)
        chosen = backend.options(origin=origin(seed, weights, Choices.of(choices).partial), **options)
        if (found := _profile(profile)) is not None:
            chosen, level = replace(chosen, profile=found.said), 2 if level is None else level
        level = backend.level if level is None else level
        network = Compiled.optimised(self.after(passes), level, chosen.runtime, found, chosen.dtype, chosen.dynamic)
        chosen = replace(chosen, passes=network.rewriting)
        if chosen.dynamic:

            def resized(rows: int, columns: int) -> Graph:
                size = larger(network.inference.inputs, rows, columns)
                other = Network.of(at_size(self, size))
                other = other.tapped(self.taps) if self.taps else other
                return other.after(passes).rewritten_as(network).inference

            chosen = replace(chosen, resized=resized)
        arrays = network.lazy_arrays(seed, weights, **choices)
        written = write(backend, network.inference, arrays, Path(path), chosen)
        doubts = (remark for remark in written.remarks if remark not in written.facts)
        warn_of([*network.doubts(chosen.dtype), *doubts], ExportWarning)
        return written.files


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


def _profile(given: AnyProfile) -> Profile | None:
    return read_profile(given) if isinstance(given, str | Path) else given


@checked
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
    found, document, reporter = _read(spec, include)
    if not found.block:
        return build(document, found.variant if variant is None else variant, params, reporter, input, max_nodes)
    if variant is not None:
        raise UsageError(f"'{spec}' is a block", "a variant goes with a document")
    return Network.of(compile_block(document, found.block, params, reporter, input, max_nodes))


@checked
def list_specs(*words: str, columns: str | Sequence[str] = "") -> Table:
    """The shipped networks, or those that words may mean, the nearest first; raises UsageError."""
    return listed("specs", list(specs()), words, str(columns) or None)


@checked
def show(spec: str | Path, variant: str | None = None, *, include: Sequence[str | Path] = ()) -> Table:
    """What a spec offers: params, inputs, outputs, variants, blocks, checkpoints; raises SpecError, UsageError."""
    found, document, reporter = _read(spec, include)
    if found.block:
        return block_interface(document.blocks[found.block], compile_block(document, found.block, {}, reporter))
    if document.is_library:
        reporter.check()
        return interface(document, None)
    return interface(document, compile_variant(document, found.variant if variant is None else variant, {}, reporter))


def _read(spec: str | Path, include: Sequence[str | Path]) -> tuple[Found, Document, Reporter]:
    """A document by the name of its file or of a network; raises SpecError, UsageError."""
    found, reporter = find(str(spec)), Reporter()
    document = read_document(found, reporter, folders(include))
    if document is None:
        raise SpecError(reporter.sorted())
    return found.among(document.blocks, document.variants), document, reporter
