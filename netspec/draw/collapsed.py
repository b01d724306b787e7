"""What a collapsed scope says: a layer with what follows it, or a name, a block, and what it holds."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

from netspec.draw.labels import is_layer, kind_of, named, op_lines, op_text, scope_title
from netspec.draw.repeats import parallel
from netspec.ir.graph import Graph, Node, Ref
from netspec.ir.scope_tree import Region
from netspec.ops import OPS

# More names than this no box can show.
MOST_PORTS = 24


def times(run: Sequence[Region]) -> str:
    """How often a scope is repeated: ` x5`, ` x5 shared`, ` x32 in parallel`; nothing for one."""
    if len(run) == 1:
        return ""
    shared = len({r.scope.weights_at for r in run}) == 1
    return f" \u00d7{len(run)}{' shared' if shared else ''}{' in parallel' if parallel(run) else ''}"


def collapsed_lines(graph: Graph, run: Sequence[Region], parent: Region, names: bool) -> tuple[str, list[str]]:
    """The kind of a collapsed scope with its repeats, and what it says."""
    region, count = run[0], [times(run).strip()] if len(run) > 1 else []
    if not is_layer(region):
        title, more = scope_title(run, parent, names), inside(region)
        if region.scope.block:
            title += _window(region) + scale(graph, region)
        elif not any("/" in line or ", up " in line for line in more):
            title += scale(graph, region)
        return "block", [f"{title}: {more[0]}", *count] if more and len(region.items) == 1 else [title, *more, *count]
    block = region.scope.block
    plain = not names or (bool(block) and parent.relative(region.path).startswith(block) and not region.scope.title)
    nodes = list(region.nodes())
    kind = "weights" if any(kind_of(n) == "weights" for n in nodes) else "norm"
    return kind, [*op_lines(nodes, "" if plain else named(run, parent)), *count]


def _window(region: Region) -> str:
    """The window that a block was given: `, 5x5`."""
    kernel = region.scope.args.get("kernel")
    return f", {kernel}\u00d7{kernel}" if isinstance(kernel, int) else ""


def scale(graph: Graph, region: Region) -> str:
    """By how much maps become smaller, or larger: `, /2`, `, up 2`; nothing where they become numbers.

    It is the product of the strides on the way, since sizes need not divide: a stem of /8 makes 35 x 35 of 299 x 299;
    nothing is said where it is not the same for all that enters.
    """
    last = region.outputs[-1] if region.outputs else None
    if last is None or len(graph.shape(last)) != 4 or graph.shape(last)[-1] == 1 or len(region.inputs) > MOST_PORTS:
        return ""
    ways: dict[str, dict[Ref, Scale]] = {}
    for node in region.nodes():
        step, own = _step(node), ways.setdefault(node.path, {})
        # Of an op of several tensors the first is the map; the others say where to look in it.
        for ref in node.inputs if OPS[node.op].arity is None else node.inputs[:1]:
            for entered, so_far in ways.get(ref.node, {ref: (Fraction(1), Fraction(1))}).items():
                both = (so_far[0] * step[0], so_far[1] * step[1])
                own[entered] = max(own.get(entered, both), both)
    found = {way for scales in ways[last.node].values() for way in scales}
    by = found.pop() if len(found) == 1 else Fraction(1)
    if by > 1:
        return f", /{by}" if by.denominator == 1 else ""
    return f", up {1 / by}" if 0 < by < 1 and by.numerator == 1 else ""


Scale = tuple[Fraction, Fraction]


def _step(node: Node) -> Scale:
    """By how much a node makes maps smaller, each way; 0 where that depends on their size."""
    scaling = OPS[node.op].scaling(node.attrs)
    if scaling is None:
        return Fraction(0), Fraction(0)
    return Fraction(scaling.down[0], scaling.up[0]), Fraction(scaling.down[1], scaling.up[1])


def ports(run: Sequence[Region], kind: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The names of what enters and what leaves a collapsed block, in any iteration, where it is more than one."""
    ins = dict.fromkeys(name for r in run for name, ref in r.scope.ins.items() if ref in r.inputs)
    outs = dict.fromkeys(name for r in run for name, ref in r.scope.outs.items() if ref in r.outputs)
    shown = [tuple(named) if kind == "block" and 1 < len(named) <= MOST_PORTS else () for named in (ins, outs)]
    return shown[0], shown[1]


def inside(region: Region) -> list[str]:
    """What a collapsed scope holds: `bottleneck x3`, `3x3 conv, 8 x3 in parallel`; of a group of few layers, these."""
    items = region.items
    scopes, nodes = [i for i in items if isinstance(i, Region)], [i for i in items if isinstance(i, Node)]
    plain = not (scopes and nodes) and not any(r.scope.kind == "branch" or is_layer(r) for r in scopes)
    texts = {r.scope.block + _window(r) or "iterations" * (r.scope.kind == "iteration") for r in scopes}
    texts |= {op_text(n.op, n.attrs) for n in nodes}
    if plain and len(items) > 1 and len(texts) == 1 and texts != {""}:
        if scopes:
            return [texts.pop() + times(scopes)]
        return [f"{texts.pop()} \u00d7{len(items)}{' shared' if len({n.weights_at for n in nodes}) == 1 else ''}"]
    if region.scope.block:
        return []
    if len(items) == 1 and scopes and scopes[0].scope.block:
        return [scopes[0].scope.block]
    if len(scopes) == len(items) > 1 and parallel(scopes):
        kinds = {tuple(_layers([scope])) for scope in scopes}
        line = kinds.pop() if len(kinds) == 1 else ()
        return [f"{line[0] if len(line) == 1 else ''}{times(scopes)}".strip()]
    return _layers(items) or _blocks(scopes)


def _layers(items: Sequence[Node | Region]) -> list[str]:
    """The layers of a collapsed group of few, without norms and activations: `3x3 conv, 64 x2`, `2x2 max pool, /2`."""
    found: list[tuple[str, int]] = []
    for item in map(_core, items):
        if isinstance(item, Region) and not is_layer(item):
            return []
        for node in [item] if isinstance(item, Node) else item.nodes():
            kind, text = kind_of(node), op_text(node.op, node.attrs)
            if kind in ("input", "join"):
                return []
            if kind in ("weights", "pool"):
                found[-1:] = [(text, found[-1][1] + 1)] if found and found[-1][0] == text else [*found[-1:], (text, 1)]
    lines = [text if count == 1 else f"{text} \u00d7{count}" for text, count in found]
    # Two short ones share a line.
    return [" + ".join(lines)] if len(lines) == 2 and len("".join(lines)) < 32 else lines if len(lines) <= 3 else []


def _core(item: Node | Region) -> Node | Region:
    """What a scope holds, where that is one thing only."""
    while isinstance(item, Region) and len(item.items) == 1:
        item = item.items[0]
    return item


def _blocks(scopes: Sequence[Region]) -> list[str]:
    """The few blocks that a group without a block of its own is made of: `poly_3 + two_way`."""
    found = list(dict.fromkeys(scope.scope.block for scope in scopes if scope.scope.block))
    return [" + ".join(found)] if 0 < len(found) < 4 else []
