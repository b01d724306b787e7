"""Graphs made simpler for a picture: without concatenations, and without frames around one frame."""

from __future__ import annotations

from dataclasses import replace

from netspec.diagnostics.errors import UsageError
from netspec.ir.graph import Graph, Ref
from netspec.ir.scope_tree import Region

# A block of 64 layers has some thousand; a spec that joins joins could ask for any number.
MOST_ARROWS = 100_000


def elide_concats(graph: Graph) -> Graph:
    """A graph for drawing, without concatenations but those that are outputs; raises UsageError for too many arrows."""
    ends = {output.ref.node for output in graph.outputs.values()}
    joined: dict[Ref, tuple[Ref, ...]] = {}
    nodes, arrows = [], 0
    for node in graph.nodes.values():
        inputs = tuple(dict.fromkeys(source for ref in node.inputs for source in joined.get(ref, (ref,))))
        arrows += len(inputs)
        if arrows > MOST_ARROWS:
            raise UsageError(
                f"--direct would draw more than {MOST_ARROWS:,} arrows", "leave it out, or draw a block: SPEC:BLOCK"
            )
        if node.op == "concat" and node.path not in ends:
            joined[Ref(node.path)] = inputs
        else:
            nodes.append(replace(node, inputs=inputs) if any(ref in joined for ref in node.inputs) else node)
    return Graph(graph.name, nodes, graph.outputs, graph.scopes, graph.title)


def merge_single_child_scopes(region: Region) -> Region:
    """The region with each scope below it that holds nothing but one other merged with that.

    The merged scope has the path of the outermost and the block of the innermost. Branches stay: they have no frame.
    """
    region.items = [
        merge_single_child_scopes(_merged(item)) if isinstance(item, Region) else item for item in region.items
    ]
    return region


def _merged(region: Region) -> Region:
    while len(region.items) == 1 and isinstance(inner := region.items[0], Region):
        if "branch" in (region.scope.kind, inner.scope.kind):
            break
        outer = region.scope
        doc, title = outer.doc or inner.scope.doc, outer.title or inner.scope.title
        scope = replace(outer, weights_at=inner.scope.weights_at, doc=doc, title=title)
        if inner.scope.block:
            same = inner.scope
            scope = replace(scope, block=same.block, args=same.args, ins=same.ins, outs=same.outs)
        region = Region(scope, inner.items, region.inputs, region.outputs, (*region.inner, inner.path, *inner.inner))
    return region
