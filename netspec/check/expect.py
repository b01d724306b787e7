"""`expect`: the facts of the paper, verified against the compiled network."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from functools import cached_property

from netspec.analysis.cost import neurons, output_of, totals
from netspec.analysis.receptive_field import receptive_fields
from netspec.diagnostics.errors import Hint, Reporter
from netspec.elaborate.budget import Budget
from netspec.elaborate.compiled import Compiled
from netspec.expressions.identifiers import clipped
from netspec.ir.graph import Graph, Node, Ref
from netspec.ir.selection import step_help
from netspec.ops.base import show
from netspec.syntax.tree import Map, Scalar, Seq, Tree, plain

FACT = 5
"""What a fact costs of the work that makes no node."""
_UNITS = {"K": 10**3, "M": 10**6, "G": 10**9}
_QUANTITY = re.compile(r"([0-9]+(?:\.[0-9]+)?)([KMG]?)\Z")


def quantity(value: object) -> float | int | None:
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


def stated(expect: Map | None, what: str) -> int | None:
    """The exact number that `expect` gives for a count; None where it gives none."""
    tree = expect.get(what) if expect is not None else None
    for fact in tree.items if isinstance(tree, Seq) else (tree,):
        value = fact.get("value") if isinstance(fact, Map) else fact
        number = quantity(value.value) if isinstance(value, Scalar) else None
        if isinstance(number, int) and not (isinstance(fact, Map) and fact.get("within") is not None):
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
        """What a step gives."""
        if path not in graph:
            self.budget.take(len(graph))
        return output_of(graph, path)

    @cached_property
    def receptive_fields(self) -> dict[str, tuple[int, int] | None]:
        return receptive_fields(self.graph, self.budget.take)

    def all(self, expect: Map) -> None:
        """Shapes first: where one differs, counts differ for the same reason, which is not said again."""
        for key, tree in expect.entries:
            if key.text == "shapes" and isinstance(tree, Map):
                for path, shape in tree.entries:
                    self.shape(path, shape)
        if self.reporter.failed:
            return
        counts = totals(self.graph.nodes.values())
        known = {
            "params": lambda: counts.params,
            "macs": lambda: counts.macs,
            "neurons": lambda: neurons(self.graph),
            "train_params": lambda: (
                totals(self.network.graph.nodes.values()).params - totals(self.network.unfolded.nodes.values()).params
            ),
        }
        for key, tree in expect.entries:
            if key.text in known:
                self.facts(tree, key.text, known[key.text]())
            elif key.text == "receptive_field":
                self.field(tree)
            elif key.text == "rows" and isinstance(tree, Map):
                for path, row in tree.entries:
                    self.row(path, row)

    def error(self, code: str, message: str, tree: Tree, help: str | Hint = "") -> None:
        where = f"{self.graph.name}: " if self.network.variant else ""
        self.reporter.error(code, where + message, tree.span, help)

    def facts(self, tree: Tree, what: str, found: float) -> None:
        """One fact, or each of a list."""
        for fact in tree.items if isinstance(tree, Seq) else (tree,):
            self.budget.take(FACT)
            self.fact(fact, what, found)

    def fact(self, tree: Tree, what: str, found: float) -> None:
        """A number is exact; {value, within} has a tolerance."""
        written = tree.get("value") if isinstance(tree, Map) else tree
        within = tree.get("within") if isinstance(tree, Map) else None
        wanted = quantity(written.value) if isinstance(written, Scalar) else None
        slack = _tolerance(within.value) if isinstance(within, Scalar) else 0.0
        if wanted is None or slack is None:
            bad = written if wanted is None else within
            message = f"'{what}' expects a number such as 6998552, 6.8M or a tolerance such as 4%"
            self.error("NS302", message, bad or tree)
            return
        if abs(found - wanted) > slack * abs(wanted):
            off = f" ({(found - wanted) / wanted:+.2%})" if wanted else ""
            self.error(
                "NS501",
                f"{what} is {found:,}, expected {wanted:,}"
                f"{f' within {within.text}' if isinstance(within, Scalar) else ''}{off}",
                written or tree,
                "correct the spec, or the number with its source",
            )

    def nodes_at(self, path: Scalar) -> str | None:
        """The path, if something stands there; else an error, once for all paths below a step that is not there."""
        if self.inside(self.graph, path.text) or self.inside(self.network.graph, path.text):
            return path.text
        first = path.text.partition(".")[0]
        if first not in self.missing:
            self.error(
                "NS502",
                f"there is no step '{clipped(path.text)}'",
                path,
                Hint(lambda: step_help(path.text, self.network.graph)),
            )
        if not self.inside(self.network.graph, first):
            self.missing.add(first)
        return None

    def graph_of(self, path: str) -> Graph:
        """The graph that has a path: the inference graph, or for a training-only part the other."""
        return self.graph if self.inside(self.graph, path) else self.network.graph

    def shape(self, path: Scalar, tree: Tree) -> None:
        at = self.nodes_at(path)
        if at is None:
            return
        graph = self.graph_of(at)
        last = self.output_of(graph, at)
        found = graph.shape(last) if last is not None else ()
        wanted = plain(tree)
        wanted = wanted if isinstance(wanted, list) else [wanted]
        if list(found[1:]) != wanted:
            self.error("NS501", f"{at} is {show(found)}, expected {'x'.join(map(str, wanted[:8]))}", tree)

    def row(self, path: Scalar, row: Tree) -> None:
        at = self.nodes_at(path)
        if at is None or not isinstance(row, Map):
            return
        graph = self.graph_of(at)
        counts = totals(self.inside(graph, at))
        for key, tree in row.entries:
            if key.text == "shape":
                self.shape(path, tree)
            elif key.text in ("params", "macs"):
                self.facts(tree, f"{at}: {key.text}", getattr(counts, key.text))

    def field(self, tree: Tree) -> None:
        """`receptive_field: 212`, or by path."""
        for path, fact in self.fields(tree):
            if path is not None and self.nodes_at(path) is None:
                continue
            at = self.output_of(self.graph, path.text) if path is not None else None
            last = at or next(iter(self.graph.outputs.values())).ref
            found = self.receptive_fields[last.node]
            if found is None:
                self.error(
                    "NS501", "the receptive field is the whole input", fact, "name a step before the global pooling"
                )
            else:
                self.facts(fact, "receptive_field", max(found))

    @staticmethod
    def fields(tree: Tree) -> Iterator[tuple[Scalar | None, Tree]]:
        if isinstance(tree, Map) and tree.get("value") is None:
            yield from tree.entries
        else:
            yield None, tree


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


def _tolerance(value: object) -> float | None:
    """4% or 0.04 as a share; None for anything else."""
    if isinstance(value, str) and value.endswith("%"):
        number = quantity(value[:-1].strip())
        return None if number is None else number / 100
    return float(value) if isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value < 1 else None
