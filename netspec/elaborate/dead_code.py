"""What reaches an output: a step that does not is an error, an unread part is left out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Set

from netspec.elaborate.state import Elaboration
from netspec.ir.graph import Node, Output


def dead_steps(state: Elaboration, outputs: Mapping[str, Output]) -> dict[str, Node] | None:
    """The nodes that reach an output; None after reporting the steps that do not."""
    nodes = state.graph.nodes
    live = _above(nodes, (o.ref.node for o in outputs.values()), set())
    reached = set(live)
    left_out: set[str] = set()
    for value, span, frame, path in state.graph.offered:
        unread = _above(nodes, (r.node for r in value.refs), reached)
        weights = [p for p in unread if nodes[p].result.weights]
        if weights:
            state.reporter.warning(
                "NS209",
                f"a part of '{path or frame.block}' is never read: {len(weights)} nodes with weights are left out",
                span,
                trace=frame.trace,
            )
        left_out |= unread
        reached |= unread
    dead = [p for p in nodes if p not in live and p not in left_out]
    read = {ref.node for path, node in nodes.items() if path not in left_out for ref in node.inputs}
    for path in [p for p in dead if p not in read]:
        node = nodes[path]
        what = f"the input '{path}'" if node.op == "input" else f"the result of '{path}'"
        state.error(
            state.graph.traces[path],
            "NS403",
            f"{what} reaches no output",
            node.span,
            "read it with `from`, list it under `outputs`, or delete it",
        )
    if dead:
        return None
    return {path: node for path, node in nodes.items() if path in live or node.op == "input"}


def _above(nodes: Mapping[str, Node], paths: Iterable[str], known: Set[str]) -> set[str]:
    """The nodes and all that they are computed from, but for those that are known, with all that those come from."""
    found: set[str] = set()
    todo = list(paths)
    while todo:
        path = todo.pop()
        if path not in found and path not in known:
            found.add(path)
            todo += [ref.node for ref in nodes[path].inputs]
    return found
