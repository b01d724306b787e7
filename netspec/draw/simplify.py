"""Scopes that hold nothing but one other: they are drawn as one, since a frame around a frame says nothing."""

from __future__ import annotations

from dataclasses import replace

from netspec.ir.scope_tree import Region


def slim(region: Region) -> Region:
    """The region with such chains below it as one scope each: at the path of the outermost, with the innermost's block.

    Branches stay: they are drawn without a frame.
    """
    region.items = [slim(_joined(item)) if isinstance(item, Region) else item for item in region.items]
    return region


def _joined(region: Region) -> Region:
    while len(region.items) == 1 and isinstance(inner := region.items[0], Region):
        if "branch" in (region.scope.kind, inner.scope.kind):
            break
        outer = region.scope
        scope = replace(outer, weights_at=inner.scope.weights_at, doc=outer.doc or inner.scope.doc)
        if inner.scope.block:
            same = inner.scope
            scope = replace(scope, block=same.block, args=same.args, ins=same.ins, outs=same.outs)
        region = Region(scope, inner.items, region.inputs, region.outputs, (*region.inner, inner.path, *inner.inner))
    return region
