"""Puts the softmax behind the scores, with which the tables of the papers end and which training has in its loss.

Case 1: the output `logits`, or `scores`; or whatever a network with one output gives.
Case 2: scores of each pixel, as of a network in its fully convolutional form, are normalized pixel by pixel.
Left alone: what is a softmax already. Refused: several outputs of other names, of which nobody knows what they are.
The output `logits` is called `probabilities`.
"""

from __future__ import annotations

from dataclasses import replace

from netspec.expressions.identifiers import Path
from netspec.ir.graph import Graph, Node
from netspec.ir.module import Module
from netspec.ops import OPS, OpError, Tensor
from netspec.passes.base import Stage, graph_pass
from netspec.passes.rewriter import ShapeMismatch, free_path

SCORES = ("logits", "scores")


@graph_pass(stage=Stage.INFERENCE, named=True, keeps=False)
def add_softmax(module: Module) -> Module:
    """Makes probabilities of the scores: a `softmax` over the classes, as the papers' tables end with."""
    graph = module.graph
    name = _scores(graph)
    output = graph.outputs[name]
    last = graph.nodes[output.ref.node]
    if last.op == "softmax":
        return module
    try:
        result = OPS["softmax"].infer([Tensor(last.shapes[output.ref.out])], {})
    except OpError as e:
        raise ShapeMismatch(last, e) from None
    path = free_path(graph, "softmax")
    node = Node(Path(path), "softmax", (output.ref,), result.attrs, result, Path(path), span=last.span)
    shown = "probabilities" if name == "logits" and "probabilities" not in graph.outputs else name
    outputs = {
        (shown if key == name else key): replace(out, ref=type(out.ref)(path)) if key == name else out
        for key, out in graph.outputs.items()
    }
    nodes = {**graph.nodes, path: node}
    return Module(Graph(graph.name, nodes, outputs, graph.scopes, graph.title), module.computed)


def _scores(graph: Graph) -> str:
    """The output that holds the scores; raises ShapeMismatch."""
    names = [name for name, output in graph.outputs.items() if not output.training_only]
    found = names if len(names) == 1 else [name for name in SCORES if name in names]
    if not found:
        message = f"which of the outputs {', '.join(names)} has the scores is not known"
        first = graph.nodes[next(iter(graph.outputs.values())).ref.node]
        raise ShapeMismatch(first, OpError(message, "add_softmax takes the only output, or `logits`, or `scores`"))
    return found[0]
