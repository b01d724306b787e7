"""Which steps of a graph a pattern means, and which one a path that is not a step."""

from __future__ import annotations

from collections.abc import Sequence
from difflib import get_close_matches
from itertools import islice

from netspec.diagnostics import suggest
from netspec.diagnostics.errors import MAX_KNOWN, UsageError, did_you_mean
from netspec.ir.graph import Graph, Node
from netspec.ir.titles import matching, titles
from netspec.ops import OPS


def keys_of(graph: Graph, patterns: Sequence[str]) -> set[str]:
    """The state-dict keys of the steps that match; raises UsageError for a pattern that is for no step with weights.

    A pattern is a path, in which `*` and `?` stand for parts of one of its names, and a step may have its title; all
    below the path is meant too.
    """
    keys, steps, named = graph.tensors(), _with_weights(graph), titles(graph)
    selected: set[str] = set()
    for pattern in patterns:
        below = tuple(f"{path}." for path in matching(pattern, steps, named))
        if not below:
            raise _unknown(graph, pattern)
        selected |= {key for key in keys if key.startswith(below)}
    return selected


def frozen_nodes(graph: Graph, patterns: Sequence[str]) -> set[str]:
    """The nodes at and below the steps that match; raises UsageError for a pattern in which nothing can be frozen.

    A step is also where shared weights are: the nodes that read them are meant.
    """
    above = {path: {*_prefixes(path), *_prefixes(node.weights_at)} for path, node in graph.nodes.items()}
    known = dict.fromkeys(step for steps in above.values() for step in sorted(steps))
    frozen: set[str] = set()
    nodes, named = graph.nodes, titles(graph)
    for pattern in patterns:
        steps = {*matching(pattern, known, named)}
        below = {path for path in above if above[path] & steps}
        if not any(_has_state(nodes[path]) for path in below):
            raise _unknown(graph, pattern)
        frozen |= below
    return frozen


def _with_weights(graph: Graph) -> list[str]:
    return [*dict.fromkeys(p for key in graph.tensors() for p in _prefixes(key.rpartition(".")[0]))]


def _unknown(graph: Graph, pattern: str) -> UsageError:
    return UsageError(
        f"'{graph.name}' has no step '{pattern}' with weights", did_you_mean(pattern, _with_weights(graph))
    )


def _prefixes(path: str) -> list[str]:
    """A path and those that it is below."""
    return [path[:i] for i, c in enumerate(path) if c == "."] + [path]


def _has_state(node: Node) -> bool:
    """Whether a node does something else when it is trained."""
    return bool(node.result.weights or node.result.stats) or OPS[node.op].only_in_training


MAX_LISTED = 12


def step_help(path: str, graph: Graph) -> str:
    """A help line for a path at which a graph has no step: the step that is meant, or what there is to name."""
    paths = (p[:i] for p in islice(graph.nodes, MAX_KNOWN) for i, c in enumerate(p + ".") if c == ".")
    known = list(dict.fromkeys(islice(paths, 4 * MAX_KNOWN)))
    same = [p for p in known if suggest.key(p) == suggest.key(path) and suggest.key(p)]
    if path in graph.outputs:
        return f"the output '{path}' is the step '{graph.outputs[path].ref.node}'"
    spelled = [p for p, title in titles(graph).items() if suggest.key(title) == suggest.key(path) and suggest.key(path)]
    if spelled:
        return f"did you mean '{titles(graph)[spelled[0]]}', the title of '{spelled[0]}'?"
    parts = path.strip(".").split(".")
    ends = [p for p in known if p.split(".")[-len(parts) :] == parts]
    called = [s.path for s in graph.scopes.values() if s.block == path and path]
    if same or ends or called:
        found = same or ends or called
        more = f", or {len(found) - 3} more" if len(found) > 3 else ""
        which = " or ".join(f"'{p}'" for p in found[:3])
        return (
            f"the block '{path}' is called as {', '.join(found[:3])}{more}"
            if found is called
            else (f"did you mean {which}{more}?")
        )
    while parts and ".".join(parts) not in known:
        parts.pop()
    above = ".".join(parts)
    prefix = f"{above}." if above else ""
    children = list(dict.fromkeys(p[len(prefix) :].split(".")[0] for p in known if p.startswith(prefix)))
    missing = path[len(prefix) :].split(".")[0]
    near = get_close_matches(missing, children, n=1, cutoff=0.6) or get_close_matches(path, known, n=1, cutoff=0.6)
    if near:
        return f"did you mean '{prefix if near[0] in children else ''}{near[0]}'?"
    listed = ", ".join(f"{prefix}{c}" for c in children[:MAX_LISTED])
    if not children:
        return f"'{above}' is one step, without parts"
    return f"known: {listed}{', ...' if len(children) > MAX_LISTED else ''}"
