"""The graph in the making: nodes, scopes, and who shares weights with whom."""

from __future__ import annotations

import math
from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from netspec.diagnostics.errors import SemanticError, Span
from netspec.elaborate.budget import MAX_PARAMS, MAX_PATH, MAX_SCOPES, WORK_OF_NODE, Budget, Enough, OverBudget
from netspec.elaborate.places import Site, Where
from netspec.elaborate.symbols import CallFrame, Tensors, place_of
from netspec.ir.graph import Node, Ref, Scope, ScopeKind
from netspec.ops import Op, Shape, Tensor
from netspec.ops.base import Attrs
from netspec.ops.initialisers import Init


class Offer(NamedTuple):
    """What a step gives by several names, whose parts may stay unread."""

    value: Tensors
    span: Span
    frame: CallFrame
    path: str
    """Of the block that gives it; empty where that is not a block."""


@dataclass(eq=False)
class GraphBuilder:
    """Makes nodes and scopes, in order, and infers shapes as it makes them."""

    budget: Budget
    nodes: dict[str, Node] = field(default_factory=dict)
    scopes: dict[str, Scope] = field(default_factory=dict)
    traces: dict[str, CallFrame] = field(default_factory=dict)
    weights_of: dict[str, str] = field(default_factory=dict)
    """Path of a node or scope -> prefix of its weights."""
    owners: MutableMapping[str, Node] = field(default_factory=dict)
    """Prefix of weights -> the node that made them."""
    written_owners: dict[int, dict[str, Node]] = field(default_factory=dict)
    """The same for nodes as they were before passes, by how many networks with passes lie in each other there."""
    titled: dict[str, Span] = field(default_factory=dict)
    """Where the title of a node or scope is written, by its path."""
    fragments: int = 0
    """How many networks with passes are being made."""
    offered: list[Offer] = field(default_factory=list)
    params: int = 0
    last_node: int = 0
    """After a guess, how many nodes are made at most."""

    def shape_of(self, value: Tensors) -> Shape:
        """The shape of a value of one tensor."""
        (ref,) = value.refs
        return self.nodes[ref.node].shapes[ref.out]

    def scope(self, site: Site, kind: ScopeKind, block: str = "", args: Mapping[str, object] | None = None) -> None:
        """Records a scope; raises SemanticError for a second one at a path, and for one too deep."""
        where, span = site.where, site.span
        if where.path.count(".") >= MAX_SCOPES and span is not None:
            raise SemanticError("NS404", f"scopes lie in each other more than {MAX_SCOPES} deep", span)
        self._check_length(where.path, span)
        if where.path in self.scopes or where.path in self.nodes:
            raise self._same_path(where.path, span)
        inputs = site.frame.inputs
        named = inputs if block and len(inputs) > 1 else {}
        ins = {name: value.refs[0] for name, value in named.items() if len(value.refs) == 1}
        self.scopes[where.path] = Scope(
            where.path, kind, where.weights, block, args or {}, ins, {}, span, site.doc, self._title(where)
        )
        self.weights_of[where.path] = where.weights

    def leaves(self, where: Where, value: Tensors) -> None:
        """Records what leaves the scope of a block by several names."""
        if len(value.refs) > 1 and where.path in self.scopes:
            outs = dict(zip(value.names, value.refs, strict=True))
            self.scopes[where.path] = replace(self.scopes[where.path], outs=outs)

    def _title(self, where: Where) -> str:
        """What is made at a place is called too; remembers where that is written."""
        if where.title is None:
            return ""
        self.titled[where.path] = where.title.span
        return where.title.text

    def _check_length(self, path: str, span: Span | None) -> None:
        """Every node keeps its own path: raises SemanticError where it is too long."""
        if len(path) > MAX_PATH:
            raise SemanticError("NS404", f"limit exceeded: a path of more than {MAX_PATH} characters", span)

    def _same_path(self, path: str, span: Span | None) -> SemanticError:
        """The error of two things at one path."""
        first = self.nodes[path].span if path in self.nodes else self.scopes[path].span
        return SemanticError(
            "NS204",
            f"two steps have the path '{path}': here and {place_of(first, span)}",
            span,
            "give one of them a name of its own: `name = op: ...`",
        )

    def node(self, op: Op, operands: tuple[Ref, ...], attrs: Attrs, init: Mapping[str, Init], site: Site) -> Tensors:
        """Makes a node; raises OpError, SemanticError or OverBudget."""
        where, frame, span, doc = site
        self._check_length(where.path, span)
        result = op.infer([Tensor(self.nodes[r.node].shapes[r.out]) for r in operands], attrs)
        if where.path in self.nodes or (where.path in self.scopes and result.weights):
            raise self._same_path(where.path, span)
        if len(self.nodes) >= self.budget.max_nodes:
            raise OverBudget(f"more than {self.budget.max_nodes:,} nodes in the graph")
        if self.last_node and len(self.nodes) >= self.last_node:
            raise Enough
        weights_at, written = where.weights_at()
        node = Node(
            where.path, op.name, operands, result.attrs, result, weights_at, init, span, doc, self._title(where)
        )
        if result.weights or result.stats:
            self.own(node, written, span)
        self.nodes[where.path] = node
        apart = sum(len(own) for _, own in where.own) // 16
        self.budget.used -= WORK_OF_NODE - len(operands) - len(result.shapes) - apart
        self.traces[where.path] = frame
        self.weights_of[where.path] = weights_at
        count = len(result.shapes)
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
            self.params += sum(math.prod(map(int, s)) for s in node.result.weights.values())
            if self.params > MAX_PARAMS:
                raise OverBudget("more than 2^36 parameters")
        elif owner.op != node.op:
            raise SemanticError(
                "NS405", f"'{node.path}' is {node.op}, it cannot share the weights of {owner.op} '{owner.path}'", span
            )
        elif (owner.result.weights, owner.result.stats) != (node.result.weights, node.result.stats):
            ours, theirs = node.result.weights or node.result.stats, owner.result.weights or owner.result.stats
            raise SemanticError(
                "NS405",
                f"'{node.path}' cannot share the weights of '{owner.path}': "
                f"{_shapes(ours)} here, {_shapes(theirs)} there",
                span,
                "shared steps need inputs of equal width and equal arguments",
            )
        elif differ := [key for key, value in node.attrs.items() if owner.attrs.get(key) != value]:
            raise SemanticError(
                "NS405",
                f"'{node.path}' cannot share the weights of '{owner.path}': "
                + ", ".join(f"'{key}' is {node.attrs[key]} here, {owner.attrs.get(key)} there" for key in differ),
                span,
                "shared steps are one layer, called again: all arguments are equal",
            )


def _shapes(tensors: Mapping[str, Shape]) -> str:
    return ", ".join(f"{name} {'x'.join(map(str, shape))}" for name, shape in tensors.items())
