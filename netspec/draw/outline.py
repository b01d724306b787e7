"""A graph as it can be drawn: what stands in each scope, and what each says collapsed and expanded."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from netspec.diagnostics.errors import Span
from netspec.draw.annotations import Annotations
from netspec.draw.collapsed import collapsed_lines, ports, times
from netspec.draw.labels import describe, kind_of, node_lines, scope_title
from netspec.draw.model import Box, Frame, View
from netspec.draw.repeats import Group, Selection, Signatures, grouped, walk
from netspec.draw.simplify import elide_concats, merge_single_child_scopes
from netspec.ir.graph import Graph, Node, Ref
from netspec.ir.scope_tree import Region, tree
from netspec.ops.base import show


class Outline:
    """The scopes of a graph with their texts, each made once, which pictures and pages choose among."""

    def __init__(self, graph: Graph, view: View) -> None:
        self.graph, self.view = elide_concats(graph) if view.direct else graph, view
        root = tree(self.graph)
        self.selection = Selection.find(root, view.collapse, view.expand)
        self.root = merge_single_child_scopes(root)
        self.scopes = {region.path: region.scope for region in walk(self.root)}
        self.annotations, self.signatures = Annotations(self.graph, view), Signatures()
        self.names = "names" in view.show
        self._groups: dict[str, list[Group]] = {}
        self._boxes: dict[tuple[str, int], Box] = {}
        self._tooltips: dict[str, str] = {}

    def groups(self, region: Region) -> list[Group]:
        """What stands in a region: layers with what follows them, and scopes with their repeats."""
        if region.path not in self._groups:
            made = grouped(self.graph, region, self.signatures, self.selection, self.view.unfold)
            self._groups[region.path] = list(made)
        return self._groups[region.path]

    def shape(self, ref: Ref) -> str:
        """What an arrow says of a value."""
        return show(self.graph.shape(ref)) if "shapes" in self.view.show else ""

    def layer(self, nodes: Sequence[Node], region: Region) -> Box:
        """A node, or a layer with what follows it."""
        key = nodes[0].path, 0
        if key not in self._boxes:
            self._boxes[key] = self._layer(nodes, region)
        return self._boxes[key]

    def collapsed(self, run: Sequence[Region], parent: Region) -> Box:
        """A scope with its repeats as one box: a layer with what follows it, or its name and what it repeats."""
        key = run[0].path, len(run)
        if key not in self._boxes:
            self._boxes[key] = self._collapsed(run, parent)
        return self._boxes[key]

    def expanded(self, run: Sequence[Region], parent: Region) -> Frame:
        """A scope with its repeats as a frame around the first, empty."""
        first = run[0]
        title = scope_title(run, parent, self.names) + times(run)
        return Frame(first.path, title, first.scope.kind, self._tooltip(first), line_of(first.scope.span), len(run))

    def _tooltip(self, region: Region) -> str:
        if region.path not in self._tooltips:
            self._tooltips[region.path] = describe(region)
        return self._tooltips[region.path]

    def _layer(self, nodes: Sequence[Node], region: Region) -> Box:
        first, last = nodes[0], nodes[-1]
        lead = next((n for n in nodes if kind_of(n) in ("weights", "pool")), first)
        ops = " ".join(dict.fromkeys(n.op for n in nodes))
        return Box(
            first.path,
            kind_of(lead),
            (*node_lines(nodes, region, self.names), *self.annotations.shared(nodes)),
            tooltip=". ".join(filter(None, (f"{first.path}: {ops} -> {show(last.shape)}", first.doc))),
            doc=first.doc,
            source=line_of(first.span),
            nodes=tuple(n.path for n in nodes),
        )

    def _collapsed(self, run: Sequence[Region], parent: Region) -> Box:
        region = run[0]
        nodes = list(region.nodes())
        kind, lines = collapsed_lines(self.graph, run, parent, self.names)
        ins, outs = ports(run, kind)
        return Box(
            region.path,
            kind,
            (*lines, *self.annotations.shared(nodes, (region.path, *region.inner)[-1])),
            tooltip=self._tooltip(region),
            doc=region.scope.doc,
            source=line_of(region.scope.span),
            nodes=tuple(n.path for n in nodes),
            times=len(run),
            ins=ins,
            outs=outs,
        )

    def outputs(self) -> Iterator[tuple[str, Box]]:
        """The outputs by name, each as a box."""
        for name, output in self.graph.outputs.items():
            loss = f", loss x {output.loss_weight:g}" if output.loss_weight is not None else ""
            lines = (name, f"training only{loss}") if output.training_only else (name,)
            yield name, Box(f"output {name}", "output", lines, f"output {name}")


def line_of(span: Span | None) -> str:
    """`googlenet.yaml:12`; the folder is left out, so that a picture is the same wherever the spec lies."""
    name = span.file.replace("\\", "/").rpartition("/")[2] if span else ""
    return f"{''.join(c if c.isprintable() else '?' for c in name)}:{span.line}" if span else ""
