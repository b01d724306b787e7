"""`expect`: the facts of the paper, verified against the compiled network."""

from __future__ import annotations

import math
import re
from functools import cached_property

from netspec.analysis.cost import neurons, output_of, totals
from netspec.analysis.receptive_field import receptive_fields
from netspec.diagnostics.errors import Hint, Reporter, Span
from netspec.elaborate.budget import Budget
from netspec.elaborate.compiled import Compiled
from netspec.expressions.identifiers import clipped
from netspec.ir.graph import Graph, Node, Ref
from netspec.ir.selection import step_help
from netspec.ops.base import show
from netspec.syntax.ast import Name
from netspec.syntax.document import Expect, Fact, Facts, Row, ShapeFact
from netspec.syntax.tree import ScalarValue

FACT = 5
"""What a fact costs of the work that makes no node."""
_UNITS = {"K": 10**3, "M": 10**6, "G": 10**9}
_QUANTITY = re.compile(r"([0-9]+(?:\.[0-9]+)?)([KMG]?)\Z")


def quantity(value: ScalarValue) -> float | int | None:
    """6998552, 6.8M, 1550M as a number; K, M, G are 10^3, 10^6, 10^9; None for anything else."""
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return value
    found = _QUANTITY.match(value.replace(",", "")) if isinstance(value, str) else None
    if found is None:
        return None
    scaled = float(found[1]) * _UNITS.get(found[2], 1)
    if not math.isfinite(scaled):
        return None
    return round(scaled) if math.isclose(scaled, round(scaled)) else scaled


def verify(network: Compiled, reporter: Reporter, budget: Budget | None = None) -> None:
    """Compares every fact that holds for the variant; what differs is reported at the fact (NS501, NS502).

    Raises OverBudget where that is too much work.
    """
    expect = network.document.expect_for(network.variant)
    if expect is not None:
        _Verifier(network, reporter, budget or Budget()).all(expect)


def stated(expect: Expect | None, what: str) -> int | None:
    """The exact number that `expect` gives for a count; None where it gives none."""
    for fact in expect.counts[what].items if expect is not None and what in expect.counts else ():
        number = quantity(fact.value.value) if fact.value is not None else None
        if isinstance(number, int) and fact.within is None:
            return number
    return None


