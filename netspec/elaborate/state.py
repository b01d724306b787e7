"""The state of one elaboration: nodes and scopes made so far, budgets, and who shares weights with whom."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, MutableMapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

from netspec.diagnostics.errors import Hint, Reporter, SemanticError, Span, latest
from netspec.elaborate.budget import MAX_PARAMS, MAX_PATH, MAX_SCOPES, WORK_OF_NODE, Budget, Enough, OverBudget
from netspec.elaborate.forecast import Forecast
from netspec.elaborate.places import Site, Where
from netspec.elaborate.symbols import AMBIGUOUS, CallFrame, Tensors, place_of
from netspec.ir.graph import Node, Ref, Scope
from netspec.ops import OPS, Op, Shape, Tensor
from netspec.ops.base import Attrs
from netspec.ops.initialisers import Init
from netspec.syntax.reader import Document

# After misspellings that were read as what was probably meant, to check what follows: how many of them, and how far.
MAX_GUESSES = 10
MAX_NODES_AFTER_GUESS = 2_000


@dataclass(frozen=True, slots=True)
class RunningIteration:
    """An iteration of a loop that runs now: in which call, what it is called there, and what its variables are."""

    frame: CallFrame
    path: str
    variables: Mapping[str, object]
    first: bool


# These depend on the iteration even in the first one; others are worth a word about it in later ones alone.
_OF_ITERATIONS = ("NS401", "NS402")
_OF_LATER_ITERATIONS = ("NS203", "NS204", "NS302", "NS303", "NS307", "NS405")


@dataclass(eq=False)
class Elaboration:
    """What one elaboration has made and reported so far."""

    reporter: Reporter
    bad: set[int] = field(default_factory=set)
    budget: Budget = field(default_factory=Budget)
    nodes: dict[str, Node] = field(default_factory=dict)
    scopes: dict[str, Scope] = field(default_factory=dict)
    traces: dict[str, CallFrame] = field(default_factory=dict)
    weights_of: dict[str, str] = field(default_factory=dict)
    """Path of a node or scope -> prefix of its weights."""
    owners: MutableMapping[str, Node] = field(default_factory=dict)
    """Prefix of weights -> the node that made them."""
    written_owners: dict[int, dict[str, Node]] = field(default_factory=dict)
    """The same for nodes as they were before passes, by how many networks with passes lie in each other there."""
    fragments: int = 0
    """How many networks with passes are being made."""
    offered: list[tuple[Tensors, Span, CallFrame, str]] = field(default_factory=list)
    """Steps with several values, whose parts may stay unread."""
    params: int = 0
    forecast: Forecast = field(default_factory=Forecast)
    known: dict[Document, dict[str, None]] = field(default_factory=dict)
    iterations: list[RunningIteration] = field(default_factory=list)
    """The loops that run now, the innermost last."""
    missing: dict[tuple[object, tuple[str, ...]], list[Span]] = field(default_factory=dict)
    """By file, and by the shipped libraries that it does not use, the steps whose block is in these."""
    guesses: int = 0
    last_node: int = 0
    """After a guess, how many nodes are made at most."""

    @property
    def max_nodes(self) -> int:
        """The most nodes of a network."""
        return self.budget.max_nodes

    def tick(self, cost: int = 1) -> None:
        """Counts work against the limit; raises OverBudget, or Enough where there are errors already."""
        try:
            self.budget.take(cost)
        except OverBudget:
            if self.reporter.failed:
                raise Enough from None
            raise

    def error(self, frame: CallFrame | None, code: str, message: str, span: Span | None, help: str | Hint = "") -> None:
        """Reports an error with the calls that led here, and the iteration of the loop in which it is found."""
        if frame is not None and self.iterations:
            message += self._iteration(frame, code)
        self.reporter.error(code, message, span, help, frame.trace if frame else ())

    def _iteration(self, frame: CallFrame, code: str) -> str:
        """`; in b1 (k = 1)`: the iteration of this call that runs now."""
        mine = [iteration for iteration in self.iterations if iteration.frame is frame]
        if not mine or code not in (
            _OF_ITERATIONS if all(i.first for i in mine) else _OF_ITERATIONS + _OF_LATER_ITERATIONS
        ):
            return ""
        variables = {name: value for iteration in mine for name, value in iteration.variables.items()}
        shown = ", ".join(f"{name} = {str(value)[:40]}" for name, value in variables.items() if value is not AMBIGUOUS)
        return f"; in {mine[-1].path}" + f" ({shown})" * bool(shown)

    @contextmanager
    def iteration(self, frame: CallFrame, path: str, variables: Mapping[str, object], first: bool) -> Iterator[None]:
        """Runs one iteration of a loop, which errors in it name."""
        inside = path[len(frame.prefix) + 1 :] if frame.prefix else path
        self.iterations.append(RunningIteration(frame, inside, variables, first))
        try:
            yield
        except SemanticError as e:
            if not e.placed:
                e.message += self._iteration(frame, e.code)
                e.placed = True
            raise
        finally:
            self.iterations.pop()

    def report(self, frame: CallFrame, error: SemanticError, span: Span) -> None:
        """Reports an error, at its own place or at `span`."""
        trace = frame.trace if frame else ()
        if error.placed:
            self.reporter.error(error.code, error.message, error.span or span, error.help, trace)
        else:
            self.error(frame, error.code, error.message, error.span or span, error.help)

    def guess(self, word: str, known: Iterable[str], meant: Callable[[str, Sequence[str]], str | None]) -> str | None:
        """The known name that was certainly meant, for checking what follows a misspelling that is reported already."""
        self.guesses += 1
        found = meant(word, latest(known)) if self.guesses <= MAX_GUESSES else None
        if found is not None and not self.last_node:
            self.last_node = len(self.nodes) + MAX_NODES_AFTER_GUESS
        return found

    @contextmanager
    def quietly(self) -> Iterator[None]:
        """Reports nothing for a while."""
        kept, self.reporter = self.reporter, Reporter()
        try:
            yield
        finally:
            self.reporter = kept

    def shape_of(self, value: Tensors) -> Shape:
        """The shape of a value of one tensor."""
        (ref,) = value.refs
        return self.nodes[ref.node].shapes[ref.out]

    def callables(self, home: Document) -> Mapping[str, None]:
        """Everything that a step may name in a file."""
        if home not in self.known:
            self.known[home] = dict.fromkeys([*home.blocks, *home.used, *OPS, "do", "tee"])
        return self.known[home]

    def scope(self, site: Site, kind: str, block: str = "", args: Mapping[str, object] | None = None) -> None:
        """Records a scope; a second one at the same path is a mistake, and so is one that lies too deep."""
        where, span = site.where, site.span
        if where.path.count(".") >= MAX_SCOPES and span is not None:
            raise SemanticError("NS404", f"scopes lie in each other more than {MAX_SCOPES} deep", span)
        self.fits(where.path, span)
        if where.path in self.scopes or where.path in self.nodes:
            self.same_path(where.path, span)
        inputs = site.frame.inputs
        named = inputs if block and len(inputs) > 1 else {}
        ins = {name: value.refs[0] for name, value in named.items() if len(value.refs) == 1}
        self.scopes[where.path] = Scope(where.path, kind, where.weights, block, args or {}, ins, {}, span, site.doc)
        self.weights_of[where.path] = where.weights

    def leaves(self, where: Where, value: Tensors) -> None:
        """Records what leaves the scope of a block by several names."""
        if len(value.refs) > 1 and where.path in self.scopes:
            outs = dict(zip(value.names, value.refs, strict=True))
            self.scopes[where.path] = replace(self.scopes[where.path], outs=outs)

    def fits(self, path: str, span: Span | None) -> None:
        """Raises the mistake of a path that is too long: every node keeps its own."""
        if len(path) > MAX_PATH:
            raise SemanticError("NS404", f"limit exceeded: a path of more than {MAX_PATH} characters", span)

    def same_path(self, path: str, span: Span | None) -> None:
        """Raises the mistake of two things at one path."""
        first = self.nodes[path].span if path in self.nodes else self.scopes[path].span
        raise SemanticError(
            "NS204",
            f"two steps have the path '{path}': here and {place_of(first, span)}",
            span,
            "give one of them a name of its own: `name = op: ...`",
        )

    def node(self, op: Op, operands: tuple[Ref, ...], attrs: Attrs, init: Mapping[str, Init], site: Site) -> Tensors:
        """Makes a node; raises OpError, SemanticError or OverBudget."""
        where, frame, span, doc = site
        self.fits(where.path, span)
        rule = op.infer([Tensor(self.nodes[r.node].shapes[r.out]) for r in operands], attrs)
        if where.path in self.nodes or (where.path in self.scopes and rule.weights):
            self.same_path(where.path, span)
        if len(self.nodes) >= self.max_nodes:
            raise OverBudget(f"more than {self.max_nodes:,} nodes in the graph")
        if self.last_node and len(self.nodes) >= self.last_node:
            raise Enough
        weights_at, written = where.weights_at()
        node = Node(where.path, op.name, operands, rule.attrs, rule, weights_at, init, span, doc)
        if rule.weights or rule.stats:
            self.own(node, written, span)
        self.nodes[where.path] = node
        apart = sum(len(own) for _, own in where.own) // 16
        self.budget.used -= WORK_OF_NODE - len(operands) - len(rule.shapes) - apart
        self.traces[where.path] = frame
        self.weights_of[where.path] = weights_at
        count = len(rule.shapes)
        names = tuple(map(str, range(count))) if op.gives_parts else ()
        return Tensors(tuple(Ref(where.path, k) for k in range(count)), names)

    def own(self, node: Node, written: bool, span: Span | None) -> None:
        """Checks that shared weights fit: same op, same shapes; raises SemanticError."""
        owner = self.owners.setdefault(node.weights_at, node)
        if owner is node:
            if written:
                raise SemanticError(
                    "NS405",
                    f"'{node.weights_at}' has no weights to share with '{node.path}'",
                    span,
                    "`share` names a step of the same structure; `own` lists what stays apart",
                )
            self.params += sum(math.prod(map(int, s)) for s in node.rule.weights.values())
            if self.params > MAX_PARAMS:
                raise OverBudget("more than 2^36 parameters")
        elif owner.op != node.op:
            raise SemanticError(
                "NS405", f"'{node.path}' is {node.op}, it cannot share the weights of {owner.op} '{owner.path}'", span
            )
        elif (owner.rule.weights, owner.rule.stats) != (node.rule.weights, node.rule.stats):
            ours, theirs = node.rule.weights or node.rule.stats, owner.rule.weights or owner.rule.stats
            raise SemanticError(
                "NS405",
                f"'{node.path}' cannot share the weights of '{owner.path}': "
                f"{_shapes(ours)} here, {_shapes(theirs)} there",
                span,
                "shared steps need inputs of equal width and equal arguments",
            )


def _shapes(tensors: Mapping[str, Shape]) -> str:
    return ", ".join(f"{name} {'x'.join(map(str, shape))}" for name, shape in tensors.items())
