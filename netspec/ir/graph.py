"""The graph: frozen nodes in a networkx MultiDiGraph that checks itself."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Literal, NamedTuple

from netspec.diagnostics.errors import Frame, Span
from netspec.expressions.identifiers import Kind, Path, checked, checked_output, checked_title
from netspec.ops import OPS, OpResult, Shape, Tensor, lookup
from netspec.ops.base import Attrs
from netspec.ops.initialisers import Init

if TYPE_CHECKING:
    import networkx


class Ref(NamedTuple):
    """One output of one node: the value that an operand reads."""

    node: str
    out: int = 0

    def __str__(self) -> str:
        return self.node if self.out == 0 else f"{self.node}#{self.out}"

    @classmethod
    def parse(cls, text: str) -> Ref:
        """Reads what str() prints."""
        node, _, out = text.partition("#")
        return cls(node, int(out or 0))


@dataclass(frozen=True, slots=True)
class Node:
    """One primitive op at a path, with its operands, resolved attributes and what its rule gave."""

    path: Path
    op: str
    inputs: tuple[Ref, ...]
    attrs: Attrs
    result: OpResult
    weights_at: Path
    """Prefix of the weights' names; equal to `path` unless weights are shared."""
    init: Mapping[str, Init] = field(default_factory=dict)
    span: Span | None = field(default=None, compare=False)
    doc: str = field(default="", compare=False)
    title: str = ""
    """What its paper calls it, which stands for its name where a reader asks for it."""
    folded: tuple[Path, ...] = field(default=(), compare=False)
    """The steps that passes have folded into it, which are nodes no more."""

    def __post_init__(self) -> None:
        _checked(self)

    @property
    def shapes(self) -> tuple[Shape, ...]:
        """The shape of each output."""
        return self.result.shapes

    @property
    def shape(self) -> Shape:
        """The shape of the first output."""
        return self.result.shapes[0]

    def tensors(self) -> Iterator[tuple[str, Shape, bool]]:
        """State-dict key, shape, and whether it is trained, of each weight and statistic."""
        for name, shape in self.result.weights.items():
            yield f"{self.weights_at}.{name}", shape, True
        for name, shape in self.result.stats.items():
            yield f"{self.weights_at}.{name}", shape, False


ScopeKind = Literal["network", "block", "group", "branch", "tee", "iteration"]
"""What a scope is: the whole, the call of a block, a group, a branch, a tee, or an iteration of a loop."""


@dataclass(frozen=True, slots=True)
class Scope:
    """A named part of the graph."""

    path: Path
    kind: ScopeKind
    weights_at: Path
    block: str = ""
    args: Mapping[str, object] = field(default_factory=dict)
    """Of a block: the values of its parameters (numbers, strings, lists; a block as its name)."""
    ins: Mapping[str, Ref] = field(default_factory=dict, compare=False)
    """Of a block with several inputs: what enters, by name."""
    outs: Mapping[str, Ref] = field(default_factory=dict, compare=False)
    """Of a block with several outputs: what leaves, by name."""
    span: Span | None = field(default=None, compare=False)
    doc: str = field(default="", compare=False)
    title: str = ""
    """What its paper calls it, `conv2_x` of `layer1`, which stands for its name where a reader asks for it."""

    def __post_init__(self) -> None:
        _checked(self)
        if self.block:
            checked(self.block, Kind.DOCUMENT)
        for name in self.args:
            checked(name, Kind.PARAM)
        for name in (*self.ins, *self.outs):
            checked_output(name)


def _checked(part: Node | Scope) -> None:
    """Makes checked paths of the strings in a node or scope; raises BadName."""
    checked_title(part.title)
    object.__setattr__(part, "path", Path(part.path))
    object.__setattr__(part, "weights_at", Path(part.weights_at))


@dataclass(frozen=True, slots=True)
class Output:
    """A named result of the network."""

    ref: Ref
    loss_weight: float | None = None
    training_only: bool = False


