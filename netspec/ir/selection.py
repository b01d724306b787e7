"""Which steps of a graph a pattern means, what a step gives, and which one a path that is not a step."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from itertools import islice

from netspec.diagnostics import suggest
from netspec.diagnostics.errors import MAX_KNOWN, UsageError, did_you_mean
from netspec.ir.graph import Graph, Node, Ref
from netspec.ir.titles import labelled, matching, titles
from netspec.ops import OPS


def keys_of(graph: Graph, patterns: Sequence[str]) -> set[str]:
    """The state-dict keys of the steps that match; raises UsageError for a pattern that is for no step with weights.

    A pattern is a path, in which `*` and `?` stand for parts of one of its names, and a step may have its title; all
    below the path is meant too. `FIRST..LAST` is all from one step to another, in the order of the spec.
    """
    keys, steps, named = graph.tensors(), _with_weights(graph), titles(graph)
    selected: set[str] = set()
    for pattern in patterns:
        if RANGE in pattern:
            selected |= {key for path in _between(graph, pattern) for key, _, _ in graph.nodes[path].tensors()}
            continue
        below = tuple(f"{path}." for path in matching(pattern, steps, named))
        if not below:
            raise _unknown(graph, pattern)
        selected |= {key for key in keys if key.startswith(below)}
    return selected


def frozen_nodes(graph: Graph, patterns: Sequence[str]) -> set[str]:
    """The nodes at and below the steps that match; raises UsageError for a pattern in which nothing can be frozen.

    A step is also where shared weights are: the nodes that read them are meant. Patterns are those of `keys_of`.
    """
    above = _above(graph)
    known = dict.fromkeys(step for steps in above.values() for step in sorted(steps))
    frozen: set[str] = set()
    nodes, named = graph.nodes, titles(graph)
    for pattern in patterns:
        if RANGE in pattern:
            shared = {nodes[path].weights_at for path in _between(graph, pattern)}
            below = {path for path, node in nodes.items() if node.weights_at in shared}
        else:
            steps = {*matching(pattern, known, named)}
            below = {path for path in above if above[path] & steps}
        if not any(has_state(nodes[path]) for path in below):
            raise _unknown(graph, pattern)
        frozen |= below
    return frozen


RANGE = ".."
"""Between the first and the last step of a pattern; no path has it."""


def _between(graph: Graph, pattern: str) -> list[str]:
    """The nodes of `FIRST..LAST` in the order of the spec, from its beginning or to its end where one is left out.

    Raises UsageError for a step that is not there, and for a last one that stands before the first.
    """
    above, named, ends = _above(graph), titles(graph), pattern.split(RANGE)
    known = dict.fromkeys(step for steps in above.values() for step in sorted(steps))
    if len(ends) != 2:
        raise UsageError(f"'{pattern[:80]}' is no range of steps", "write FIRST..LAST")
    paths, places = list(above), list[list[int]]()
    for end, alone in zip(ends, (0, len(above) - 1), strict=True):
        steps = {*matching(end, known, named)}
        found = [i for i, path in enumerate(paths) if above[path] & steps] if end else [alone]
        if not found:
            raise UsageError(f"'{graph.name}' has no step '{end[:80]}'", step_help(end, graph))
        places.append(found)
    first, last = min(places[0]), max(places[1])
    if last < first:
        raise UsageError(f"'{pattern[:80]}' ends before it begins", f"write {ends[1]}..{ends[0]}"[:200])
    return paths[first : last + 1]


def _above(graph: Graph) -> dict[str, set[str]]:
    """Of every node the steps that it is, or lies below, by its own path or where its weights are."""
    return {path: {*_prefixes(path), *_prefixes(node.weights_at)} for path, node in graph.nodes.items()}


def by_path(graph: Graph) -> dict[str, list[Node]]:
    """The nodes at every path or below it, and all of them at the empty one."""
    found: dict[str, list[Node]] = {"": list(graph.nodes.values())}
    for path, node in graph.nodes.items():
        found.setdefault(path, []).append(node)
        at = path.rfind(".")
        while at >= 0:
            found.setdefault(path[:at], []).append(node)
            at = path.rfind(".", 0, at)
    return found


def output_of(graph: Graph, path: str, nodes: Sequence[Node]) -> Ref | None:
    """What a step of these nodes gives: the last value that others read, tees apart; None without such a step."""
    if path in graph:
        return Ref(path)
    paths = {n.path for n in nodes}
    read = {r for n in graph.nodes.values() if n.path not in paths for r in n.inputs}
    read |= {o.ref for o in graph.outputs.values()}
    tees = tuple(f"{p}." for p, s in graph.scopes.items() if s.kind == "tee" and p.startswith(f"{path}."))
    main = [n for n in nodes if not n.path.startswith(tees)]
    seen = [Ref(n.path, i) for n in main for i in range(len(n.shapes)) if Ref(n.path, i) in read]
    return seen[-1] if seen else Ref(nodes[-1].path) if nodes else None


def _with_weights(graph: Graph) -> list[str]:
    return [*dict.fromkeys(p for key in graph.tensors() for p in _prefixes(key.rpartition(".")[0]))]


def _unknown(graph: Graph, pattern: str) -> UsageError:
    known, named = _with_weights(graph), titles(graph)
    message = f"'{graph.name}' has no step '{pattern[:80]}' with weights"
    outermost = [path for path in known if "." not in path]
    there = f"these have some: {', '.join(outermost[:10])}" if outermost else ""
    help_ = _titled(pattern, known, named) or did_you_mean(pattern, [*named.values(), *known], there)
    return UsageError(message, help_)


def _prefixes(path: str) -> list[str]:
    """A path and those that it is below."""
    return [path[:i] for i, c in enumerate(path) if c == "."] + [path]


def has_state(node: Node) -> bool:
    """Whether a node does something else when it is trained."""
    return bool(node.result.weights or node.result.stats) or OPS[node.op].acts_in_training(node.attrs)


MAX_LISTED = 12


def step_help(path: str, graph: Graph) -> str:
    """A help line for a path at which a graph has no step: the step that is meant, or what there is to name."""
    paths = (p[:i] for p in islice(graph.nodes, MAX_KNOWN) for i, c in enumerate(p + ".") if c == ".")
    known = list(dict.fromkeys(islice(paths, 4 * MAX_KNOWN)))
    if path in graph.outputs:
        return f"the output '{path}' is the step '{graph.outputs[path].ref.node}'"
    named = titles(graph)
    return _titled(path, known, named) or _elsewhere(path, known, graph) or _nearest_step(path, known, named)


def _titled(path: str, known: Sequence[str], named: Mapping[str, str]) -> str:
    """The step whose title is spelled in another way, or begins with the words that are asked for: conv3_x of conv3."""
    sought = suggest.key(path)
    if not sought or not named:
        return ""
    for step, title in named.items():
        if suggest.key(title) == sought:
            return f"did you mean '{title}', the title of '{step}'?"
    if any(suggest.key(step) == sought for step in known):
        return ""
    for step, title in named.items():
        if any(suggest.key(title[: end.start()]) == sought for end in re.finditer(r"[\W_]+", title)):
            return f"did you mean '{title}', the title of '{step}'?"
    return ""


def _elsewhere(path: str, known: Sequence[str], graph: Graph) -> str:
    """The steps that are spelled in another way, end with the path, or are calls of a block of this name."""
    parts = path.strip(".").split(".")
    same = [p for p in known if suggest.key(p) == suggest.key(path) and suggest.key(p)]
    ends = [p for p in known if p.split(".")[-len(parts) :] == parts]
    called = [s.path for s in graph.scopes.values() if s.block == path and path]
    found = same or ends or called
    if not found:
        return ""
    more = f", or {len(found) - 3} more" if len(found) > 3 else ""
    if found is called:
        return f"the block '{path}' is called as {', '.join(found[:3])}{more}"
    which = " or ".join(f"'{p}'" for p in found[:3])
    return f"did you mean {which}{more}?"


def _nearest_step(path: str, known: Sequence[str], named: Mapping[str, str]) -> str:
    """The step that is most like the path, by its name or title, below what there is of it; or a list of steps."""
    parts = path.strip(".").split(".")
    while parts and ".".join(parts) not in known:
        parts.pop()
    above = ".".join(parts)
    prefix = f"{above}." if above else ""
    children = list(dict.fromkeys(p[len(prefix) :].split(".")[0] for p in known if p.startswith(prefix)))
    missing = path[len(prefix) :].split(".")[0]
    below = {named[prefix + child]: child for child in reversed(children) if prefix + child in named}
    alone = list(dict.fromkeys(islice(named.values(), MAX_KNOWN)))
    for near in suggest.nearest_first(missing, get_close_matches(missing, [*children, *below], n=4, cutoff=0.6)):
        return f"did you mean '{prefix}{near}'?"
    elsewhere = [p for p in known if not prefix or not p.startswith(prefix)]  # whose last part alone is unlike
    for near in suggest.nearest_first(path, get_close_matches(path, [*elsewhere, *alone], n=4, cutoff=0.6)):
        return f"did you mean '{near}'?"
    if not children:
        return f"'{above}' is one step, without parts"
    listed = ", ".join(labelled(f"{prefix}{c}", named) for c in children[:MAX_LISTED])
    return f"known: {listed}{', ...' if len(children) > MAX_LISTED else ''}"
