"""Faults that are planted in a model file, one kind for each op, each at the step of a path."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnx
from onnx import helper, numpy_helper

Model = onnx.ModelProto
Plant = Callable[[Model, str], None]


def node_of(model: Model, path: str, kind: str = "") -> onnx.NodeProto:
    """The node of a step; of an op that is several, the last, or the one of a kind."""
    start = f"/{path.replace('.', '/')}/"
    found = [n for n in model.graph.node if n.name.startswith(start) and n.op_type != "Constant"]
    return next(n for n in reversed(found) if kind in ("", n.op_type))


def attribute(model: Model, path: str, name: str, change: Callable[[object], object]) -> None:
    node = node_of(model, path)
    old = next(a for a in node.attribute if a.name == name)
    new = helper.make_attribute(name, change(helper.get_attribute_value(old)))
    node.attribute.remove(old)
    node.attribute.append(new)


def scaled_after(model: Model, path: str, factor: float = 1.01) -> None:
    """The value of a step is multiplied by a factor: what any op may do wrong."""
    node = node_of(model, path)
    value = node.output[0]
    node.output[0] = f"{value}/before"
    constant = helper.make_tensor("factor", onnx.TensorProto.FLOAT, [], [factor])
    at = [*model.graph.node].index(node) + 1
    model.graph.node.insert(at, helper.make_node("Constant", [], [f"{value}/factor"], value=constant))
    model.graph.node.insert(at + 1, helper.make_node("Mul", [node.output[0], f"{value}/factor"], [value]))


def weight(model: Model, path: str, name: str = "weight") -> None:
    """The numbers of one output are others."""
    tensor = next(t for t in model.graph.initializer if t.name == f"{path}.{name}")
    array = numpy_helper.to_array(tensor).copy()
    array[len(array) // 2] += np.float32(0.5)
    tensor.CopyFrom(numpy_helper.from_array(array, tensor.name))


def bias(model: Model, path: str) -> None:
    weight(model, path, "bias")


def shifted_pads(model: Model, path: str) -> None:
    """The same stride and size, padded on the other side."""
    attribute(model, path, "pads", lambda pads: [2 * pads[0], pads[1], 0, *pads[3:]])


def alpha(model: Model, path: str) -> None:
    attribute(model, path, "alpha", lambda value: 10 * value)


def epsilon(model: Model, path: str) -> None:
    attribute(model, path, "epsilon", lambda value: 100 * value)


def swapped(model: Model, path: str) -> None:
    """Two branches of a concatenation change places."""
    node = node_of(model, path)
    node.input[0], node.input[1] = node.input[1], node.input[0]


def leaky(model: Model, path: str) -> None:
    """A ReLU lets a little through."""
    node = node_of(model, path)
    node.op_type = "LeakyRelu"
    node.attribute.append(helper.make_attribute("alpha", 0.1))


def maximum(model: Model, path: str) -> None:
    """A global pooling takes the largest instead of the mean."""
    node_of(model, path).op_type = "GlobalMaxPool"


KINDS = {
    "scaled_after": "its value times 1.01",
    "weight": "the weights of one output",
    "bias": "the bias of one output",
    "shifted_pads": "the padding on the other side",
    "alpha": "`alpha` times 10",
    "epsilon": "`epsilon` times 100",
    "swapped": "two operands of a concatenation changed",
    "leaky": "a ReLU that lets a tenth through",
    "maximum": "the largest in place of the mean",
}
"""What the faults are called in tables."""
