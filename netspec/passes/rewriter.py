"""The rewriter: every pass says what becomes of one node, and the rest of the module follows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import count

from netspec.expressions.identifiers import Path
from netspec.ir.graph import Graph, GraphError, Node, Output, Ref, Scope, holders
from netspec.ir.module import Module, Weight
from netspec.ops import OpError, OpResult, Tensor, lookup
from netspec.ops.base import Attrs

Visit = Callable[[Node, Sequence[Tensor]], Node | Ref | None]
"""What becomes of a node, whose operands are those that it has now: a node, a value that replaces it, or nothing."""

ByNode = Mapping[str, Mapping[str, Weight]]
"""By path of a node, the tensors that a pass computes for it, by name (`weight`, `bias`)."""


class ShapeMismatch(Exception):
    """A node cannot take the shapes that a pass gives it."""

    def __init__(self, node: Node, error: OpError) -> None:
        super().__init__(str(error))
        self.node, self.error = node, error


def rewrite(
    module: Module,
    visit: Visit,
    outputs: Mapping[str, Output] | None = None,
    weights: ByNode | None = None,
    before: Mapping[str, Sequence[Node]] | None = None,
    times: int | None = None,
) -> Module:
    """The module with every node, in source order, replaced by what `visit` gives; itself where nothing changes.

    Readers of a node follow to the value that replaces it, as do outputs and scopes; what is computed from a node that
    is dropped is dropped too, and so is a scope that holds nothing. Shapes are inferred again where operands or
    attributes changed. `outputs` are those that stay, all by default; `weights` are those that the pass computes, the
    same object for each of the nodes that share one. `before` are new nodes by the path of the one that they are put
    before; one of them may have the path of a later node that a value replaces. `times` is how often the pass found
    what it looks for, by default the count of nodes that go. Raises ShapeMismatch for a node that cannot take its
    operands.
    """
    old = module.graph.nodes
    done: dict[str, Node] = {}
    values: dict[Ref, Ref] = {}
    dropped: set[str] = set()
    changed: set[str] = set()
    for node in old.values():
        for new in before.get(node.path, ()) if before else ():
            _put(replace(new, inputs=tuple(values.get(ref, ref) for ref in new.inputs)), done)
        current = node
        if values and any(ref in values for ref in node.inputs):
            current = replace(node, inputs=tuple(values.get(ref, ref) for ref in node.inputs))
        if dropped and any(ref.node in dropped for ref in current.inputs):
            dropped.add(node.path)
            continue
        operands = _operands(current, done)
        result = visit(current, operands)
        if result is None:
            dropped.add(node.path)
        elif isinstance(result, Ref):
            values[Ref(node.path)] = result = values.get(result, result)
            if result.node not in done:
                raise GraphError(f"{node.path} is replaced by {result}, which does not come before it")
            if done[result.node].shapes[result.out] != node.shape:
                changed.add(node.path)
        else:
            if result.path != node.path:
                raise GraphError(f"a pass cannot move {node.path} to {result.path}: weights have its name")
            if result.path in done:
                raise GraphError(f"a pass puts a second node at {result.path}")
            if result is not current or (changed and any(ref.node in changed for ref in node.inputs)):
                result = _inferred(result, operands if result.inputs == current.inputs else _operands(result, done))
            if result.shapes != node.shapes:
                changed.add(node.path)
            done[node.path] = result
    kept = module.graph.outputs if outputs is None else outputs
    named = {name: replace(output, ref=values.get(output.ref, output.ref)) for name, output in kept.items()}
    if not weights and named == module.graph.outputs and len(done) == len(old):
        if all(a is b for a, b in zip(done.values(), old.values(), strict=True)):
            return module
    found = len(values) + len(dropped) if times is None else times
    scopes = live_scopes(module.graph.scopes.values(), done, values)
    return _with_weights(module, Graph(module.graph.name, done, named, scopes, module.graph.title), weights, found)


def _put(node: Node, done: dict[str, Node]) -> None:
    """Puts a new node behind those that are done; raises GraphError for a second one of its path, ShapeMismatch."""
    if node.path in done:
        raise GraphError(f"a pass puts a second node at {node.path}")
    done[node.path] = _inferred(node, _operands(node, done))


def _with_weights(module: Module, graph: Graph, weights: ByNode | None, times: int) -> Module:
    """A graph with those of the computed weights that it has, and further ones by path of a node."""
    computed = {**module.computed, **_by_key(graph.nodes, weights or {})}
    if computed:
        keys = graph.tensors().keys()
        computed = {key: weight for key, weight in computed.items() if key in keys}
    return Module(graph, computed, times)


def new_node(path: str, op: str, inputs: Sequence[Ref], attrs: Attrs, like: Node) -> Node:
    """A node for `before` of `rewrite`, which infers its shapes; it is of the line of the spec of another."""
    return Node(Path(path), op, tuple(inputs), attrs, OpResult(()), Path(path), span=like.span)


def without(module: Module, paths: Collection[str]) -> Module:
    """A module without nodes that nothing reads any more; how often its pass found something stays."""
    left = rewrite(module, lambda node, operands: None if node.path in paths else node)
    return replace(left, times=module.times)


def steps_of(nodes: Iterable[Node]) -> tuple[Path, ...]:
    """The steps of the spec that some nodes stand for: their paths, and those of what was folded into them."""
    return tuple(path for node in nodes for path in (node.path, *node.folded))


def free_path(graph: Graph, path: str) -> str:
    """This path, or the first with a number that no node or scope of the graph has."""
    names = (f"{path}_{i}" if i > 1 else path for i in count(1))
    return next(name for name in names if name not in graph and name not in graph.scopes)


def _by_key(nodes: Mapping[str, Node], weights: ByNode) -> dict[str, Weight]:
    """The weights that a pass computes, by key; raises GraphError where not every node of a key is given the same one.

    A layer that shares them and is not thought of would read what was made for another.
    """
    computed: dict[str, Weight] = {}
    for path, named in weights.items():
        known = {key for key, _, _ in nodes[path].tensors()} if path in nodes else set()
        for name, weight in named.items():
            key = f"{nodes[path].weights_at}.{name}" if path in nodes else f"{path}.{name}"
            if key not in known:
                raise GraphError(f"the weight {key} is computed for {path}, which has none of this name")
            if computed.setdefault(key, weight) is not weight:
                raise GraphError(f"the weight {key} is computed twice: {path} shares it")
    for node in nodes.values() if computed else ():
        for key, _, _ in node.tensors():
            if key in computed and key.rpartition(".")[2] not in weights.get(node.path, {}):
                raise GraphError(f"the weight {key} is computed, but not for {node.path}, which shares it")
    return computed


def _operands(node: Node, done: Mapping[str, Node]) -> list[Tensor]:
    """What a node reads; raises GraphError for what is not there."""
    try:
        return [Tensor(done[ref.node].shapes[ref.out]) for ref in node.inputs]
    except LookupError:
        raise GraphError(f"{node.path} reads {', '.join(map(str, node.inputs))}, of which one is not there") from None


def _inferred(node: Node, operands: Sequence[Tensor]) -> Node:
    """The node with the shapes that its operands and attributes give it; raises ShapeMismatch."""
    op = lookup(node.op)
    if op is None:
        raise GraphError(f"{node.path} has the unknown op {node.op!r}")
    if op.arity not in (None, len(operands)):
        raise GraphError(f"{node.path}: '{op.name}' takes {op.arity} value{'s' * (op.arity != 1)}, got {len(operands)}")
    try:
        result = op.infer(operands, node.attrs)
    except OpError as e:
        raise ShapeMismatch(node, e) from None
    if result == node.result and result.attrs == node.attrs:
        return node
    return replace(node, result=result, attrs=result.attrs)


def live_scopes(
    scopes: Iterable[Scope], paths: Collection[str], values: Mapping[Ref, Ref] | None = None
) -> list[Scope]:
    """The scopes that still hold one of the nodes at `paths`; what they name is the value that replaced it, if any."""
    held = holders(paths)

    def named(refs: Mapping[str, Ref]) -> dict[str, Ref]:
        current = {name: (values or {}).get(ref, ref) for name, ref in refs.items()}
        return {name: ref for name, ref in current.items() if ref.node in paths}

    return [
        replace(s, ins=named(s.ins), outs=named(s.outs)) if s.ins or s.outs else s for s in scopes if s.path in held
    ]


def sharing(graph: Graph) -> dict[str, int]:
    """How many nodes have the weights of each prefix."""
    return Counter(str(node.weights_at) for node in graph.nodes.values())


def readers(graph: Graph) -> dict[Ref, list[Node]]:
    """The nodes that read each value, once for each operand; values that nothing reads are not in it."""
    readers: dict[Ref, list[Node]] = {}
    for node in graph.nodes.values():
        for ref in node.inputs:
            readers.setdefault(ref, []).append(node)
    return readers


def kept_values(graph: Graph) -> set[Ref]:
    """The values that have a name of their own: outputs of the network, and what leaves a scope by name."""
    named = {ref for scope in graph.scopes.values() for ref in scope.outs.values()}
    return named | {output.ref for output in graph.outputs.values()}
