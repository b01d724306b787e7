"""What there is to say of one step: its op, shapes, arithmetic, line and facts."""

from __future__ import annotations

import sys
from math import prod

from netspec.analysis.cost import mac_factors, totals
from netspec.check.expect import within_limits
from netspec.diagnostics.errors import Reporter, UsageError
from netspec.elaborate.budget import MAX_NODES, Budget
from netspec.elaborate.compiled import Compiled
from netspec.ir.graph import Graph
from netspec.ir.selection import by_path, output_of, step_help
from netspec.ir.titles import labelled, step_of, titles
from netspec.ops import OPS
from netspec.ops.base import show
from netspec.reports.beginning import at_first
from netspec.reports.facts import of_step
from netspec.reports.overview import stated_of
from netspec.reports.window_size import size_of_window


def explained(network: Compiled, step: str, facts: bool, max_nodes: int = MAX_NODES) -> str:
    """A step of a network, with the facts of it unless the network differs from its spec; raises UsageError."""
    said = explain_step(network.graph, step)
    return "\n  ".join([said, *step_facts(network, step, max_nodes)] if facts else [said])


def step_facts(network: Compiled, path: str, max_nodes: int = MAX_NODES) -> list[str]:
    """What papers print of a step, and what else `expect` states of it."""
    path = step_of(network.graph, path) or path
    expect = network.document.expect_for(network.variant)
    if expect is None or "" in network.graph.scopes:  # a block alone
        return []
    reporter = Reporter(limit=sys.maxsize)
    held = within_limits(network, reporter, Budget(max_nodes))
    unread = [f"facts are not verified: {d.message}; {d.help}" for d in reporter.diagnostics if d.code == "NS404"]
    return [*stated_of(expect, path), *of_step(held, path), *unread]


def explain_step(graph: Graph, path: str) -> str:
    """A node, or a scope with its sums, as text; raises UsageError."""
    path = step_of(graph, path) or path
    nodes = by_path(graph).get(path, []) if path else []
    if not nodes:
        raise UsageError(f"'{graph.name}' has no step '{path[:80]}'", step_help(path, graph))
    node, named = graph.nodes.get(path), titles(graph)
    if node is None:
        counts, scope, gives = totals(nodes), graph.scopes.get(path), output_of(graph, path, nodes)
        head = f"{labelled(path, named)}: {scope.block or scope.kind}" if scope else path
        args = f"\n  arguments: {', '.join(f'{k}={v}' for k, v in scope.args.items())}" if scope and scope.args else ""
        where = f"\n  at: {scope.span}" if scope and scope.span else ""
        return (
            f"{head}{args}\n  output: {show(graph.shape(gives) if gives is not None else ())}\n  nodes: {len(nodes)}\n"
            f"  parameters: {counts.params:,}\n  MACs: {counts.macs:,}{where}"
        )
    lines = [f"{labelled(path, named)}: {node.op}", f"  {OPS[node.op].summary}"]
    lines += [f"  input: {show(graph.shape(r))} from {r}" for r in node.inputs]
    lines += [f"  output: {', '.join(show(s) for s in node.shapes)}"]
    lines += [f"  {line}" for line in size_of_window(graph, node)]
    if node.attrs:
        lines.append(f"  arguments: {', '.join(f'{k}={_value(v)}' for k, v in node.attrs.items())}")
    for name, shape in node.result.weights.items():
        size = prod(map(int, shape))
        product = f"{' x '.join(map(str, shape))} = " if len(shape) > 1 else ""
        lines.append(f"  {node.weights_at}.{name}: {product}{size:,} parameters")
    if node.result.weights:
        lines.append(f"  at first: {at_first(node)}")
    if node.result.macs:
        how = ""
        if (factors := mac_factors(node)) is not None:
            outputs, each = (" x ".join(map(str, sizes)) for sizes in factors)
            how = f" = {outputs} outputs x {each} weights each"
        lines.append(f"  MACs: {node.result.macs:,}{how}")
    lines.append(f"  at: {node.span}" if node.span else "")
    lines += _calls(graph, path)
    return "\n".join(line for line in lines if line)


def _calls(graph: Graph, path: str) -> list[str]:
    """The calls of blocks that lead to a path, innermost first."""
    above = [path[:i] for i, c in enumerate(path) if c == "."]
    named = titles(graph)
    scopes = [graph.scopes[p] for p in reversed(above) if p in graph.scopes]
    return [f"  in {s.block}, called at {s.span} as {labelled(s.path, named)}" for s in scopes if s.block and s.span]


def _value(value: object) -> str:
    return f"[{', '.join(map(_value, value))}]" if isinstance(value, tuple) else str(value)
