"""The state of one elaboration: nodes and scopes made so far, budgets, and who shares weights with whom."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from netspec.document import Document
from netspec.elaborate.values import BlockFrame, Mistake, Names, Val
from netspec.errors import Reporter, Span
from netspec.graph import Node, Ref, Scope
from netspec.identifiers import Path
from netspec.ops import OPS, Op, Shape, Tensor

MAX_NODES = 100_000
MAX_TICKS = 1_000_000
MAX_PARAMS = 2**36
MAX_SCOPES = 128


class OverBudget(Exception):
    """A budget is used up: elaboration stops."""


@dataclass(frozen=True, slots=True)
class Where:
    """Where something is made: its path, and the prefix under which its weights live."""

    path: Path = Path()
    weights: Path = Path()
    own: tuple[tuple[str, tuple[str, ...]], ...] = ()
    """Below a path, the names whose weights stay apart although the rest is shared."""
    written: bool = False
    """Weights come from a step written earlier, so they must be there already."""

    def child(self, name: str) -> Where:
        """The place of a name inside this one; raises BadName."""
        return replace(self, path=self.path.child(name), weights=self.weights.child(name))

    def weights_at(self) -> tuple[Path, bool]:
        """The prefix for a node here, and whether it is shared with a step written earlier."""
        for prefix, names in self.own:
            inside = f".{self.path[len(prefix) + 1:]}."
            if any(f".{name}." in inside for name in names):
                return self.path, False
        return self.weights, self.written


def join(prefix: str, name: str) -> str:
    """Two parts of a path."""
    return f"{prefix}.{name}" if prefix else name


@dataclass(frozen=True, slots=True)
class Loop:
    """The round that is being made: the prefix of its weights, and the one that `share: true` uses instead."""

    current: str
    shared: str


@dataclass(frozen=True, slots=True)
class Context:
    """What a list of steps runs in."""

    frame: BlockFrame
    values: Mapping[str, Any]
    names: Names
    where: Where
    loops: tuple[Loop, ...] = ()
    counting: bool = False
    """Whether a loop around counts with `i`."""

    def inside(self, where: Where, names: Names | None = None) -> Context:
        """The context of a scope opened here."""
        return replace(self, where=where, names=names or Names(self.names))

    def having(self, **values: Any) -> Context:
        """The context with further values."""
        return replace(self, values={**self.values, **values})


@dataclass(eq=False)
class Run:
    """One elaboration of one document."""

    reporter: Reporter
    bad: set[int] = field(default_factory=set)
    max_nodes: int = MAX_NODES
    nodes: dict[str, Node] = field(default_factory=dict)
    scopes: dict[str, Scope] = field(default_factory=dict)
    traces: dict[str, BlockFrame] = field(default_factory=dict)
    weights_of: dict[str, str] = field(default_factory=dict)
    """Path of a node or scope -> prefix of its weights."""
    owners: dict[str, Node] = field(default_factory=dict)
    """Prefix of weights -> the node that made them."""
    offered: list[tuple[Val, Span, BlockFrame, str]] = field(default_factory=list)
    """Steps with several values, whose parts may stay unread."""
    ticks: int = 0
    params: int = 0

    def tick(self) -> None:
        """Counts one step of elaboration; raises OverBudget."""
        self.ticks += 1
        if self.ticks > max(MAX_TICKS, 10 * self.max_nodes):
            raise OverBudget(f"more than {max(MAX_TICKS, 10 * self.max_nodes):,} steps of elaboration "
                             "(rounds, calls, parts of expressions)")

    def error(self, frame: BlockFrame | None, code: str, message: str, span: Span | None, help: str = "") -> None:
        """Reports an error with the calls that led here."""
        self.reporter.error(code, message, span, help, frame.trace if frame else ())

    def mistake(self, frame: BlockFrame, found: Mistake, span: Span) -> None:
        """Reports a mistake, at its own place or at `span`."""
        self.error(frame, found.code, found.message, found.span or span, found.help)

    @contextmanager
    def quietly(self) -> Iterator[None]:
        """Reports nothing for a while."""
        kept, self.reporter = self.reporter, Reporter()
        try:
            yield
        finally:
            self.reporter = kept

    def shape_of(self, value: Val) -> Shape:
        """The shape of a value of one tensor."""
        ref, = value.refs
        return self.nodes[ref.node].shapes[ref.out]

    def callables(self, home: Document) -> list[str]:
        """Everything that a step may name in a file."""
        return [*OPS, *home.blocks, *home.used, "do", "tee"]

    def scope(self, where: Where, kind: str, frame: BlockFrame, span: Span | None, block: str = "",
              args: Mapping[str, Any] | None = None, doc: str = "") -> None:
        """Records a scope; a second one at the same path is a mistake, and so is one that lies too deep."""
        if where.path.count(".") >= MAX_SCOPES and span is not None:
            raise Mistake("NS404", f"scopes lie in each other more than {MAX_SCOPES} deep", span)
        if where.path in self.scopes or where.path in self.nodes:
            self.same_path(where.path, span)
        named = frame.inputs if block and len(frame.inputs) > 1 else {}
        ins = {name: value.refs[0] for name, value in named.items() if len(value.refs) == 1}
        self.scopes[where.path] = Scope(where.path, kind, where.weights, block, args or {}, ins, {}, span, doc)
        self.weights_of[where.path] = where.weights

    def leaves(self, where: Where, value: Val) -> None:
        """Records what leaves the scope of a block by several names."""
        if len(value.refs) > 1 and where.path in self.scopes:
            outs = dict(zip(value.names, value.refs, strict=True))
            self.scopes[where.path] = replace(self.scopes[where.path], outs=outs)

    def same_path(self, path: str, span: Span | None) -> None:
        """Raises the mistake of two things at one path."""
        first = self.nodes[path].span if path in self.nodes else self.scopes[path].span
        raise Mistake("NS204", f"two steps have the path '{path}': here and line {first.line if first else '?'}", span,
                      "give one of them a name of its own: `name = op: ...`")

    def node(self, op: Op, operands: tuple[Ref, ...], attrs: Mapping[str, Any], init: Mapping[str, Any],
             where: Where, frame: BlockFrame, span: Span | None, doc: str = "") -> Val:
        """Makes a node; raises OpError, Mistake or OverBudget."""
        rule = op.infer([Tensor(self.nodes[r.node].shapes[r.out]) for r in operands], attrs)
        if where.path in self.nodes or (where.path in self.scopes and rule.weights):
            self.same_path(where.path, span)
        if len(self.nodes) >= self.max_nodes:
            raise OverBudget(f"more than {self.max_nodes:,} nodes in the graph")
        weights_at, written = where.weights_at()
        node = Node(where.path, op.name, operands, rule.attrs, rule, weights_at, init, span, doc)
        if rule.weights or rule.stats:
            self._own(node, written, span)
        self.nodes[where.path] = node
        self.traces[where.path] = frame
        self.weights_of[where.path] = weights_at
        count = len(rule.shapes)
        return Val(tuple(Ref(where.path, k) for k in range(count)),
                   tuple(map(str, range(count))) if op.name == "split" else ())

    def _own(self, node: Node, written: bool, span: Span | None) -> None:
        """Checks that shared weights fit: same op, same shapes; raises Mistake."""
        owner = self.owners.setdefault(node.weights_at, node)
        if owner is node:
            if written:
                raise Mistake("NS405", f"'{node.weights_at}' has no weights to share with '{node.path}'", span,
                              "`share` names a step of the same structure; `own` lists what stays apart")
            self.params += sum(math.prod(map(int, s)) for s in node.rule.weights.values())
            if self.params > MAX_PARAMS:
                raise OverBudget("more than 2^36 parameters")
        elif owner.op != node.op:
            raise Mistake("NS405", f"'{node.path}' is {node.op}, it cannot share the weights of {owner.op} "
                          f"'{owner.path}'", span)
        elif (owner.rule.weights, owner.rule.stats) != (node.rule.weights, node.rule.stats):
            ours, theirs = node.rule.weights or node.rule.stats, owner.rule.weights or owner.rule.stats
            raise Mistake("NS405", f"'{node.path}' cannot share the weights of '{owner.path}': "
                          f"{_shapes(ours)} here, {_shapes(theirs)} there", span,
                          "shared steps need inputs of equal width and equal arguments")


def _shapes(tensors: Mapping[str, Shape]) -> str:
    return ", ".join(f"{name} {'x'.join(map(str, shape))}" for name, shape in tensors.items())