class _Verifier:
    def __init__(self, network: Compiled, reporter: Reporter, budget: Budget) -> None:
        self.network, self.reporter, self.graph, self.budget = network, reporter, network.inference, budget
        self.missing: set[str] = set()
        self.parts: dict[int, dict[str, list[Node]]] = {}

    def inside(self, graph: Graph, path: str) -> list[Node]:
        """The nodes at a path or below it."""
        if id(graph) not in self.parts:
            self.parts[id(graph)] = _parts(graph)
        found = self.parts[id(graph)].get(path, [])
        self.budget.take(FACT + len(found))
        return found

    def output_of(self, graph: Graph, path: str) -> Ref | None:
        """The value that a step under `expect` gives."""
        if path not in graph:
            self.budget.take(len(graph))
        return output_of(graph, path)

    @cached_property
    def receptive_fields(self) -> dict[str, tuple[int, int] | None]:
        return receptive_fields(self.graph, self.budget.take)

    def all(self, expect: Expect) -> None:
        """Shapes first: where one differs, counts differ for the same reason, which is not said again."""
        for fact in expect.shapes:
            self.shape(fact)
        if self.reporter.failed:
            return
        counts = totals(self.graph.nodes.values())
        known = {
            "params": lambda: counts.params,
            "macs": lambda: counts.macs,
            "neurons": lambda: neurons(self.graph.nodes.values()),
            "train_params": lambda: (
                totals(self.network.graph.nodes.values()).params - totals(self.network.unfolded.nodes.values()).params
            ),
        }
        for what, facts in expect.counts.items():
            self.facts(facts, what, known[what]())
        for path, facts in expect.fields:
            self.field(path, facts)
        for row in expect.rows:
            self.row(row)

    def error(self, code: str, message: str, at: Span, help: str | Hint = "") -> None:
        where = f"{self.graph.name}: " if self.network.variant else ""
        self.reporter.error(code, where + message, at, help)

    def facts(self, facts: Facts, what: str, found: float) -> None:
        """Each fact of a list."""
        for fact in facts.items:
            self.budget.take(FACT)
            self.fact(fact, what, found)

    def fact(self, fact: Fact, what: str, found: float) -> None:
        """A number is exact; {value, within} has a tolerance."""
        written, within = fact.value, fact.within
        wanted = quantity(written.value) if written is not None else None
        slack = _tolerance(within.value) if within is not None else 0.0
        if wanted is None or slack is None:
            bad = written if wanted is None else within
            message = f"'{what}' expects a number such as 6998552, 6.8M or a tolerance such as 4%"
            self.error("NS302", message, bad.span if bad is not None else fact.span)
            return
        if abs(found - wanted) > slack * abs(wanted):
            tolerance = f" within {within.text}" if within is not None else ""
            off = f" ({(found - wanted) / wanted:+.2%})" if wanted else ""
            self.error(
                "NS501",
                f"{what} is {found:,}, expected {wanted:,}{tolerance}{off}",
                written.span if written is not None else fact.span,
                "correct the spec, or the number with its source",
            )

    def nodes_at(self, path: Name) -> str | None:
        """The path, if something stands there; else an error, once for all paths below a step that is not there."""
        if self.inside(self.graph, path.text) or self.inside(self.network.graph, path.text):
            return path.text
        first = path.text.partition(".")[0]
        if first not in self.missing:
            self.error(
                "NS502",
                f"there is no step '{clipped(path.text)}'",
                path.span,
                Hint(lambda: step_help(path.text, self.network.graph)),
            )
        if not self.inside(self.network.graph, first):
            self.missing.add(first)
        return None

    def graph_of(self, path: str) -> Graph:
        """The graph that has a path: the inference graph, or for a training-only part the other."""
        return self.graph if self.inside(self.graph, path) else self.network.graph

    def shape(self, fact: ShapeFact) -> None:
        at = self.nodes_at(fact.path)
        if at is None:
            return
        graph = self.graph_of(at)
        last = self.output_of(graph, at)
        found = graph.shape(last) if last is not None else ()
        wanted = fact.sizes if isinstance(fact.sizes, list) else [fact.sizes]
        if list(found[1:]) != wanted:
            self.error("NS501", f"{at} is {show(found)}, expected {'x'.join(map(str, wanted[:8]))}", fact.span)

    def row(self, row: Row) -> None:
        at = self.nodes_at(row.path)
        if at is None:
            return
        counts = totals(self.inside(self.graph_of(at), at))
        if row.shape is not None:
            self.shape(row.shape)
        for what, facts in row.counts.items():
            self.facts(facts, f"{at}: {what}", getattr(counts, what))

    def field(self, path: Name | None, facts: Facts) -> None:
        """The receptive field of the output, or of what stands at a path."""
        if path is not None and self.nodes_at(path) is None:
            return
        at = self.output_of(self.graph, path.text) if path is not None else None
        last = at or next(iter(self.graph.outputs.values())).ref
        found = self.receptive_fields[last.node]
        if found is None:
            help_ = "name a step before the global pooling"
            self.error("NS501", "the receptive field is the whole input", facts.span, help_)
        else:
            self.facts(facts, "receptive_field", max(found))


def _parts(graph: Graph) -> dict[str, list[Node]]:
    """The nodes of every path, of a node or of a scope."""
    found: dict[str, list[Node]] = {}
    for path, node in graph.nodes.items():
        found.setdefault(path, []).append(node)
        at = path.rfind(".")
        while at >= 0:
            found.setdefault(path[:at], []).append(node)
            at = path.rfind(".", 0, at)
    return found


def _tolerance(value: ScalarValue) -> float | None:
    """4% or 0.04 as a share; None for anything else."""
    if isinstance(value, str) and value.endswith("%"):
        number = quantity(value[:-1].strip())
        return None if number is None else number / 100
    return float(value) if isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value < 1 else None
