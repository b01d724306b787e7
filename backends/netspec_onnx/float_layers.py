"""Which layers of a model in int8 stay in float32: those that are asked for, the ends, and what is suggested."""

from __future__ import annotations

from collections.abc import Sequence, Set

import onnx

from netspec.diagnostics.errors import UsageError
from netspec.ir.graph import Graph, Node
from netspec.ir.selection import step_help
from netspec.ir.titles import matching, titles
from netspec.ops import OPS

DEQUANTIZED = "_DequantizeLinear_Output"
"""What onnxruntime adds to the name of a tensor that has gone through int8."""


def asked(graph: Graph, patterns: Sequence[str]) -> set[str]:
    """The steps at and below those that patterns match; raises UsageError for one that matches none."""
    below: dict[str, set[str]] = {}
    for path in graph.nodes:
        for end in [i for i, c in enumerate(path) if c == "."] + [len(path)]:
            below.setdefault(path[:end], set()).add(path)
    named, found = titles(graph), set[str]()
    for pattern in patterns:
        steps = matching(pattern, below, named)
        if not steps:
            raise UsageError(f"--keep-float: '{graph.name}' has no step '{pattern}'", step_help(pattern, graph))
        found.update(*(below[step] for step in steps))
    return found


def layers(graph: Graph) -> list[Node]:
    """The steps that multiply by weights, and those that join values: where noise comes in or together."""
    return [n for n in graph.nodes.values() if _multiplies(n) or len(n.inputs) > 1]


def _multiplies(node: Node) -> bool:
    return OPS[node.op].kind == "weights" and bool(node.result.weights)


def ends(graph: Graph) -> set[str]:
    """The first layers with weights after the inputs, and the last ones with all that follows them."""
    before: dict[str, bool] = {}
    for path, node in graph.nodes.items():
        before[path] = any(before[r.node] or _multiplies(graph.nodes[r.node]) for r in node.inputs)
    after = dict.fromkeys(graph.nodes, False)
    for path, node in reversed(graph.nodes.items()):
        for ref in node.inputs:
            after[ref.node] |= after[path] or _multiplies(node)
    first = {path for path, node in graph.nodes.items() if _multiplies(node) and not before[path]}
    return first | {path for path, node in graph.nodes.items() if not after[path] and node.op != "input"}


def between(graph: Graph, steps: Set[str]) -> set[str]:
    """These steps, and those without weights that read nothing but what they give: int8 there would only add noise."""
    found = set(steps)
    for path, node in graph.nodes.items():
        if node.op != "input" and not _multiplies(node) and all(r.node in found for r in node.inputs):
            found.add(path)
    return found


def step_of(name: str) -> str:
    """The step that a node was written for, by its name: /layer1/0/conv1/Conv is of layer1.0.conv1."""
    return name.strip("/").rpartition("/")[0].replace("/", ".")


def names_of(model: onnx.ModelProto, steps: Set[str]) -> list[str]:
    """The names of the nodes that were written for these steps."""
    return [node.name for node in model.graph.node if step_of(node.name) in steps]


def shown_tensors(
    exact: onnx.ModelProto, quantised: onnx.ModelProto, steps: Sequence[str]
) -> dict[str, tuple[str, str]]:
    """The value of each step, by its names in both models.

    The library lets an activation go into the layer before it: there the value after the activation is the layer's.
    """
    made = {name for node in quantised.graph.node for name in node.output}
    last = {step_of(node.name): node.output[0] for node in exact.graph.node}
    readers: dict[str, list[onnx.NodeProto]] = {}
    for node in exact.graph.node:
        for name in node.input:
            readers.setdefault(name, []).append(node)
    found = {}
    for step in steps:
        value = last.get(step)
        while value is not None and value not in made and len(read := readers.get(value, [])) == 1:
            value = read[0].output[0]
        if value is not None and value in made:
            found[step] = value, value + DEQUANTIZED if value + DEQUANTIZED in made else value
    return found


def candidates(graph: Graph, exact: onnx.ModelProto, quantised_ops: Sequence[str]) -> dict[str, set[str]]:
    """The layers that int8 adds noise in, in order, each with the steps after it that are in float where it is.

    What gives values as they are, or cuts them, adds none.
    """
    ops = set(quantised_ops) - _KEEPING
    noisy = {step_of(node.name) for node in exact.graph.node if node.op_type in ops}
    shown = {str(node.path) for node in layers(graph)}
    found: dict[str, set[str]] = {}
    owner: dict[str, str] = {}
    for path, node in graph.nodes.items():
        if path in shown:
            owner[path] = path
        elif node.inputs and node.inputs[0].node in owner:
            owner[path] = owner[node.inputs[0].node]
        if path in noisy and path in owner:
            found.setdefault(owner[path], {owner[path]}).add(path)
    return found


_KEEPING = {
    "Relu",
    "Clip",
    "MaxPool",
    "Flatten",
    "Reshape",
    "Transpose",
    "Unsqueeze",
    "Squeeze",
    "Split",
    "Slice",
    "Pad",
}


def shortest(graph: Graph, steps: Set[str]) -> list[str]:
    """The fewest paths that stand for these steps and what is between them: that of a block where it has no others.

    The path of a join may be that of its branches too, `join` of `join.deep.conv`: it stands for them as well.
    """
    left = [path for path in graph.nodes if _multiplies(graph.nodes[path]) or path not in between(graph, steps)]
    chosen = {path for path in steps if _multiplies(graph.nodes[path])}
    joins = {path for path in steps if len(graph.nodes[path].inputs) > 1}
    chosen |= joins - between(graph, chosen)
    chosen |= steps - between(graph, chosen)  # what follows an input
    found: dict[str, None] = {}
    for path in (path for path in graph.nodes if path in chosen):
        ends_ = [i for i, c in enumerate(path) if c == "."] + [len(path)]
        tops = (path[:end] for end in ends_)
        found[next((top for top in tops if _all_below(top, left, chosen)), path)] = None
    return list(found)


def _all_below(top: str, paths: Sequence[str], chosen: Set[str]) -> bool:
    return all(path in chosen for path in paths if path == top or path.startswith(f"{top}."))
