"""`expect`: the facts of the paper, verified against the compiled network."""

from __future__ import annotations

import sys
from functools import cached_property

from netspec.analysis.cost import params, totals
from netspec.analysis.measures import MEASURES, Measured, Part
from netspec.check.arithmetic import arithmetic, other_counts
from netspec.check.printed import Computed, Held, Problem, Verdict, contradiction, how_counted, judged, number, size
from netspec.check.quantities import quantity, tolerance
from netspec.diagnostics.errors import Hint, NetspecError, Reporter, Span, SpecError, did_you_mean
from netspec.elaborate.budget import RAISE_LIMITS, WORK_OF_NODE, Budget, OverBudget
from netspec.elaborate.compiled import Compiled, compile_variant
from netspec.expressions.identifiers import clipped
from netspec.ir.graph import Graph, Node
from netspec.ir.selection import by_path, output_of, step_help
from netspec.ir.titles import Steps, labelled
from netspec.ops.base import show
from netspec.syntax.ast import Name
from netspec.syntax.document import Document, Example, Expect, Fact, Facts, Printed, PrintedTable, Row, ShapeFact

FACT = 5
"""What a fact costs of the work that makes no node."""


def within_limits(network: Compiled, reporter: Reporter, budget: Budget | None = None) -> list[Held]:
    """The same as `verify`; what is too much work is an error at the document (NS404), and nothing was verified."""
    try:
        return verify(network, reporter, budget)
    except OverBudget as e:
        reporter.error("NS404", str(e), network.document.span, RAISE_LIMITS)
        return []


def verify(network: Compiled, reporter: Reporter, budget: Budget | None = None) -> list[Held]:
    """Compares every fact that holds for the variant; what differs is reported at the fact (NS501 to NS503).

    Gives the printed numbers with their verdicts. Raises OverBudget where that is too much work.
    """
    budget = budget or Budget()
    document, variant = network.document, network.variant
    expect, tables = document.expect_for(variant), document.tables_for(variant)
    if expect is None and not tables:
        return []
    verifier = _Verifier(network, reporter, budget)
    if variant == document.default_variant and document.expect is not None and expect is not document.expect:
        verifier.refuse_unread(document.expect)
    if expect is not None:
        verifier.all(expect)
    own = set(expect.tables if expect is not None else ())
    for table in tables:
        _check_table(table, document, verifier)
        if table in own and expect is not document.expect:
            verifier.refuse_others(table)
        rows = document.rows_of(table, variant)
        at = verifier.resized(table) if table.input and rows else verifier
        if at is not None:
            for row in rows:
                at.row(row)
    return verifier.held


def verify_example(
    network: Compiled, example: Example, reporter: Reporter, budget: Budget, missing: set[str] | None = None
) -> list[Held]:
    """Compares the facts of an example of a block with the block alone; rows of its tables are steps, or the block.

    `missing` are the steps that facts of its other examples name and that are not there, which is said once.
    Raises OverBudget where that is too much work.
    """
    if example.expect is None:
        return []
    verifier = _Verifier(network, reporter, budget)
    verifier.missing = set() if missing is None else missing
    verifier.names = {network.name}
    verifier.label = f"{network.name}({example.given})"
    verifier.all(example.expect)
    for table in example.expect.tables:
        _check_table(table, network.document, verifier)
        if table.input or table.variants:
            at = table.input_span if table.input else table.variants[0].span
            verifier.error("NS503", "a block has the input of its example, and no variants", at, "leave it out")
            continue
        for row in table.rows:
            verifier.row(row)
    return verifier.held


def stated(expect: Expect | None, what: str) -> int | None:
    """The exact number that `expect` gives for a count; None where it gives none."""
    for fact in expect.counts[what].items if expect is not None and what in expect.counts else ():
        number = quantity(fact.value.value) if fact.value is not None else None
        if isinstance(number, int) and fact.within is None:
            return number
    return None


_PLACES = ("table", "tables", "figure", "figures", "section", "sections", "abstract", "appendix", "equation")


