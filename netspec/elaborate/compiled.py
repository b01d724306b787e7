"""A variant of a document, or one of its blocks, as a graph that its passes have rewritten."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Self

from netspec.diagnostics.errors import Diagnostic, Reporter, SpecError, UsageError, did_you_mean
from netspec.elaborate.block_alone import elaborate_block
from netspec.elaborate.budget import MAX_NODES, Budget
from netspec.elaborate.configuration import Configuration, InputSize
from netspec.elaborate.document import elaborate
from netspec.elaborate.input_notes import note_inputs
from netspec.elaborate.parts_to_leave_out import with_switch
from netspec.elaborate.profiled import check_profile
from netspec.elaborate.rewritten import rewritten, variant_passes
from netspec.expressions.identifiers import Kind, clipped, why_not
from netspec.ir.graph import Graph, Node, Ref
from netspec.ir.module import Module
from netspec.ir.selection import by_path, output_of, step_help
from netspec.ir.titles import step_of
from netspec.passes import apply, apply_and_tell, inference, named, of_level, of_stage
from netspec.passes.base import Level, Pass, Stage
from netspec.passes.places import scopes_of
from netspec.passes.profile import digest
from netspec.passes.rewriter import ShapeMismatch
from netspec.passes.tap import tap
from netspec.syntax.document import Document
from netspec.syntax.profile_reader import Profile
from netspec.syntax.rules import check_rules

_FOUND = ("unfolded", "_run")
"""What a network finds once, of its graph and passes."""


class Compiled:
    """A graph and its document: `graph` is the training graph, `inference` the one that is run and counted."""

    def __init__(
        self,
        document: Document,
        variant: str | None,
        graph: Graph,
        warnings: Sequence[Diagnostic] = (),
        settings: Mapping[str, object] | None = None,
        passes: Sequence[Pass] = (),
    ) -> None:
        self.document, self.variant, self.graph = document, variant, graph
        self.warnings, self.settings, self.passes = tuple(warnings), dict(settings or {}), tuple(passes)
        self.whole, self.taps = graph, tuple[str, ...]()
        """The training graph before steps of it, `taps`, became its outputs: a checkpoint may have all its weights."""

    def __getstate__(self) -> dict[str, object]:
        """What is pickled: what follows from the graph and the passes is found again."""
        return {name: value for name, value in vars(self).items() if name not in _FOUND}

    @property
    def name(self) -> str:
        """The name of the variant, or of the document."""
        return self.graph.name

    @property
    def is_block(self) -> bool:
        """Whether it is a block alone."""
        return "" in self.graph.scopes

    def forget(self) -> None:
        """Lets go of the graphs; the name and the warnings stay."""
        self.graph = self.whole = Graph(self.graph.name, [], {})
        for kept in _FOUND:
            self.__dict__.pop(kept, None)

    @cached_property
    def unfolded(self) -> Graph:
        """The inference graph before the passes that were named: its weights are those that are stored."""
        return inference(self.graph)

    @cached_property
    def _run(self) -> tuple[Module, tuple[str, ...], tuple[Pass, ...]]:
        """The module, the passes that changed its weights, and those that changed anything."""
        module, folding, changing = Module(self.unfolded), list[str](), list[Pass]()
        for each in self.passes:
            before = module
            try:
                module, told = apply_and_tell([each], module)
            except ShapeMismatch as e:
                raise SpecError([_mismatch(e)]) from None
            folding += told
            changing += [each] if module is not before else []
        return module, tuple(folding), tuple(changing)

    @property
    def module(self) -> Module:
        """The inference graph after the passes that were named, and how its weights are made of the stored ones.

        Raises SpecError where one does not fit.
        """
        return self._run[0]

    @property
    def folding(self) -> tuple[str, ...]:
        """The passes that were named and changed its weights, in order, as `--pass` takes them."""
        return self._run[1]

    @property
    def rewriting(self) -> tuple[str, ...]:
        """The passes, as `--pass` takes them, that changed more than its variant and -O1 say; empty where none did."""
        own = self.plain.passes
        asked = [p for p in self._run[2] if p not in own]
        beyond = [p for p in asked if p.only is not None or p not in of_level(1)]
        return tuple(text for p in asked for text in p.texts) if beyond else ()

    @property
    def idle(self) -> list[str]:
        """The passes at places, as `--pass` takes them, that found nothing there."""
        return [text for p in self.passes if p.only is not None and p not in self._run[2] for text in p.texts]

    @property
    def plain(self) -> Self:
        """The same after the passes alone that its variant asks for."""
        passes = [] if self.is_block else _passes(self.document, self.variant, Reporter())
        found = of_stage(passes, Stage.INFERENCE)
        made = type(self)(self.document, self.variant, self.graph, self.warnings, self.settings, found)
        made.whole, made.taps = self.whole, self.taps
        return made

    @property
    def untapped(self) -> Self:
        """The same with the outputs of its spec."""
        return type(self)(self.document, self.variant, self.whole, self.warnings, self.settings, self.passes)

    @property
    def inference(self) -> Graph:
        """The graph that is run: without auxiliary heads and dropout, after the passes that were named."""
        return self.module.graph

    @property
    def trained(self) -> Graph:
        """The training graph; raises UsageError after a pass for inference alone."""
        if self.passes:
            message = f"after the pass '{self.passes[0].name}' the network '{self.name}' cannot be trained"
            raise UsageError(message, "leave out the pass, or the -O that has it, or what is for training")
        return self.graph

    @property
    def shown(self) -> Graph:
        """The training graph where there is one, else the one that is run."""
        return self.inference if self.passes else self.graph

    def after(self, passes: Sequence[str]) -> Self:
        """The same after further passes, by name; raises UsageError, SpecError where one does not fit.

        `NAME@PATH` is a pass at one step, or below one scope, alone.
        """
        asked = [named(name) for name in passes]
        paths, there = [*self.graph.nodes, *self.graph.scopes], scopes_of(self.graph.nodes)
        for name, path in ((p.name, path) for p in asked for path in p.only or ()):
            if path not in there:
                raise UsageError(f"{name}@{path}: '{self.name}' has no step '{path}'", did_you_mean(path, paths))
        graph, warnings = self.whole, self.warnings
        if of_stage(asked, Stage.TRAINING):
            graph = self._trained_after(asked)
            warnings = tuple(d for d in warnings if d.code != "NS406")  # weights that change with the input
        folding = of_stage([*self.passes, *asked], Stage.INFERENCE)
        made = type(self)(self.document, self.variant, graph, warnings, self.settings, folding)
        return made.tapped(self.taps) if self.taps else made

    def tapped(self, steps: Sequence[str]) -> Self:
        """The same with the values of these steps, by path or title, as its outputs; raises UsageError.

        What serves no other value is left out, inputs too; weights keep their keys, and checkpoints of the
        whole fit as before.
        """
        values, below = dict[str, Ref](), by_path(self.whole)
        for step in steps:
            path = step_of(self.whole, step) or step
            ref = output_of(self.whole, path, below.get(path, [])) if path else None
            if ref is None:
                raise UsageError(f"'{self.name}' has no step '{step[:80]}'", step_help(path, self.whole))
            name = path if why_not(step, Kind.OUTPUT) else step
            if name in values:
                raise UsageError(f"the step '{clipped(step)}' is named twice", "name each step once")
            values[name] = ref
        graph = apply([tap(values)], Module(self.whole)).graph
        made = type(self)(self.document, self.variant, graph, self.warnings, self.settings, self.passes)
        made.whole, made.taps = self.whole, tuple(steps)
        return made

    def optimised(
        self,
        level: Level,
        runtime: str = "",
        profile: Profile | None = None,
        dtype: str = "float32",
        dynamic: bool = False,
    ) -> Self:
        """The same after the passes of a level, for a faster run: 0, 1 or 2; it is not trained then, but for 0.

        Level 2 has what is known to pay in a runtime of the table of `netspec.passes.runtimes`, or with a profile what
        was measured of this network. A level has no pass that is not for `dtype`, the type that it computes in; raises
        UsageError for a pass for fixed sizes, by its name or of a profile, where height and width are free (`dynamic`),
        and SpecError for a profile of another network or runtime.
        """
        made = self
        if profile is not None:
            made = self._profiled(level, runtime, profile)
        elif level:
            made = self.after([p.name for p in of_level(level, runtime, dtype, dynamic)])
        if fixed := next((p.name for p in made.passes if not p.serves("float32", dynamic)), None):
            raise UsageError(
                f"after the pass '{fixed}' the height and width of '{self.name}' cannot be free",
                "leave out --dynamic, or the pass",
            )
        return made

    def _profiled(self, level: Level, runtime: str, profile: Profile) -> Self:
        if level != 2:
            raise UsageError(f"a profile goes with -O2, not with -O{level}", "-O2 --profile FILE")
        exact = [p.name for p in of_level(1)]
        check_profile(profile, self.graph, self.digest, self.after(exact).module, runtime)
        return self.after([*exact, *profile.texts])

    def doubts(self, dtype: str) -> list[str]:
        """What is said of each pass that changed its weights and is not for the type that it computes in."""
        changed = {text.partition("@")[0] for text in self.folding}
        names = [p.name for p in self.passes if p.name in changed and not p.serves(dtype)]
        return [
            f"the pass '{name}' is for float32: in {dtype} it loses precision, and -O2 leaves it out" for name in names
        ]

    @property
    def digest(self) -> str:
        """The hash of what it is, by which a profile knows its network."""
        return digest(self.unfolded, self.passes)

    def rewritten_as(self, other: Compiled) -> Self:
        """The same after the passes for inference that another, of another input size, has run through."""
        made = type(self)(self.document, self.variant, self.graph, self.warnings, self.settings, other.passes)
        made.whole, made.taps = self.whole, self.taps
        return made

    def _trained_after(self, passes: Sequence[Pass]) -> Graph:
        """The training graph after further passes, at the size that it has."""
        reporter, before = Reporter(), self.whole
        if "" not in self.whole.scopes:  # a block alone has the size of its example
            passes = [*_passes(self.document, self.variant, reporter), *passes]
            limit = max(MAX_NODES, len(self.whole))
            configuration = Configuration(self.variant, self.settings, declared_input=True)
            declared = elaborate(self.document, configuration, reporter, limit)
            before = _checked(declared, reporter)
        return _checked(_rewritten(before, passes, self.whole.inputs, reporter), reporter)

    def stored(self, training: bool = False) -> Graph:
        """The graph whose weights are drawn, or read from a checkpoint; raises UsageError as `trained` does."""
        return self.trained if training else self.unfolded


def compile_variant(
    document: Document,
    variant: str | None = None,
    settings: Mapping[str, object] | None = None,
    reporter: Reporter | None = None,
    input: InputSize | None = None,
    max_nodes: int | Budget = MAX_NODES,
) -> Compiled:
    """Compiles one variant of a document; raises SpecError with all errors, UsageError.

    Where it does not fit an input that was asked for, they name the switch of the part without which it does.
    """

    def without(part: str) -> None:
        asked = Configuration(variant, {**(settings or {}), part: "false"}, input)
        _compiled(document, asked, Reporter(), max_nodes)

    try:
        configuration = Configuration(variant, settings or {}, input)
        return _compiled(document, configuration, Reporter() if reporter is None else reporter, max_nodes)
    except SpecError as e:
        if input is None or (found := with_switch(e, document, settings or {}, without)) is e:
            raise
        raise found from None


def _compiled(document: Document, asked: Configuration, reporter: Reporter, max_nodes: int | Budget) -> Compiled:
    """Compiles one variant at the size that is asked for; raises SpecError, UsageError."""
    if document.checkpoints is not None and not document.open & {"params", "let"}:
        check_rules(document.checkpoints, reporter, document.values)
    try:
        graph = elaborate(document, asked, reporter, max_nodes)
    except UsageError:
        reporter.check()  # an error of the document is not hidden by an option that may not fit because of it
        raise
    variant = asked.variant or document.default_variant
    passes = _passes(document, variant, reporter)
    if graph is not None and of_stage(passes, Stage.TRAINING):
        inputs, graph = graph.inputs, None  # two large graphs at once are more than a check may take
        graph = elaborate(
            document, replace(asked, variant=variant, input=None, declared_input=True), reporter, max_nodes
        )
        if graph is not None:
            graph = _rewritten(graph, passes, inputs, reporter)
    checked = _checked(graph, reporter)
    if asked.input is not None or asked.settings:
        note_inputs(document, variant, asked.settings, checked, reporter, max_nodes)
    compiled = Compiled(
        document, variant, checked, _warnings(reporter), asked.settings, of_stage(passes, Stage.INFERENCE)
    )
    if compiled.passes:
        try:
            _ = compiled.module
        except SpecError as e:  # every command says the same of the variant
            for d in e.diagnostics:
                reporter.error(d.code, d.message, d.span, d.help)
            reporter.check()
    return compiled


def _rewritten(graph: Graph, passes: Sequence[Pass], inputs: Sequence[Node], reporter: Reporter) -> Graph | None:
    """A training graph after its passes, with the size of these inputs; None after an error, which is reported."""
    try:
        return rewritten(graph, passes, {str(node.path): node.shape for node in inputs})
    except ShapeMismatch as e:
        found = _mismatch(e)
        reporter.error(found.code, found.message, found.span, found.help)
        return None


def _mismatch(e: ShapeMismatch) -> Diagnostic:
    """What a pass cannot do with a node."""
    return Diagnostic(e.error.code, f"{e.node.path}: {e}", e.node.span, e.error.help)


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


def compile_block(
    document: Document,
    name: str,
    settings: Mapping[str, object] | None = None,
    reporter: Reporter | None = None,
    input: InputSize | None = None,
    max_nodes: int | Budget = MAX_NODES,
) -> Compiled:
    """Compiles one block of a document alone, by its examples; raises SpecError with all errors, UsageError."""
    reporter = Reporter() if reporter is None else reporter
    configuration = Configuration(None, settings or {}, input)
    try:
        graph = elaborate_block(document, name, configuration, reporter, max_nodes=max_nodes)
    except UsageError:
        reporter.check()
        raise
    return Compiled(document, None, _checked(graph, reporter), _warnings(reporter))


def at_size(network: Compiled, input: InputSize) -> Compiled:
    """A network or block, as its document has it, at another size of its inputs; raises SpecError."""
    if (block := network.graph.scopes.get("")) is not None:
        return compile_block(network.document, block.block, block.args, Reporter(), input)
    return compile_variant(network.document, network.variant, network.settings, Reporter(), input)


def _passes(document: Document, variant: str | None, reporter: Reporter) -> list[Pass]:
    """What the variant, or what it is `of`, asks for under `passes`."""
    return variant_passes(document.lineage(variant, reporter), reporter)
