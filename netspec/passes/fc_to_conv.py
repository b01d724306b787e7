"""Turns fully connected layers into convolutions, so that larger images give maps of scores.

The dense form of VGG (Simonyan and Zisserman 2014, section 3.2): the first layer becomes a convolution whose kernel
is the whole map, every later one a 1x1 convolution.
Case 1: `flatten` of C x H x W goes; a `linear` that reads it becomes a valid `conv` with an H x W kernel.
Case 2: a `linear` that reads a value which stands for C x 1 x 1 now becomes a 1x1 `conv`.
Case 3: elementwise ops between them keep their attributes and get new shapes.
Weights keep their names; a checkpoint's matrix is reshaped (`reshape: true` in its rule).
"""

from __future__ import annotations

from netspec.ir.graph import Graph, Node, Ref
from netspec.ops import OPS, Tensor
from netspec.passes.scopes import carried


def fc_to_conv(graph: Graph) -> Graph:
    """The graph with `flatten` and `linear` replaced by convolutions; outputs become C x H x W maps."""
    done: dict[str, Node] = {}
    source: dict[Ref, Ref] = {}
    for node in graph.nodes.values():
        inputs = tuple(source.get(ref, ref) for ref in node.inputs)
        operands = [Tensor(done[r.node].shapes[r.out]) for r in inputs]
        if node.op == "flatten" and operands[0].rank == 4:
            source[Ref(node.path)] = inputs[0]
            continue
        op, attrs = node.op, dict(node.attrs)
        if op == "linear" and operands[0].rank == 4:
            _, _, height, width = operands[0].shape
            op, attrs = "conv", {"out": attrs["out"], "kernel": (height, width), "bias": attrs["bias"]}
        rule = OPS[op].infer(operands, attrs)
        done[node.path] = Node(node.path, op, inputs, rule.attrs, rule, node.weights_at, node.init, node.span, node.doc)
    outputs = {
        name: type(o)(source.get(o.ref, o.ref), o.loss_weight, o.training_only) for name, o in graph.outputs.items()
    }
    scopes = carried(graph.scopes.values(), done, source)
    return Graph(graph.name, done, outputs, scopes, graph.title)