def _check_table(table: PrintedTable, document: Document, verifier: _Verifier) -> None:
    """Reports what a table says of no network; once, with the first variant."""
    if verifier.network.variant not in (None, document.default_variant):
        return
    for name in table.variants:
        if name.text not in document.variants:
            help_ = did_you_mean(name.text, document.variants)
            verifier.error("NS502", f"there is no variant '{clipped(name.text)}'", name.span, help_)
    for at in table.too_long:
        verifier.error("NS503", "the row has more cells than the table has columns", at, "one cell for each column")


class _Parts:
    """The parts of a graph by path; each is looked for once, as several facts are stated of it."""

    def __init__(self, graph: Graph, budget: Budget, trained: Graph) -> None:
        self.graph, self.budget = graph, budget
        self.measured = Measured(graph, budget.take, trained)
        self.found: dict[str, Part] = {}

    @cached_property
    def nodes(self) -> dict[str, list[Node]]:
        """The nodes at every path and below it, of a node or of a scope."""
        return by_path(self.graph)

    def part(self, path: str) -> Part:
        """What stands at a path; all of the graph without one."""
        if path not in self.found:
            nodes = self.nodes.get(path, [])
            self.budget.take(len(nodes) if path else len(self.graph))
            if nodes and path and path not in self.graph:
                self.budget.take(len(self.graph))
            whole = self.measured.whole if not path else None
            gives = output_of(self.graph, path, nodes) if nodes else None
            self.found[path] = whole or self.measured.part(path, nodes, gives)
        return self.found[path]