class GraphError(Exception):
    """The graph broke one of its own rules: a bug of netspec, never an error of a user."""


def holders(paths: Iterable[str]) -> set[str]:
    """The paths of all scopes that hold a node at one of these paths; the empty one always does."""
    return {path[:i] for path in paths for i, c in enumerate(path) if c == "."} | {""}


class Graph:
    """A network: nodes keyed by path (in the order of the spec), scopes, and named outputs; raises BadName.

    A block alone has itself as the scope of the empty path. `nx` is the MultiDiGraph: node data `node` is the Node,
    edges are keyed by operand index.
    """

    def __init__(
        self,
        name: str,
        nodes: Mapping[str, Node] | list[Node],
        outputs: Mapping[str, Output],
        scopes: Mapping[str, Scope] | Sequence[Scope] = (),
        title: str = "",
    ) -> None:
        self.name = checked(name, Kind.DOCUMENT)
        self.title = title
        self.outputs = {checked_output(name): output for name, output in outputs.items()}
        scope_list = scopes.values() if isinstance(scopes, Mapping) else scopes
        self.scopes: dict[str, Scope] = {s.path: s for s in scope_list}
        self._nodes: dict[str, Node] = {}
        for node in nodes.values() if isinstance(nodes, Mapping) else nodes:
            if node.path in self._nodes:
                raise GraphError(f"two nodes at the path {node.path!r}")
            self._nodes[node.path] = node

    @cached_property
    def nx(self) -> networkx.MultiDiGraph:
        """The nodes and edges, for the algorithms of networkx; made when it is asked for, as it is larger than they."""
        # Networkx is a third of the modules that checking a spec would load.
        import networkx as nx

        graph = nx.MultiDiGraph()
        for node in self._nodes.values():
            graph.add_node(node.path, node=node)
        for node in self._nodes.values():
            for index, ref in enumerate(node.inputs):
                graph.add_edge(ref.node, node.path, key=index, out=ref.out)
        return graph

    @property
    def nodes(self) -> dict[str, Node]:
        """The nodes by path, in the order of the spec, which is a topological one."""
        if "nx" in self.__dict__:
            return {path: data["node"] for path, data in self.nx.nodes(data=True) if data}
        return dict(self._nodes)

    def __len__(self) -> int:
        return len(self._nodes)

    def __contains__(self, path: object) -> bool:
        return path in self._nodes

    def above(self, paths: Iterable[str]) -> set[str]:
        """The nodes at these paths and all that they are computed from."""
        above: set[str] = set()
        todo = list(paths)
        while todo:
            path = todo.pop()
            if path not in above:
                above.add(path)
                todo += [ref.node for ref in self._nodes[path].inputs]
        return above

    @property
    def inputs(self) -> list[Node]:
        """The nodes with op `input`."""
        return [n for n in self.nodes.values() if n.op == "input"]

    def shape(self, ref: Ref) -> Shape:
        """The shape of a value."""
        return self._nodes[ref.node].shapes[ref.out]

    def tensors(self) -> dict[str, tuple[Shape, bool, Node]]:
        """Every weight once, by state-dict key: its shape, whether it is trained, its first node."""
        tensors: dict[str, tuple[Shape, bool, Node]] = {}
        for node in self.nodes.values():
            for key, shape, trained in node.tensors():
                tensors.setdefault(key, (shape, trained, node))
        return tensors

    def calls(self, path: str) -> tuple[Frame, ...]:
        """The calls of blocks that a node lies in, the innermost first."""
        outer = [self.scopes.get(path[:i]) for i, c in reversed([*enumerate(path)]) if c == "."]
        return tuple(Frame(s.block, s.span, s.path) for s in outer if s is not None and s.block and s.span is not None)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Graph):
            return NotImplemented
        return (self.name, list(self.nodes.values()), self.outputs, self.scopes) == (
            other.name,
            list(other.nodes.values()),
            other.outputs,
            other.scopes,
        )

    __hash__ = None  # type: ignore[assignment]

    def check(self) -> Graph:
        """Proves arity, order, edges, shapes, outputs and scopes; returns itself; raises GraphError."""
        seen: dict[str, Node] = {}
        shared: dict[str, Shape] = {}
        edges = self.__dict__.get("nx")
        for node in self.nodes.values():
            operands = []
            for index, ref in enumerate(node.inputs):
                if ref.node not in seen:
                    raise GraphError(f"{node.path} reads {ref.node}, which does not come before it")
                if not 0 <= ref.out < len(seen[ref.node].shapes):
                    raise GraphError(f"{node.path} reads {ref}, which has no such output")
                if edges is not None and edges.get_edge_data(ref.node, node.path, index) != {"out": ref.out}:
                    raise GraphError(f"edge {index} of {node.path} differs from its operand {ref}")
                operands.append(Tensor(seen[ref.node].shapes[ref.out]))
            if edges is not None and edges.in_degree(node.path) != len(node.inputs):
                raise GraphError(f"{node.path} has edges that are no operands")
            op = OPS.get(node.op) or lookup(node.op)
            if op is None:
                raise GraphError(f"{node.path} has the unknown op {node.op!r}")
            if op.arity not in (None, len(operands)):
                raise GraphError(f"{node.path}: {node.op} takes {op.arity} values, got {len(operands)}")
            if op.infer(operands, node.attrs) != node.result:
                raise GraphError(f"{node.path}: {node.result} differs from the rule of {node.op}")
            for key, shape, _ in node.tensors():
                if shared.setdefault(key, shape) != shape:
                    raise GraphError(f"the shared weight {key} has two shapes: {shared[key]} and {shape}")
            seen[node.path] = node
        for name, output in self.outputs.items():
            if output.ref.node not in seen or not 0 <= output.ref.out < len(seen[output.ref.node].shapes):
                raise GraphError(f"the output {name} names {output.ref}, which is not there")
        self._check_scopes(seen)
        return self

    def _check_scopes(self, nodes: Mapping[str, Node]) -> None:
        """Proves that scopes and joins alone hold nodes, and that the values of scopes exist; raises GraphError.

        What leaves a scope was made inside or came in; a block with one input does not name what came in.
        """
        held = holders(nodes)
        joins = {s.path.rpartition(".")[0] for s in self.scopes.values() if s.kind == "branch"}
        joins |= {path.rpartition(".")[0] for path in joins & self.scopes.keys()}  # of branches made by `each`
        for path in held - self.scopes.keys() - {""}:
            if path not in nodes and path in joins:
                continue  # a join of one branch is not a node
            if path not in nodes:
                raise GraphError(f"nodes lie below {path}, which is not a scope")
            if (op := lookup(nodes[path].op)) is None or op.arity is not None:  # a join has its branches below it
                raise GraphError(f"the node {path} has others below it and is not a join")
        for scope in self.scopes.values():
            if scope.path not in held:
                raise GraphError(f"the scope {scope.path} holds no node")
            inside = f"{scope.path}." if scope.path else ""
            for name, ref in (*scope.ins.items(), *scope.outs.items()):
                if ref.node not in nodes or ref.out >= len(nodes[ref.node].shapes):
                    raise GraphError(f"'{name}' of the scope {scope.path} names {ref}, which is not there")
            for name, ref in scope.ins.items():
                if scope.path and ref.node.startswith(inside):
                    raise GraphError(f"'{name}' enters the scope {scope.path}, but {ref} is made inside")
            for name, ref in scope.outs.items():
                if not ref.node.startswith(inside) and scope.ins and ref not in scope.ins.values():
                    raise GraphError(f"'{name}' leaves the scope {scope.path}, but {ref} is made outside")
