"""Which steps of a graph a pattern means."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase

from netspec.diagnostics.errors import UsageError, did_you_mean
from netspec.ir.graph import Graph, Node
from netspec.ops import OPS


def matching(pattern: str, paths: Iterable[str]) -> list[str]:
    """The paths that match: `*` and `?` stand for parts of one of their words."""
    words = pattern.split(".")
    return [
        path for path in paths if len(parts := path.split(".")) == len(words) and all(map(fnmatchcase, parts, words))
    ]


def keys_of(graph: Graph, patterns: Sequence[str]) -> set[str]:
    """The state-dict keys of the steps that match; raises UsageError for a pattern that is for no step with weights.

    A pattern is a path, in which `*` and `?` stand for parts of one of its words; all below the path is meant too.
    """
    keys, steps = graph.tensors(), _with_weights(graph)
    found: set[str] = set()
    for pattern in patterns:
        below = tuple(f"{path}." for path in matching(pattern, steps))
        if not below:
            raise _unknown(graph, pattern)
        found |= {key for key in keys if key.startswith(below)}
    return found


def frozen_nodes(graph: Graph, patterns: Sequence[str]) -> set[str]:
    """The nodes at and below the steps that match; raises UsageError for a pattern in which nothing can be frozen.

    A step is also where shared weights are: the nodes that read them are meant.
    """
    above = {path: {*_prefixes(path), *_prefixes(node.weights_at)} for path, node in graph.nodes.items()}
    known = dict.fromkeys(step for steps in above.values() for step in sorted(steps))
    found: set[str] = set()
    nodes = graph.nodes
    for pattern in patterns:
        steps = {*matching(pattern, known)}
        below = {path for path in above if above[path] & steps}
        if not any(_has_state(nodes[path]) for path in below):
            raise _unknown(graph, pattern)
        found |= below
    return found


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
    return bool(node.rule.weights or node.rule.stats) or OPS[node.op].only_in_training
