"""What another input than the spec's own does to a network: a note where weights change with it."""

from __future__ import annotations

from collections.abc import Mapping
from math import prod

from netspec.diagnostics.errors import Reporter
from netspec.elaborate.budget import Budget
from netspec.elaborate.configuration import Configuration
from netspec.elaborate.document import elaborate, inputs_of
from netspec.ir.graph import Graph, Node
from netspec.ir.module import Module
from netspec.ops import Shape
from netspec.ops.base import show
from netspec.passes import NAMED, inference, of_stage
from netspec.passes.base import Stage
from netspec.passes.resize import resize
from netspec.passes.rewriter import ShapeMismatch
from netspec.syntax.document import Document, passes_of


def note_inputs(
    document: Document,
    variant: str | None,
    settings: Mapping[str, object],
    graph: Graph,
    reporter: Reporter,
    max_nodes: int | Budget,
) -> None:
    """Notes the `linear` whose input features are others than with the spec's own input, and what keeps its weights.

    Where settings are what made another input of it, the network with them is compared at the spec's own size.
    """
    shapes = {str(node.path): node.shape for node in graph.inputs}
    own = inputs_of(document, variant)
    if own == shapes or not any(node.op == "linear" for node in graph.nodes.values()):
        return
    sizes = {name: [int(size) for size in own[name][1:]] for name in own if shapes.get(name) != own[name]}
    before = elaborate(document, Configuration(variant, settings, sizes), Reporter(), max_nodes)
    if before is None:
        return
    changed = [
        node
        for node in graph.nodes.values()
        if node.op == "linear" and _features(node, before) not in (None, node.result.weights["weight"][1])
    ]
    if changed:
        run = inference(graph).nodes
        node = next((node for node in changed if node.path in run), changed[0])
        what = f"'{node.path}'" + (f" (and {len(changed) - 1} more)" if len(changed) > 1 else "")
        what += "" if node.path in run else ", in training alone,"
        now, then = (next(show(s) for name, s in given.items() if own[name] != shapes[name]) for given in (shapes, own))
        reporter.note(
            "NS406",
            f"{what} has {int(node.result.weights['weight'][1]):,} input features at {now}, "
            f"{_features(node, before):,} at the spec's own {then}: its weights change with the input",
            node.span,
            _keeps(document, variant, before, shapes, then),
        )


def _features(node: Node, before: Graph) -> int | None:
    """The input features of the same linear step in `before`, the graph at the spec's own size; None without it."""
    other = before.nodes.get(node.path)
    return int(other.result.weights["weight"][1]) if other is not None and other.op == "linear" else None


def _keeps(document: Document, variant: str | None, before: Graph, shapes: Mapping[str, Shape], own: str) -> str:
    """What keeps the weights: a pass, and the variant that has it."""
    sizes = {key: prod(map(int, shape)) for key, (shape, _, _) in before.tensors().items()}
    for keeping in of_stage(NAMED.values(), Stage.TRAINING):
        name = keeping.name
        try:
            form = Module(keeping(Module(before)).graph)
        except ShapeMismatch:
            continue
        if {key: prod(map(int, shape)) for key, (shape, _, _) in form.graph.tensors().items()} != sizes:
            continue
        of = variant or document.default_variant
        having = next((v for v in document.variants if _has(document, v, name) and of in _chain(document, v)), None)
        means = (
            f"the variant `{having}`" if having else (f"a variant with `{f'of: {of}, ' if of else ''}passes: [{name}]`")
        )
        try:
            resize(form, dict(shapes))
        except ShapeMismatch:
            return f"{means} keeps them, for inputs of {own} or more"
        return f"{means} keeps them" + (f" (by the pass `{name}`)" if having else "")
    return ""


def _chain(document: Document, variant: str) -> list[str]:
    return [v.name for v in document.lineage(variant, Reporter())]


def _has(document: Document, variant: str, name: str) -> bool:
    chain = document.lineage(variant, Reporter())
    return any(p.text == name for p in passes_of(chain))