class _Verifier:
    def __init__(self, network: Compiled, reporter: Reporter, budget: Budget) -> None:
        self.network, self.reporter, self.graph, self.budget = network, reporter, network.inference, budget
        self.missing: set[str] = set()
        self.titled: dict[str, str | None] = {}
        self.called: dict[str, str] = {}
        self.held: list[Held] = []
        self.run = _Parts(self.graph, budget, network.shown)
        self.paper = network.document.source_of(network.variant)
        self.names = network.document.names_of(network.variant)
        self.at_input = ""
        self.sizes: dict[tuple[int, ...], _Verifier | str] = {}
        self.label = network.name

    @cached_property
    def trained(self) -> _Parts:
        """The training graph, for the steps that the inference graph has not."""
        return _Parts(self.network.graph, self.budget, self.network.graph)

    @cached_property
    def steps(self) -> Steps:
        """The steps by their names and titles."""
        self.budget.take(len(self.network.graph))
        return Steps(self.network.graph)

    def all(self, expect: Expect) -> None:
        """Shapes first: where one differs, counts differ for the same reason, which is no error again."""
        for fact in expect.shapes:
            self.shape(fact)
        if self.reporter.failed:
            self.reporter = Reporter(limit=sys.maxsize)
        for what, facts in expect.counts.items():
            self.facts(facts, what, None)
        for path, facts in expect.fields:
            self.facts(facts, "receptive_field", path)
        for row in expect.rows:
            self.row(row)

    def refuse_unread(self, expect: Expect) -> None:
        """The facts of the document are of its first variant; where that has its own, the tables alone are read."""
        unread = [what for what in expect.keys if what != "printed"]
        if unread:
            help_ = "state them there, or leave its own out"
            self.error(
                "NS502", f"'{unread[0]}' is of no network: the first variant has its own facts", expect.span, help_
            )

    def refuse_others(self, table: PrintedTable) -> None:
        """A table of one variant has no rows of others."""
        others = {*self.network.document.variants, self.network.document.name} - self.names
        for row in table.rows:
            if row.path.text in others:
                help_ = "a table of several networks stands under the document's `expect`"
                self.error("NS502", f"'{clipped(row.path.text)}' is another network", row.path.span, help_)

    def resized(self, table: PrintedTable) -> _Verifier | None:
        """The same network at the input of a table; None where it cannot have it, an error."""
        size = tuple(table.input)
        if size not in self.sizes:
            self.sizes[size] = self.at_size(size)
        found = self.sizes[size]
        if isinstance(found, str):
            message = f"the network has no input of {'x'.join(map(str, size))}: {found}"
            self.error("NS503", message, table.input_span)
            return None
        return found

    def at_size(self, size: tuple[int, ...]) -> _Verifier | str:
        """The same network at another input, or why it cannot have it; raises OverBudget."""
        used = self.budget.used
        try:
            network = compile_variant(self.network.document, self.network.variant, None, Reporter(), size, self.budget)
        except NetspecError as e:
            return e.diagnostics[0].message if isinstance(e, SpecError) else e.message
        finally:
            self.budget.used = max(self.budget.used, used)  # nodes that are built again allow no more work
        self.budget.take(WORK_OF_NODE * len(network.graph))
        found = _Verifier(network, self.reporter, self.budget)
        found.held, found.at_input = self.held, f"an input of {'x'.join(map(str, size))}"
        found.label = self.label
        return found

    def error(self, code: str, message: str, at: Span, help: str | Hint = "") -> None:
        where = f"{self.graph.name}: " if self.network.variant else ""
        self.reporter.error(code, where + message, at, help)

    def problem(self, found: Problem) -> None:
        """Reports what is wrong with a fact."""
        self.error(found.code, found.message, found.at, found.help)

    def facts(self, facts: Facts, what: str, path: Name | None) -> None:
        """Each fact of a list, about the network or about what stands at a path."""
        at = "" if path is None else self.path_of(path)
        if at is None:
            return
        found = self.measured(what, at)
        if found is None:
            help_ = "name a step before the global pooling" if what == "receptive_field" else ""
            said = "the receptive field is the whole input" if help_ else f"no rule counts '{what}'"
            self.error("NS501", said, facts.span, help_)
            return
        for fact in facts.items:
            self.budget.take(FACT)
            self.fact(fact, what, at, found)

    def measured(self, what: str, at: str) -> int | float | None:
        """A measure of the network or of a step; `train_params` is what training adds to the network."""
        if what == "train_params":
            graphs = (self.network.graph, self.network.unfolded)
            more, less = (totals(graph.nodes.values()).params for graph in graphs)
            return more - less
        return MEASURES[what].of(self.part(at))

    def fact(self, fact: Fact, what: str, at: str, found: float) -> None:
        """One fact: a number is exact, {value, within} has a tolerance, and what is printed has its digits."""
        if (bad := contradiction(fact)) is not None:
            self.problem(bad)
            return
        label = f"{self.shown(at)}: {what}" if at else what
        if fact.value is not None or fact.printed is None:
            self.value(fact, label, what, found)
        if (printed := fact.printed) is not None:
            counted = self.counted(printed, what, at)
            if isinstance(counted, Problem):
                self.problem(counted)
                return
            of_bytes = what in MEASURES and MEASURES[what].unit == "B"
            self.printed(fact, what, at, number(label, found if counted is None else counted, printed.k, of_bytes))

    def counted(self, printed: Printed, what: str, at: str) -> int | Problem | None:
        """The parameters as a paper counts them; None where it counts all of them, as we do."""
        if printed.biases and printed.norms and not printed.statistics:
            return None
        if what != "params":
            message = f"'{what}' has no biases, norms or statistics to count"
            return Problem("NS503", message, printed.span, "leave it out")
        return params(self.part(at).nodes, printed.biases, printed.norms, printed.statistics)

    def printed(self, fact: Fact, what: str, at: str, computed: Computed) -> None:
        """What a paper prints: found to agree, or explained."""
        found = judged(fact, computed)
        verdict = found.verdict if isinstance(found, Problem) else found
        if verdict is not None:
            self.held.append(self.held_as(fact, what, at, computed, verdict))
        if isinstance(found, Problem):
            self.problem(found)

    def held_as(self, fact: Fact, what: str, at: str, computed: Computed, verdict: Verdict) -> Held:
        """A printed number with the verdict on it, and what explains it."""
        assert fact.printed is not None
        reason = fact.differs.text if fact.differs is not None else fact.why
        true = fact.misprint.text if fact.misprint is not None else ""
        explained = true or fact.differs is not None
        return Held(
            self.label,
            at,
            what,
            fact.printed.text,
            computed.value,
            verdict,
            self.source(fact),
            true,
            reason,
            ", ".join(filter(None, [self.at_input, how_counted(fact.printed)])),
            self.called.get(at, ""),
            arithmetic(what, self.part(at).nodes, fact.printed) if explained else "",
            other_counts(what, self.part(at).nodes, fact.printed) if verdict == "differs" else "",
        )

    def source(self, fact: Fact) -> str:
        """Where a fact is printed; a place in the network's own paper with the paper before it."""
        paper = self.paper.partition(",")[0]
        if not fact.source:
            return self.paper
        place = fact.source.partition(" ")[0].rstrip(",").lower() in _PLACES
        return f"{paper}, {fact.source}" if place and paper else fact.source

    def value(self, fact: Fact, label: str, what: str, found: float) -> None:
        """A number that is exact, or within a tolerance."""
        written, within = fact.value, fact.within
        expected = quantity(written.value) if written is not None else None
        slack = tolerance(within.value) if within is not None else 0.0
        if expected is None or slack is None:
            bad = written if expected is None else within
            message = f"'{what}' expects a number such as 6998552, 6.8M or a tolerance such as 4%"
            self.error("NS302", message, bad.span if bad is not None else fact.span)
            return
        if abs(found - expected) > slack * abs(expected):
            around = f" within {within.text}" if within is not None else ""
            off = f" ({(found - expected) / expected:+.2%})" if expected else ""
            self.error(
                "NS501",
                f"{label} is {found:,}, expected {expected:,}{around}{off}",
                written.span if written is not None else fact.span,
                "correct the spec, or the number with its source",
            )

    def path_of(self, name: Name) -> str | None:
        """The path of a step that is named by it or by titles; else an error, once for all paths below what is not."""
        self.budget.take(FACT)
        text = name.text
        if self.part(text).nodes:
            return text
        if text in self.names:
            return ""
        if text not in self.titled:
            self.budget.take(self.steps.work(text))
            self.titled[text] = self.steps.find(text)
        if (meant := self.titled[text]) is not None:
            self.called[meant] = text
            return meant
        places = [at for at, c in enumerate(text) if c == "."]
        absent = next((text[:at] for at in places if not self.trained.part(text[:at]).nodes), text)
        if absent not in self.missing:
            self.error(
                "NS502",
                f"there is no step '{clipped(text)}'",
                name.span,
                Hint(lambda: step_help(text, self.network.graph)),
            )
        self.missing.add(absent)
        return None

    def shown(self, at: str) -> str:
        """How messages call a step: by its path, with the title by which a fact has named it; or the network."""
        return labelled(at, self.called) if at else self.graph.name

    def part(self, path: str) -> Part:
        """What stands at a path, of the inference graph, or for a training-only part of the other."""
        found = self.run.part(path)
        return found if found.nodes or not path else self.trained.part(path)

    def shape(self, stated: ShapeFact) -> None:
        """The sizes of what stands at a path, without the batch."""
        at = self.path_of(stated.path)
        if at is None:
            return
        part, fact = self.part(at), stated.fact
        found = part.measured.graph.shape(part.gives) if part.gives is not None else ()
        if stated.sizes is not None:
            expected = stated.sizes if isinstance(stated.sizes, list) else [stated.sizes]
            if list(found[1:]) != expected:
                message = f"{self.shown(at)} is {show(found)}, expected {'x'.join(map(str, expected[:8]))}"
                self.error("NS501", message, stated.span)
        if fact is None:
            return
        if (bad := contradiction(fact)) is not None:
            self.problem(bad)
        elif fact.printed is not None:
            self.printed(fact, "shape", at, size(self.shown(at), [int(side) for side in found[1:]], fact.printed.text))

    def row(self, row: Row) -> None:
        """What is stated of what stands at a path."""
        if self.path_of(row.path) is None:
            return
        for shape in row.shapes:
            self.shape(shape)
        for what, facts in row.counts.items():
            self.facts(facts, what, row.path)
